"""A frame's rows as the XML of a worksheet, column by column, kept in a file until it is assembled.

xlsxwriter holds every cell as an object, and writes one at a time: a million rows take gigabytes
and minutes. Here belongs the one thing that is done without it, the cells below a sheet's header.
How cells look is in `sheets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from tempfile import TemporaryFile
from typing import Any

import polars as pl
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name, xl_range
from xlsxwriter.worksheet import Worksheet

# Of a row's number in the sheet, which is 1 for the header, as text: what the cell computes.
Formula = Callable[[pl.Expr], pl.Expr]

# The most that a cell holds; a longer text would make Excel refuse the file.
LETTERS_OF_A_CELL = 32_767
# Excel counts days, and knows no time zones.
EPOCH = date(1899, 12, 30)
EPOCH_TO_1970 = 25_569
MICROSECONDS_OF_A_DAY = 86_400_000_000
# Letters that XML does not hold as they are, as Excel writes them.
LETTERS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\ufffe": "_xFFFE_", "\uffff": "_xFFFF_"} | {
    chr(code): f"_x{code:04X}_" for code in range(0x20) if chr(code) not in "\t\n"
}
COPIED_LETTERS = 1 << 20
# A row's XML, and what it is put together from, has some kilobytes.
ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class Column:
    """How the cells of a column are written: `wrapped` is the format of a text with many lines."""

    name: str
    format: Format
    wrapped: Format
    is_wrapped: pl.Expr
    formula: Formula | None = None


class StreamedWorksheet(Worksheet):  # type: ignore[misc]
    """A worksheet whose rows below the header are given as frames, and not kept in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.dim_rowmax: int
        self._streamed = TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115
        self.rows_streamed = 0

    def add_long_table(self, rows: int, options: dict[str, Any]) -> None:
        """A table of so many rows below the header, with `add_table`'s options.

        `add_table` itself keeps an entry for each cell, to find tables that overlap.
        """
        last = len(options["columns"]) - 1
        self.add_table(0, 0, 1, last, options)
        whole = xl_range(0, 0, max(rows, 1), last)
        self.tables[-1] |= {"range": whole, "a_range": whole, "autofilter": whole}

    def stream(self, frame: pl.DataFrame, columns: Sequence[Column], points: pl.Expr) -> None:
        """Add a frame's rows; `points` say how high a row is, 0 for as high as one line."""
        for some in frame.iter_slices(ROWS_AT_ONCE):
            rows = some.select(_row(self.rows_streamed + 2, columns, frame.schema, points))
            self._streamed.write(rows.to_series().str.join("").item())
            self.rows_streamed += some.height
        self.dim_rowmax = max(self.dim_rowmax, self.rows_streamed)

    def _write_rows(self) -> None:
        """The header, the rows streamed, and what else was written below them."""
        last = self.dim_rowmax
        self.dim_rowmax = 0
        super()._write_rows()
        self._streamed.seek(0)
        while letters := self._streamed.read(COPIED_LETTERS):
            self.fh.write(letters)
        self._streamed.close()
        self.dim_rowmin, self.dim_rowmax = self.rows_streamed + 1, max(last, self.rows_streamed)
        super()._write_rows()


def _row(
    first: int, columns: Sequence[Column], types: Mapping[str, Any], points: pl.Expr
) -> pl.Expr:
    """Each row of a frame as one text; `first` is the number of its first row in the sheet."""
    number = (pl.int_range(pl.len()) + first).cast(pl.String)
    height = pl.when(points > 0).then(pl.format('" ht="{}" customHeight="1', points))
    cells = [
        _cell(xl_col_to_name(at), number, column, types[column.name])
        for at, column in enumerate(columns)
    ]
    return pl.concat_str(
        pl.lit('<row r="'),
        number,
        height.otherwise(pl.lit("")),
        pl.lit('">'),
        *cells,
        pl.lit("</row>"),
    )


def _cell(letters: str, number: pl.Expr, column: Column, type_: pl.DataType) -> pl.Expr:
    """A column's cells, each as one text: empty, of text, or of a number that stands for it."""
    value = pl.col(column.name)
    style = pl.lit(str(column.format._get_xf_index()))
    if type_ == pl.String:
        wrapped = str(column.wrapped._get_xf_index())
        style = pl.when(column.is_wrapped).then(pl.lit(wrapped)).otherwise(style)
    begin = pl.concat_str(pl.lit(f'<c r="{letters}'), number, pl.lit('" s="'), style)
    if column.formula is not None:
        shown = pl.concat_str(
            *(begin, pl.lit('"><f>'), _escaped(column.formula(number)), pl.lit("</f><v>")),
            *(value.cast(pl.String), pl.lit("</v></c>")),
        )
    elif type_ in (pl.String, pl.Enum, pl.Categorical):
        text = value.cast(pl.String).replace("", None)
        shown = pl.concat_str(
            *(begin, pl.lit('" t="inlineStr"><is><t xml:space="preserve">')),
            *(_escaped(text.str.slice(0, LETTERS_OF_A_CELL)), pl.lit("</t></is></c>")),
        )
    else:
        is_boolean = '" t="b' if type_ == pl.Boolean else ""
        shown = pl.concat_str(
            *(begin, pl.lit(f'{is_boolean}"><v>'), _number(value, type_), pl.lit("</v></c>"))
        )
    return pl.coalesce(shown, pl.concat_str(begin, pl.lit('"/>')))


def _number(value: pl.Expr, type_: pl.DataType) -> pl.Expr:
    """The number that stands for a value in a sheet, as text; null for none."""
    if type_ == pl.Date:
        value = (value - pl.lit(EPOCH)).dt.total_days()
    elif type_ == pl.Datetime:
        local = value.dt.replace_time_zone(None).dt.epoch("us")
        value = local / MICROSECONDS_OF_A_DAY + EPOCH_TO_1970
    elif type_ == pl.Boolean:
        value = value.cast(pl.Int8)
    elif type_.is_float():
        value = pl.when(value.is_finite()).then(value)
    return value.cast(pl.String)


def _escaped(text: pl.Expr) -> pl.Expr:
    """Text as XML holds it; what looks like a letter written as its code stays as it is."""
    plain = text.str.replace_all("(_x[0-9a-fA-F]{4}_)", "_x005F${1}")
    return plain.str.replace_many(list(LETTERS), list(LETTERS.values()))
