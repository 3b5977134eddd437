"""A frame as a sheet of a workbook: no cell runs as a formula, all text shows, it can be printed.

Here belongs how any sheet looks. What stands on the sheets of finance's workbook is in `workbook`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from vibes_pipeline.errors import UsageError
from vibes_pipeline.files import put_into_place

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
        yield workbook


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its columns as a sheet shows them: the ids last."""
    ids = [name for name in IDS if name in frame.columns]
    return frame.select(pl.exclude(ids), *ids)


def write_sheet(
    workbook: xlsxwriter.Workbook, frame: pl.DataFrame, title: str, *, rows_below: int = 0
) -> Worksheet:
    """A frame as a sheet: a header that stays and is on each page, filters, wide enough columns.

    `rows_below` are what the caller adds, to be printed too. Raises `UsageError` for more rows than
    a sheet holds.
    """
    if frame.height > ROWS_OF_A_SHEET:
        raise UsageError(
            f"{frame.height:,} rows are more than a sheet of a workbook holds "
            f"({ROWS_OF_A_SHEET:,}); write .csv or .parquet"
        )
    title = title[:LONGEST_TITLE]
    # Excel knows no time zones: times are shown as local ones.
    local = frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))
    local.write_excel(
        workbook,
        worksheet=title,
        autofilter=True,
        freeze_panes="A2",
        header_format=HEADER,
        column_formats={column.name: _style(column) for column in frame},
    )
    worksheet: Worksheet = workbook.get_worksheet_by_name(title)
    to_the_right = workbook.add_format({**HEADER, "align": "right", "indent": 1})
    for at, column in enumerate(frame):
        worksheet.set_column(at, at, _width(column))
        if column.dtype.is_numeric():
            worksheet.write_string(0, at, column.name, to_the_right)
    for row, lines in _rows_of_several_lines(frame):
        worksheet.set_row(row + 1, lines * LINE_POINTS)
    _set_up_pages(worksheet, frame, rows_below)
    return worksheet


def _style(column: pl.Series) -> dict[str, Any]:
    """How a cell is shown: numbers to the right, all else to the left."""
    match column.dtype:
        case pl.Decimal():
            return {"valign": "top", "num_format": AMOUNT}
        case dtype if dtype.is_integer():
            return {"valign": "top", "num_format": COUNT}
        case dtype if dtype.is_numeric():
            return {"valign": "top"}
        case pl.Datetime():
            return {"valign": "top", "align": "left", "num_format": "yyyy-mm-dd hh:mm"}
        case pl.Date():
            return {"valign": "top", "align": "left", "num_format": "yyyy-mm-dd"}
        case _:
            return {"valign": "top", "align": "left", "text_wrap": _is_long(column)}


def _is_long(column: pl.Series) -> bool:
    """Whether it holds text that is broken into lines."""
    return column.dtype == pl.String and column.name not in IDS and _longest(column) > WIDEST_TEXT


def _rows_of_several_lines(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """The rows whose texts are broken into lines, and how many; not every reader counts them."""
    long = [column.name for column in frame if _is_long(column)]
    if not long:
        return []
    lines = (pl.col(long).str.len_chars() / LETTERS_OF_A_LINE).ceil().cast(pl.Int64)
    rows = frame.select(lines).select(lines=pl.max_horizontal(long)).with_row_index()
    return [(row, min(n, MOST_LINES)) for row, n in rows.filter(pl.col("lines") > 1).iter_rows()]


def _width(column: pl.Series) -> float:
    """Letters that a column is wide: room for its name, each of its cells and their sum."""
    longest = _longest(column)
    if column.dtype == pl.String:
        room = float(longest if column.name in IDS else min(longest, WIDEST_TEXT))
    else:
        room = ROOM * longest
    return max(len(column.name) + BUTTON, room) + 1


def _longest(column: pl.Series) -> int:
    """Letters of the longest cell as a sheet shows it; of numbers, of what they can add up to."""
    match column.dtype:
        case pl.Datetime():
            return len("2026-11-21 09:00")
        case pl.Date():
            return len("2026-11-21")
        case pl.Decimal():
            return len(f"-{column.abs().sum():,.2f}")
        case dtype if dtype.is_integer():
            return len(f"-{column.abs().sum():,}")
        case _:
            longest: Any = column.cast(pl.String).str.len_chars().max()
            return longest or 0


def _set_up_pages(worksheet: Worksheet, frame: pl.DataFrame, rows_below: int) -> None:
    """Landscape pages as wide as the sheet, each with the header and what the times are."""
    worksheet.set_landscape()
    worksheet.set_paper(A4)
    worksheet.fit_to_pages(1, 0)
    worksheet.repeat_rows(0)
    printed = [name for name in frame.columns if name not in IDS]
    worksheet.print_area(0, 0, frame.height + rows_below, len(printed) - 1)
    worksheet.set_margins(
        left=MARGIN_INCHES, right=MARGIN_INCHES, top=MARGIN_INCHES, bottom=2 * MARGIN_INCHES
    )
    zones = {type_.time_zone for type_ in frame.dtypes if isinstance(type_, pl.Datetime)}
    times = f"times are those of {', '.join(sorted(filter(None, zones)))}" if zones else ""
    worksheet.set_footer(f"&L&A&C{times}&Rpage &P of &N")
