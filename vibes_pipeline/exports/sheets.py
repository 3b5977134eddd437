"""Rows as a sheet of a workbook: no cell runs as a formula, all text shows, it can be printed.

Here belongs how any sheet looks. What stands on the sheets of finance's workbook is in `workbook`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports.rows import Rows
from vibes_pipeline.exports.sheet_rows import Column, Formula, StreamedWorksheet
from vibes_pipeline.files import put_into_place
from vibes_pipeline.ledger.frames import Schema

ROWS_OF_A_SHEET = 1_048_575
LONGEST_TITLE = 31
# The bracket leaves a gap before the next column's text.
AMOUNT = "#,##0.00_);[Red]-#,##0.00_)"
COUNT = "#,##0_)"
HEADER = {"bold": True, "bg_color": "#F2F2F2", "bottom": 1, "valign": "top"}
# Ids that programs compare and nobody reads, of 36 letters or more: last, and not printed.
IDS = ("posting_id", "action_id", "notice_id", "policy_version")
# In letters. A longer text is broken into lines.
WIDEST_TEXT = 40
# A word that has no room goes whole to the next line.
LETTERS_OF_A_LINE = 38
LINE_POINTS = 15
# A row is no higher than Excel allows.
MOST_LINES = 27
WRAPPED = {"valign": "top", "align": "left", "text_wrap": True}
# Beside a column's name is the button of its filter.
BUTTON = 3
# A machine without the workbook's font takes a wider one, and a number that has no room is shown as
# a row of #.
ROOM = 1.25
A4 = 9
MARGIN_INCHES = 0.4


@contextmanager
def open_workbook(file: Path) -> Iterator[xlsxwriter.Workbook]:
    """A workbook in which no text becomes a formula, a link or a number; renamed into place."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with (
        put_into_place(file) as temporary,
        xlsxwriter.Workbook(str(temporary), options) as workbook,
    ):
        # Only a sheet of gigabytes is written so.
        workbook.use_zip64()
        yield workbook


def in_order(rows: Rows) -> Rows:
    """The rows with their columns as a sheet shows them: the ids last."""
    ids = [name for name in IDS if name in rows.schema]
    return rows.mapped(lambda frame: frame.select(pl.exclude(ids), *ids))


def write_sheet(
    workbook: xlsxwriter.Workbook,
    rows: Rows,
    title: str,
    *,
    rows_below: int = 0,
    formulas: Mapping[str, Formula] = MappingProxyType({}),
) -> StreamedWorksheet:
    """Rows as a sheet: a header that stays and is on each page, filters, wide enough columns.

    `rows_below` are what the caller adds, to be printed too. A column with one of the `formulas`
    holds it beside the row's own value. Raises `UsageError` for more rows than a sheet holds.
    """
    count = rows.count()
    if count > ROWS_OF_A_SHEET:
        raise UsageError(
            f"{count:,} rows are more than a sheet of a workbook holds "
            f"({ROWS_OF_A_SHEET:,}); write .csv or .parquet"
        )
    worksheet: StreamedWorksheet = workbook.add_worksheet(
        title[:LONGEST_TITLE], worksheet_class=StreamedWorksheet
    )
    worksheet.freeze_panes(1, 0)
    _add_header(workbook, worksheet, rows, count)
    columns = [
        Column(
            *(name, workbook.add_format(_style(type_)), workbook.add_format(WRAPPED)),
            is_wrapped=_is_long(name),
            formula=formulas.get(name),
        )
        for name, type_ in rows.schema.items()
    ]
    longest = Longest(rows.schema)
    points = _points(rows.schema)

    def add(frame: pl.DataFrame) -> None:
        longest.look_at(frame)
        worksheet.stream(frame, columns, points)

    rows.each(add)
    for at, name in enumerate(rows.schema):
        worksheet.set_column(at, at, longest.width(name))
    _set_up_pages(worksheet, rows, count + rows_below)
    return worksheet


def _add_header(
    workbook: xlsxwriter.Workbook, worksheet: StreamedWorksheet, rows: Rows, count: int
) -> None:
    """The columns' names, each with its filter, in the sheet's first row."""
    header = workbook.add_format(HEADER)
    named = [{"header": name, "header_format": header} for name in rows.schema]
    worksheet.add_long_table(count, {"columns": named, "style": None})
    to_the_right = workbook.add_format({**HEADER, "align": "right", "indent": 1})
    for at, (name, type_) in enumerate(rows.schema.items()):
        if type_.is_numeric():
            worksheet.write_string(0, at, name, to_the_right)


def _style(type_: pl.DataType | type[pl.DataType]) -> dict[str, Any]:
    """How a cell is shown: numbers to the right, all else to the left."""
    match type_:
        case pl.Decimal():
            return {"valign": "top", "num_format": AMOUNT}
        case _ if type_.is_integer():
            return {"valign": "top", "num_format": COUNT}
        case _ if type_.is_numeric():
            return {"valign": "top"}
        case pl.Datetime():
            return {"valign": "top", "align": "left", "num_format": "yyyy-mm-dd hh:mm"}
        case pl.Date:
            return {"valign": "top", "align": "left", "num_format": "yyyy-mm-dd"}
        case _:
            return {"valign": "top", "align": "left"}


def _is_long(name: str) -> pl.Expr:
    """Whether a cell of text is broken into lines."""
    return pl.lit(name not in IDS) & (pl.col(name).str.len_chars() > WIDEST_TEXT)


def _points(schema: Schema) -> pl.Expr:
    """How high a row with a text of several lines is, else 0; not every reader counts them."""
    texts = [name for name, type_ in schema.items() if type_ == pl.String and name not in IDS]
    if not texts:
        return pl.lit(0)
    lines = (
        pl.when(_is_long(name))
        .then((pl.col(name).str.len_chars() / LETTERS_OF_A_LINE).ceil().cast(pl.Int64))
        .otherwise(0)
        for name in texts
    )
    return pl.max_horizontal(*lines).clip(upper_bound=MOST_LINES) * LINE_POINTS


class Longest:
    """Letters of each column's longest cell, as a sheet shows it, over all frames looked at.

    Of numbers it is the longest that they can add up to.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._letters = dict.fromkeys(schema, 0)
        self._sums = dict.fromkeys(schema, Decimal(0))

    def look_at(self, frame: pl.DataFrame) -> None:
        for column in frame:
            if _is_summed(column.dtype):
                self._sums[column.name] += Decimal(column.abs().sum() or 0)
            elif not column.dtype.is_temporal():
                longest: Any = column.cast(pl.String).str.len_chars().max()
                self._letters[column.name] = max(self._letters[column.name], longest or 0)

    def width(self, name: str) -> float:
        """Letters that a column is wide: room for its name, each of its cells and their sum."""
        if self._schema[name] == pl.String:
            longest = self._letters[name]
            room = float(longest if name in IDS else min(longest, WIDEST_TEXT))
        else:
            room = ROOM * self._longest(name)
        return max(len(name) + BUTTON, room) + 1

    def _longest(self, name: str) -> int:
        match self._schema[name]:
            case pl.Datetime():
                return len("2026-11-21 09:00")
            case pl.Date:
                return len("2026-11-21")
            case pl.Decimal():
                return len(f"-{self._sums[name]:,.2f}")
            case type_ if _is_summed(type_):
                return len(f"-{self._sums[name]:,.0f}")
            case _:
                return self._letters[name]


def _is_summed(type_: pl.DataType | type[pl.DataType]) -> bool:
    return isinstance(type_, pl.Decimal) or type_.is_integer()


def _set_up_pages(worksheet: Worksheet, rows: Rows, last: int) -> None:
    """Landscape pages as wide as the sheet, each with the header and what the times are."""
    worksheet.set_landscape()
    worksheet.set_paper(A4)
    worksheet.fit_to_pages(1, 0)
    worksheet.repeat_rows(0)
    printed = [name for name in rows.schema if name not in IDS]
    worksheet.print_area(0, 0, last, len(printed) - 1)
    worksheet.set_margins(
        left=MARGIN_INCHES, right=MARGIN_INCHES, top=MARGIN_INCHES, bottom=2 * MARGIN_INCHES
    )
    types = rows.schema.values()
    zones = {type_.time_zone for type_ in types if isinstance(type_, pl.Datetime)}
    times = f"times are those of {', '.join(sorted(filter(None, zones)))}" if zones else ""
    worksheet.set_footer(f"&L&A&C{times}&Rpage &P of &N")
