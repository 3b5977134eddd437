"""Writing a table to a file: CSV, Parquet or XLSX by its ending, in one step.

Seller text is hostile: a cell that a spreadsheet would run as a formula is made plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from vibes_pipeline.cells import FORMULA_STARTS
from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports.rows import Counted, Progress, Rows
from vibes_pipeline.exports.sheets import in_order, open_workbook, write_sheet
from vibes_pipeline.files import put_into_place

FORMATS = (".csv", ".parquet", ".xlsx")
# Readers of Parquet share work, and skip rows, by groups of about so many.
ROWS_OF_A_GROUP = 122_880


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


def write_rows(rows: Rows, file: Path, title: str, progress: Progress = lambda rows: None) -> int:
    """Write the rows to a temporary file and rename it into place; give their number.

    `progress` is told how many more rows are written. Raises `UsageError` for more rows than a
    sheet of a workbook holds.
    """
    check_target(file)
    counted = Counted(rows, progress)
    if file.suffix == ".xlsx":
        with open_workbook(file) as workbook:
            write_sheet(workbook, in_order(counted.rows), title)
    else:
        with put_into_place(file) as temporary:
            (_write_csv if file.suffix == ".csv" else _write_parquet)(counted.rows, temporary)
    return counted.so_far


def write_table(frame: pl.DataFrame, file: Path, title: str) -> None:
    """The same with the rows of a frame."""
    write_rows(Rows.of(frame), file, title)


def _write_csv(rows: Rows, file: Path) -> None:
    with file.open("wb") as out:
        rows.empty.write_csv(out)
        rows.each(
            lambda frame: harmless(frame).write_csv(
                out, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%:z"
            )
        )


def _write_parquet(rows: Rows, file: Path) -> None:
    # The oldest level has the types of text that every reader of Parquet knows.
    oldest = pl.CompatLevel.oldest()
    waiting: list[pl.DataFrame] = []

    def write_group() -> None:
        if waiting:
            writer.write_table(pl.concat(waiting).to_arrow(compat_level=oldest))
            waiting.clear()

    def add(frame: pl.DataFrame) -> None:
        waiting.append(frame)
        if sum(frame.height for frame in waiting) >= ROWS_OF_A_GROUP:
            write_group()

    schema = rows.empty.to_arrow(compat_level=oldest).schema
    # Most columns hold ids: looking for repeated values takes a third of the writing, for nothing.
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False) as writer:
        rows.each(add)
        write_group()


def harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """Text cells that would be formulas begin with an apostrophe, which spreadsheets hide."""
    text = pl.col(pl.String)
    return frame.with_columns(
        pl.when(text.str.contains(FORMULA_STARTS)).then("'" + text).otherwise(text).name.keep()
    )
