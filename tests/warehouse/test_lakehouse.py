"""A lakehouse as the order warehouse: a catalog's tables, or Parquet at a URL, through a server."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from engine.sail import sail, with_tables
from parts import write_part
from warehouses import PARQUET_FILES, PARQUET_FOLDERS, build, failure

from vibes_pipeline.errors import EngineError, WarehouseError
from vibes_pipeline.memory import Memory
from vibes_pipeline.settings import Lakehouse
from vibes_pipeline.warehouse import freshness
from vibes_pipeline.warehouse.contract import CONTRACT
from vibes_pipeline.warehouse.source import Warehouse

pytest.importorskip("pysail", reason="the extra `test` brings Sail")

CATALOG, URL = "a catalog", "a URL"
OPTIONAL = [table.name for table in CONTRACT.values() if table.is_optional]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with sail() as url:
        yield url


@pytest.fixture(params=[CATALOG, URL])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a test builds the lakehouse's Parquet; each session finds it in its catalog."""
    with with_tables(tmp_path / "warehouse"):
        yield tmp_path


def lakehouse(folder: Path, server: str, form: str) -> Warehouse:
    place = "sail.orders" if form == CATALOG else f"file://{folder / 'warehouse'}"
    return Warehouse(Lakehouse(place, server), memory=Memory("1GB", folder / "spill"))


def in_order(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """Every table's columns with their types, and its rows."""
    with duckdb.connect() as connection, warehouse.mounted(connection, CONTRACT):
        connection.execute("SET TimeZone = 'UTC'")
        return {
            name: [
                *(row[:2] for row in connection.execute(f"DESCRIBE raw.{name}").fetchall()),
                *connection.execute(f"FROM raw.{name} ORDER BY ALL").fetchall(),
            ]
            for name in CONTRACT
        }


def test_a_lakehouse_gives_the_same_rows_as_its_files(folder: Path, server: str, form: str) -> None:
    path = build(
        folder,
        PARQUET_FOLDERS if form == CATALOG else PARQUET_FILES,
        "ALTER TABLE raw.sellers ADD COLUMN bank_account VARCHAR DEFAULT 'secret'",
        "CREATE TABLE raw.customers (name VARCHAR)",
        "DROP TABLE raw.dropoff_qc",
    )
    warehouse = lakehouse(folder, server, form)
    assert in_order(warehouse) == in_order(Warehouse(path))
    assert warehouse.tables() == CONTRACT.keys() - {"dropoff_qc"}


def test_copies_are_made_of_what_is_read_alone_and_go_with_their_reader(
    folder: Path, server: str, form: str
) -> None:
    build(folder, PARQUET_FOLDERS, *(f"DROP TABLE raw.{name}" for name in OPTIONAL))
    warehouse, spill = lakehouse(folder, server, form), folder / "spill"
    assert freshness.loaded_through(warehouse) is None
    assert [*spill.rglob("*.parquet")] == []
    with duckdb.connect() as connection, warehouse.mounted(connection, ["sellers"]):
        assert {file.parent.name for file in spill.rglob("*.parquet")} == {"sellers"}
    del warehouse
    gc.collect()
    assert [*spill.glob("*-tables-*")] == []


def test_a_lakehouse_is_of_one_state_or_says_that_it_was_changed(
    folder: Path, server: str, form: str
) -> None:
    path = build(folder, PARQUET_FOLDERS)
    warehouse = lakehouse(folder, server, form)
    before, version = in_order(warehouse), warehouse.version()
    write_part(path / "sellers" / "part-9.parquet", "S-9")
    assert failure(warehouse, "sellers").endswith(
        "was changed while it was read; run the same again: it reads one state of the warehouse, "
        "or nothing"
    )
    after = lakehouse(folder, server, form)
    assert len(in_order(after)["sellers"]) == len(before["sellers"]) + 1
    assert None is not version != after.version()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE raw.products", "{place} has no table raw.products; Rulebook §13 names it"),
        (
            "ALTER TABLE raw.sellers DROP COLUMN email",
            "raw.sellers in {place} has no column email VARCHAR",
        ),
        (
            "ALTER TABLE raw.order_items ALTER item_price TYPE DECIMAL(16,2)",
            "raw.order_items.item_price in {place} is DECIMAL(16,2); it must be DECIMAL(14,2)",
        ),
        (
            "ALTER TABLE raw.claims ALTER raised_at TYPE TIMESTAMP",
            "raw.claims.raised_at in {place} is TIMESTAMP; it must be TIMESTAMP WITH TIME ZONE",
        ),
        (
            "ALTER TABLE raw.products ALTER category TYPE INTEGER",
            "raw.products.category in {place} is INTEGER; it must be VARCHAR",
        ),
    ],
)
def test_what_breaks_the_contract_is_named(
    folder: Path, server: str, change: str, said: str
) -> None:
    build(folder, PARQUET_FOLDERS, change)
    warehouse = lakehouse(folder, server, CATALOG)
    with pytest.raises(WarehouseError) as refused:
        freshness.loaded_through(warehouse)
    assert str(refused.value) == said.format(place="spark:sail.orders")
    assert [*folder.glob("spill/*/*")] == []


def test_a_table_that_a_url_has_twice_is_an_error(folder: Path, server: str) -> None:
    path = build(folder, PARQUET_FOLDERS)
    write_part(path / "sellers.parquet", "S-9")
    assert failure(lakehouse(folder, server, URL)).startswith("a table is there twice, as file:///")


@pytest.mark.parametrize(
    ("place", "url", "said"),
    [
        ("sail.nowhere", "", "could not list the tables of sail.nowhere: Database not found"),
        ("sail.orders", "sc://127.0.0.1:1", "nothing answers at 127.0.0.1:1"),
    ],
)
def test_a_lakehouse_that_cannot_be_read_is_one_line(
    folder: Path, server: str, place: str, url: str, said: str
) -> None:
    build(folder, PARQUET_FOLDERS)
    with pytest.raises(EngineError) as refused:
        Warehouse(Lakehouse(place, url or server)).tables()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_where_no_files_are_named_raw_loads_tells_of_a_change(
    folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql.connect.dataframe import DataFrame

    # As Sail does of Delta.
    monkeypatch.setattr(DataFrame, "inputFiles", lambda _: [])
    told = "INSERT INTO raw.loads VALUES ('sellers', TIMESTAMPTZ '2026-11-16 06:00:00+00')"
    path = build(folder, PARQUET_FOLDERS, told)
    warehouse = lakehouse(folder, server, CATALOG)
    in_order(warehouse)
    write_part(path / "sellers" / "part-9.parquet", "S-9")
    in_order(warehouse)
    build(folder, PARQUET_FILES, told.replace("06:00", "07:00"))
    (path / "loads.parquet").replace(path / "loads" / "part-0.parquet")
    assert "sail.orders.sellers was changed while it was read" in failure(warehouse, "sellers")
