"""Writing a table to a file: CSV, Parquet or XLSX by its ending, in one step.

Seller text is hostile: a cell that a spreadsheet would run as a formula is made plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from vibes_pipeline.errors import UsageError
from vibes_pipeline.files import put_into_place

# What spreadsheets take for the beginning of a formula.
FORMULA_STARTS = r"^[=+\-@\t\r\n]"
FORMATS = (".csv", ".parquet", ".xlsx")
ROWS_OF_A_SHEET = 1_048_575
AMOUNT = "#,##0.00;[Red]-#,##0.00"
HEADER = {"bold": True, "bg_color": "#F2F2F2", "bottom": 1}


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
    if file.suffix == ".xlsx":
        with open_workbook(file) as workbook:
            write_sheet(workbook, frame, title[:31])
        return
    with put_into_place(file) as temporary:
        if file.suffix == ".csv":
            harmless(frame).write_csv(temporary, datetime_format="%Y-%m-%dT%H:%M:%S%:z")
        else:
            frame.write_parquet(temporary)


@contextmanager
def open_workbook(file: Path) -> Iterator[xlsxwriter.Workbook]:
    """A workbook in which no text becomes a formula, a link or a number; renamed into place."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with (
        put_into_place(file) as temporary,
        xlsxwriter.Workbook(str(temporary), options) as workbook,
    ):
        yield workbook


def write_sheet(workbook: xlsxwriter.Workbook, frame: pl.DataFrame, title: str) -> Worksheet:
    """A frame as a sheet: header in sight, filters, sensible widths and formats."""
    if frame.height > ROWS_OF_A_SHEET:
        raise UsageError(
            f"{frame.height:,} rows are more than a sheet of a workbook holds "
            f"({ROWS_OF_A_SHEET:,}); write .csv or .parquet"
        )
    # Excel knows no time zones: times are shown as local ones.
    local = frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))
    return local.write_excel(
        workbook,
        worksheet=title,
        autofit=True,
        autofilter=True,
        freeze_panes="A2",
        header_format=HEADER,
        dtype_formats={
            pl.Decimal: AMOUNT,
            pl.Datetime: "yyyy-mm-dd hh:mm",
            pl.Date: "yyyy-mm-dd",
        },
    ).get_worksheet_by_name(title)


def harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells that would be formulas begin with an apostrophe, which spreadsheets hide."""
    text = pl.col(pl.String)
    return frame.with_columns(
        pl.when(text.str.contains(FORMULA_STARTS)).then("'" + text).otherwise(text).name.keep()
    )


def harmless_text(text: str) -> str:
    """One cell of `harmless`."""
    return f"'{text}" if re.match(FORMULA_STARTS, text) else text
