"""Parquet parts of a table as other programmes write them, and what a warehouse reads of them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from vibes_pipeline.parquet import sql_text
from vibes_pipeline.warehouse.contract import CONTRACT
from vibes_pipeline.warehouse.source import Warehouse


def write_part(file: Path, row_id: str, selected: str = "*") -> None:
    """One row of the sellers in a Parquet file: `selected` is what is written of it, in SQL."""
    columns = ", ".join(
        f"CAST({sql_text(row_id) if name == 'seller_id' else 'NULL'} AS {type_}) AS {name}"
        for name, type_ in CONTRACT["sellers"].columns.items()
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    written = duckdb.sql(f"SELECT {selected} FROM (SELECT {columns})")
    # By another name first, as DuckDB would take what is odd in this one for a pattern.
    plain = file.with_name("being-written")
    written.write_parquet(str(plain))
    plain.rename(file)


def rows(warehouse: Warehouse | Path, columns: str = "seller_id") -> list[tuple[object, ...]]:
    """What the warehouse has of the sellers, in order of these columns."""
    opened = warehouse if isinstance(warehouse, Warehouse) else Warehouse(warehouse, 0)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        with opened.mounted(connection, ["sellers"]):
            return connection.execute(f"SELECT {columns} FROM raw.sellers ORDER BY ALL").fetchall()


def ids(warehouse: Warehouse | Path) -> list[object]:
    """The sellers' ids, in order."""
    return [seller_id for (seller_id,) in rows(warehouse)]
