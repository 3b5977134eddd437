"""Writing a warehouse's rows as Parquet, as they are: no value is refused for its oddness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rules.marketplace import TYPES
from storm.world import Row, Tables

from vibes_pipeline.warehouse.contract import CONTRACT, INSTANT


def write(tables: Tables, folder: Path) -> Path:
    """One Parquet file per table of a new folder."""
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        frame(name, rows).write_parquet(folder / f"{name}.parquet")
    return folder


def frame(table: str, rows: Sequence[Row]) -> pl.DataFrame:
    """The rows with the contract's columns and types."""
    return pl.DataFrame(
        {
            name: column(type_, [row[name] for row in rows])
            for name, type_ in CONTRACT[table].columns.items()
        }
    )


def column(type_: str, values: Sequence[object]) -> pl.Series:
    """A column of a contract's type; instants come as numbers of microseconds."""
    if type_ == INSTANT:
        return pl.Series(values, dtype=pl.Int64()).cast(pl.Datetime("us", "UTC"))
    return pl.Series(values, dtype=TYPES[type_])
