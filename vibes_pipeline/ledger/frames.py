"""Rows of the ledger as frames: each column's type is that which `schema` gives it.

Here belongs how any query becomes a frame. Which rows the rules need is `history`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger.copy_out import copy_out
from vibes_pipeline.ledger.ledger import Ledger

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

IN_UTC = pl.Datetime("us", "UTC")


def frame_type(
    column: sa.ColumnElement[Any], instant: pl.Datetime = IN_UTC
) -> pl.DataType | type[pl.DataType]:
    """What a column of the ledger is in a frame; ids and JSON are text there."""
    match column.type:
        case sa.Numeric(precision=int(precision), scale=int(scale)):
            return pl.Decimal(precision, scale)
        case sa.BigInteger():
            return pl.Int64
        case sa.Integer():
            return pl.Int32
        case sa.Date():
            return pl.Date
        case sa.DateTime():
            return instant
        case sa.Boolean():
            return pl.Boolean
        case _:
            return pl.String


def frame_schema(
    columns: Iterable[sa.ColumnElement[Any]], instant: pl.Datetime = IN_UTC
) -> dict[str, pl.DataType | type[pl.DataType]]:
    """What columns are in a frame, by name."""
    return {name_of(column): frame_type(column, instant) for column in columns}


def in_frame(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column as a frame can hold it, under its name: ids and JSON as text."""
    if isinstance(column.type, sa.Uuid | sa.JSON):
        return sa.cast(column, sa.Text).label(name_of(column))
    return column


def name_of(column: sa.ColumnElement[Any]) -> str:
    """The name of a table's column, or the label of an expression."""
    assert isinstance(column, sa.Column | sa.Label), column
    return str(column.name)


def read_in_batches(
    connection: sa.Connection,
    select: sa.Select[Any],
    do: Callable[[pl.DataFrame], object],
    instant: pl.Datetime = IN_UTC,
) -> None:
    """Run `do` with the rows of one query, some thousand at a time (see `copy_out`).

    Every column that is none of a table has a label.
    """
    copy_out(connection, select, frame_schema(select.selected_columns, instant), do)


def read(
    connection: sa.Connection, select: sa.Select[Any], instant: pl.Datetime = IN_UTC
) -> pl.DataFrame:
    """All rows of the same as one frame."""
    frames = [pl.DataFrame(schema=frame_schema(select.selected_columns, instant))]
    read_in_batches(connection, select, frames.append, instant)
    return pl.concat(frames)


def read_frame(ledger: Ledger, select: sa.Select[Any]) -> pl.DataFrame:
    """The same in a moment of its own."""
    with ledger.reading() as connection:
        return read(connection, select)
