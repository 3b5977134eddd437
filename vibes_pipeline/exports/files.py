"""Writing a table to a file: CSV, Parquet or XLSX by its ending, in one step.

Seller text is hostile: a cell that a spreadsheet would run as a formula is made plain text.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import xlsxwriter

from vibes_pipeline.errors import UsageError

# What spreadsheets take for the beginning of a formula.
FORMULA_STARTS = r"^[=+\-@\t\r\n]"
FORMATS = (".csv", ".parquet", ".xlsx")
ROWS_OF_A_SHEET = 1_048_575


def check_target(file: Path) -> None:
    """`UsageError` unless the file's ending and folder are usable."""
    if file.suffix not in FORMATS:
        raise UsageError(f"{file}: the ending says the format; write one of {', '.join(FORMATS)}")
    check_place(file)


def check_place(file: Path) -> None:
    """`UsageError` unless a file can be at that path."""
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it")
    if not file.resolve().parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.resolve().parent}; make it first")


def write_table(frame: pl.DataFrame, file: Path, title: str) -> None:
    """Write the frame to a temporary file and rename it into place."""
    check_target(file)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        match file.suffix:
            case ".csv":
                _harmless(frame).write_csv(temporary, datetime_format="%Y-%m-%dT%H:%M:%S%:z")
            case ".parquet":
                frame.write_parquet(temporary)
            case ".xlsx":
                _write_xlsx(frame, temporary, title)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells that would be formulas begin with an apostrophe, which spreadsheets hide."""
    text = pl.col(pl.String)
    return frame.with_columns(
        pl.when(text.str.contains(FORMULA_STARTS)).then("'" + text).otherwise(text).name.keep()
    )


def _write_xlsx(frame: pl.DataFrame, file: Path, title: str) -> None:
    if frame.height > ROWS_OF_A_SHEET:
        raise UsageError(
            f"{frame.height:,} rows are more than a sheet of a workbook holds "
            f"({ROWS_OF_A_SHEET:,}); write .csv or .parquet"
        )
    # Excel knows no time zones: times are shown as local ones.
    local = frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(file), options) as workbook:
        local.write_excel(
            workbook,
            worksheet=title[:31],
            autofit=True,
            autofilter=True,
            freeze_panes="A2",
            header_format={"bold": True, "bg_color": "#F2F2F2", "bottom": 1},
            dtype_formats={
                pl.Decimal: "#,##0.00;[Red]-#,##0.00",
                pl.Datetime: "yyyy-mm-dd hh:mm",
                pl.Date: "yyyy-mm-dd",
            },
        )
