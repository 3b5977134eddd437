"""Writing a table to a file: CSV, Parquet or XLSX by its ending, in one step.

Seller text is hostile: a cell that a spreadsheet would run as a formula is made plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports.sheets import in_order, open_workbook, write_sheet
from vibes_pipeline.files import put_into_place

# What spreadsheets take for the beginning of a formula.
FORMULA_STARTS = r"^[=+\-@\t\r\n]"
FORMATS = (".csv", ".parquet", ".xlsx")


def check_target(file: Path, endings: Sequence[str] = FORMATS) -> None:
    """`UsageError` unless the file has one of these endings and its folder is there."""
    if file.suffix not in endings:
        one_of = "one of " if len(endings) > 1 else ""
        raise UsageError(f"{file}: the ending says the format; write {one_of}{', '.join(endings)}")
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
            write_sheet(workbook, in_order(frame), title)
        return
    with put_into_place(file) as temporary:
        if file.suffix == ".csv":
            harmless(frame).write_csv(temporary, datetime_format="%Y-%m-%dT%H:%M:%S%:z")
        else:
            frame.write_parquet(temporary)


def harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells that would be formulas begin with an apostrophe, which spreadsheets hide."""
    text = pl.col(pl.String)
    return frame.with_columns(
        pl.when(text.str.contains(FORMULA_STARTS)).then("'" + text).otherwise(text).name.keep()
    )


def harmless_text(text: str) -> str:
    """One cell of `harmless`."""
    return f"'{text}" if re.match(FORMULA_STARTS, text) else text
