"""Small order warehouses in each form that Rulebook §13 allows, whole or with something wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.warehouse.contract import CONTRACT
from vibes_pipeline.warehouse.source import Warehouse

DUCKDB_FILE, PARQUET_FILES, PARQUET_FOLDERS = "a DuckDB file", "Parquet files", "Parquet folders"
FORMS = (DUCKDB_FILE, PARQUET_FILES, PARQUET_FOLDERS)

ROWS = (
    "INSERT INTO raw.sellers BY NAME SELECT 'S-1' AS seller_id, 'O''Hara & ₦' AS shop_name, "
    "true AS is_jumia_express, TIMESTAMPTZ '2026-01-02 03:04:05.000006+01' AS onboarded_at",
    "INSERT INTO raw.sellers BY NAME SELECT 'S-2' AS seller_id",
    "INSERT INTO raw.products BY NAME SELECT 'SKU-A' AS sku, 'S-1' AS seller_id",
    "INSERT INTO raw.order_items BY NAME SELECT 'I1' AS order_item_id, "
    "999999999999.99 AS item_price, 0.01 AS commission",
    "INSERT INTO raw.claims BY NAME SELECT 'C1' AS claim_id, ['a.pdf', 'b.pdf'] AS attachments",
)


def build(folder: Path, form: str, *changes: str) -> Path:
    """A warehouse of that form under the folder: the rows above, after the SQL of `changes`."""
    file = folder / "warehouse.duckdb"
    file.write_bytes(_unchanged())
    with duckdb.connect(str(file)) as connection:
        for statement in changes:
            connection.execute(statement)
        if form == DUCKDB_FILE:
            return file
        out = folder / "warehouse"
        _write_parquet(connection, out, form)
    file.unlink()
    return out


def failure(warehouse: Warehouse | Path, *tables: str, patience_seconds: float = 0) -> str:
    """The one line that reading the tables, by default all, fails with."""
    if isinstance(warehouse, Path):
        warehouse = Warehouse(warehouse, patience_seconds)
    with pytest.raises(WarehouseError) as error:
        _read(warehouse, tables or tuple(CONTRACT))
    assert "\n" not in str(error.value)
    return str(error.value)


def _read(warehouse: Warehouse, tables: Sequence[str]) -> None:
    with duckdb.connect() as connection, warehouse.mounted(connection, tables):
        for table in tables:
            connection.execute(f"FROM raw.{table}").fetchall()


@cache
def _unchanged() -> bytes:
    """A DuckDB file with every table and the rows above."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "warehouse.duckdb")
        with duckdb.connect(str(file)) as connection:
            connection.execute("CREATE SCHEMA raw")
            for table in CONTRACT.values():
                columns = ", ".join(f"{name} {type_}" for name, type_ in table.columns.items())
                connection.execute(f"CREATE TABLE raw.{table.name} ({columns})")
            for statement in ROWS:
                connection.execute(statement)
        return file.read_bytes()


def _write_parquet(connection: duckdb.DuckDBPyConnection, out: Path, form: str) -> None:
    names = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw'"
    ).fetchall()
    for (name,) in names:
        table = connection.table(f"raw.{name}")
        if form == PARQUET_FILES:
            out.mkdir(exist_ok=True)
            table.write_parquet(str(out / f"{name}.parquet"))
        else:
            # Several files, some in folders of their own, as engines of many machines write them.
            for part, rows in (("part-0", table.limit(1)), ("more/part-1", table.limit(99, 1))):
                file = out / name / f"{part}.parquet"
                file.parent.mkdir(parents=True, exist_ok=True)
                rows.write_parquet(str(file))
