"""Opening the order warehouse: every form alike, each fault named, a busy file waited for."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from patience import PATIENCE_SECONDS
from warehouses import DUCKDB_FILE, FORMS, PARQUET_FILES, PARQUET_FOLDERS, build, failure

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.warehouse.contract import CONTRACT, LOADS, RAW_TABLES
from vibes_pipeline.warehouse.source import Warehouse


@contextmanager
def mounted(path: Path, patience_seconds: float = 0) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on which the whole contract is mounted."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        with Warehouse(path, patience_seconds).mounted(connection, CONTRACT):
            yield connection


# --- what is mounted ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    with mounted(build(tmp_path, form)) as connection:
        sellers = connection.execute(
            "SELECT seller_id, shop_name, is_jumia_express, onboarded_at::VARCHAR "
            "FROM raw.sellers ORDER BY seller_id"
        ).fetchall()
        money = connection.execute(
            "SELECT item_price::VARCHAR, commission::VARCHAR FROM raw.order_items"
        ).fetchall()
        attachments = connection.execute("SELECT attachments FROM raw.claims").fetchall()
    assert sellers == [
        ("S-1", "O'Hara & ₦", True, "2026-01-02 02:04:05.000006+00"),
        ("S-2", None, None, None),
    ]
    assert money == [("999999999999.99", "0.01")]
    assert attachments == [(["a.pdf", "b.pdf"],)]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_mounted_has_the_contracts_columns_and_no_other(tmp_path: Path, form: str) -> None:
    path = build(
        tmp_path,
        form,
        "ALTER TABLE raw.sellers ADD COLUMN bank_account VARCHAR DEFAULT 'secret'",
        "CREATE TABLE raw.customers (name VARCHAR)",
    )
    with mounted(path) as connection:
        for table in CONTRACT.values():
            described = connection.execute(f"DESCRIBE raw.{table.name}").fetchall()
            assert [row[:2] for row in described] == list(table.columns.items())
        with pytest.raises(duckdb.CatalogException):
            connection.execute("FROM raw.customers")


@pytest.mark.parametrize("form", FORMS)
def test_tables_that_may_be_absent_are_then_empty(tmp_path: Path, form: str) -> None:
    optional = [table.name for table in CONTRACT.values() if table.is_optional]
    assert set(optional) == {
        "dropoff_qc",
        "counterfeit_cases",
        "claims",
        "account_decisions",
        "loads",
    }
    path = build(tmp_path, form, *(f"DROP TABLE raw.{name}" for name in optional))
    assert Warehouse(path).tables() == set(CONTRACT) - set(optional)
    assert LOADS.name not in Warehouse(path).tables()
    with mounted(path) as connection:
        for name in optional:
            described = connection.execute(f"DESCRIBE raw.{name}").fetchall()
            assert [row[:2] for row in described] == list(CONTRACT[name].columns.items())
            assert connection.execute(f"FROM raw.{name}").fetchall() == []


@pytest.mark.parametrize("form", FORMS)
def test_a_warehouse_that_has_every_table_says_so(tmp_path: Path, form: str) -> None:
    warehouse = Warehouse(build(tmp_path, form))
    assert warehouse.tables() == set(CONTRACT)
    assert LOADS.name in warehouse.tables()


def test_a_table_may_be_a_view(tmp_path: Path) -> None:
    path = build(
        tmp_path,
        DUCKDB_FILE,
        "CREATE TABLE main.shops AS FROM raw.sellers",
        "DROP TABLE raw.sellers",
        "CREATE VIEW raw.sellers AS FROM main.shops",
    )
    with mounted(path) as connection:
        assert connection.execute("SELECT count(*) FROM raw.sellers").fetchall() == [(2,)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["o'clock", "week [46]", "a*b"])
def test_a_folder_of_any_name_is_read(tmp_path: Path, form: str, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with mounted(build(folder, form)) as connection:
        assert connection.execute("SELECT count(*) FROM raw.sellers").fetchall() == [(2,)]


def test_nothing_can_be_written_to_the_warehouse(tmp_path: Path) -> None:
    with (
        mounted(build(tmp_path, DUCKDB_FILE)) as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("DELETE FROM order_warehouse.raw.sellers")


def test_only_what_is_asked_for_is_checked(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE, "DROP TABLE raw.products")
    with duckdb.connect() as connection, Warehouse(path).mounted(connection, ["sellers"]):
        assert connection.execute("SELECT count(*) FROM raw.sellers").fetchall() == [(2,)]


# --- what is wrong with it ----------------------------------------------------------------------


def test_a_path_where_nothing_is_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nothing.duckdb"
    told = (
        f"there is no warehouse at {missing}; set VIBES_WAREHOUSE to a DuckDB file or a folder of "
        "Parquet, or make one with `vibes generate`"
    )
    assert failure(missing) == told
    with pytest.raises(WarehouseError) as error:
        Warehouse(missing).tables()
    assert str(error.value) == told


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", ["sellers", "products", "order_items"])
def test_a_missing_table_is_named(tmp_path: Path, form: str, table: str) -> None:
    path = build(tmp_path, form, f"DROP TABLE raw.{table}")
    assert failure(path) == f"{path} has no table raw.{table}; Rulebook §13 names it"


def test_an_empty_folder_has_none_of_the_tables(tmp_path: Path) -> None:
    assert failure(tmp_path).startswith(f"{tmp_path} has no table raw.")


@pytest.mark.parametrize("table", CONTRACT)
def test_a_missing_column_is_named_whichever_it_is(tmp_path: Path, table: str) -> None:
    path = build(tmp_path, DUCKDB_FILE, f"ALTER TABLE raw.{table} ADD COLUMN last_one VARCHAR")
    columns = CONTRACT[table].columns
    last, middle, first = (list(columns)[n] for n in (-1, len(columns) // 2, 0))
    # What comes first in the contract is named of several; what is dropped stays away.
    for column in dict.fromkeys((last, middle, first)):
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"ALTER TABLE raw.{table} DROP COLUMN {column}")
        told = f"raw.{table} in {path} has no column {column} {columns[column]}"
        assert failure(path, table) == told


@pytest.mark.parametrize("form", [PARQUET_FILES, PARQUET_FOLDERS])
def test_a_missing_column_is_named_in_parquet_too(tmp_path: Path, form: str) -> None:
    path = build(tmp_path, form, "ALTER TABLE raw.order_items DROP COLUMN commission")
    assert failure(path) == f"raw.order_items in {path} has no column commission DECIMAL(14,2)"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("column", "type_", "must_be"),
    [
        # Binary floating point is no money.
        ("order_items.commission", "DOUBLE", "DECIMAL(14,2)"),
        ("order_items.item_price", "DECIMAL(14,3)", "DECIMAL(14,2)"),
        # Without a zone nobody knows which instant it is.
        ("order_items.pending_at", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
        ("order_items.delivered_at", "VARCHAR", "TIMESTAMP WITH TIME ZONE"),
        ("order_items.order_item_id", "BIGINT", "VARCHAR"),
        ("sellers.is_jumia_express", "VARCHAR", "BOOLEAN"),
        ("claims.attachments", "VARCHAR", "VARCHAR[]"),
        ("loads.loaded_through", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_a_wrong_type_is_named(
    tmp_path: Path, form: str, column: str, type_: str, must_be: str
) -> None:
    table, name = column.split(".")
    path = build(
        tmp_path,
        form,
        f"DELETE FROM raw.{table}",
        f"ALTER TABLE raw.{table} ALTER {name} TYPE {type_} USING NULL",
    )
    assert failure(path) == f"raw.{column} in {path} is {type_}; it must be {must_be}"


@pytest.mark.parametrize("part", ["a first one", "the last one"])
@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("SELECT * EXCLUDE commission FROM raw.order_items", "has no column commission"),
        ("SELECT * REPLACE (0.5::DOUBLE AS commission) FROM raw.order_items", "is DOUBLE"),
    ],
    ids=["a missing column", "a wrong type"],
)
def test_a_parquet_part_that_is_not_like_the_others_is_told(
    tmp_path: Path, rows: str, fault: str, part: str
) -> None:
    path = build(tmp_path, PARQUET_FOLDERS)
    odd_one = path / "order_items" / f"{part}.parquet"
    with duckdb.connect() as connection:
        with Warehouse(path).mounted(connection, ["order_items"]):
            connection.execute(f"CREATE TABLE odd AS {rows}")
        connection.table("odd").write_parquet(str(odd_one))
    said = failure(path, "order_items")
    assert "raw.order_items" in said
    assert "commission" in said
    assert fault in said


def test_a_folder_of_a_table_without_files_is_named(tmp_path: Path) -> None:
    path = build(tmp_path, PARQUET_FOLDERS)
    shutil.rmtree(path / "products")
    (path / "products").mkdir()
    assert failure(path).startswith(f"{path} has no table raw.products")


def test_a_parquet_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = build(tmp_path, PARQUET_FILES)
    (path / "products.parquet").write_text("sku,seller_id")
    assert failure(path).startswith(f"raw.products in {path} cannot be read: ")


@pytest.mark.parametrize("folder", ["plain", "clocks and blocks"])
@pytest.mark.parametrize("fault", ["text", "cut short", "overwritten inside"])
def test_a_file_that_is_no_duckdb_file_is_told_at_once(
    tmp_path: Path, folder: str, fault: str
) -> None:
    # The message of none of them may be taken for that of a locked file, and waited on.
    (tmp_path / folder).mkdir()
    path = build(tmp_path / folder, DUCKDB_FILE)
    content = path.read_bytes()
    match fault:
        case "text":
            path.write_text("seller_id,shop_name\n" * 1000)
        case "cut short":
            path.write_bytes(content[:10_000])
        case "overwritten inside":
            path.write_bytes(content[:4096] + b"\x55" * 8192 + content[12288:])
    started = time.monotonic()
    said = failure(path, "sellers", patience_seconds=0.5)
    assert said.startswith(f"{path} cannot be read as a DuckDB file: ")
    assert time.monotonic() - started < 0.5


# --- a busy file --------------------------------------------------------------------------------

LOADER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO raw.sellers BY NAME SELECT 'S-3' AS seller_id")
print("loading", flush=True)
sys.stdin.readline()
"""


@contextmanager
def loading(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the file until a line is written to it."""
    loader = subprocess.Popen(
        [sys.executable, "-c", LOADER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert loader.stdout is not None
    assert loader.stdin is not None
    try:
        assert loader.stdout.readline() == "loading\n"
        yield loader
    finally:
        _finish(loader)
        loader.communicate(timeout=PATIENCE_SECONDS)


def _finish(loader: subprocess.Popen[str]) -> None:
    assert loader.stdin is not None
    if loader.poll() is None:
        loader.stdin.write("\n")
        loader.stdin.flush()


def test_a_file_that_stays_busy_is_an_error_after_our_patience(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    with loading(path):
        started = time.monotonic()
        said = failure(path, patience_seconds=0.6)
        waited = time.monotonic() - started
    assert said == (
        f"{path} stayed locked by another process for 1 seconds; let its loader finish, or have it "
        "rename a fresh file into place"
    )
    assert 0.6 <= waited < 5


def test_a_busy_file_is_opened_once_its_loader_is_done(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    with loading(path) as loader:
        end = threading.Timer(0.4, lambda: _finish(loader))
        end.start()
        with mounted(path, patience_seconds=20) as connection:
            rows = connection.execute("SELECT count(*) FROM raw.sellers").fetchall()
        end.join()
    assert rows == [(3,)]


def test_a_loader_can_write_once_we_have_read(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    with duckdb.connect() as ours:
        with Warehouse(path).mounted(ours, RAW_TABLES):
            ours.execute("FROM raw.sellers").fetchall()
        with loading(path):
            pass


def test_two_may_read_at_once(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    with mounted(path) as one, mounted(path) as other:
        assert (
            one.execute("FROM raw.sellers").fetchall()
            == other.execute("FROM raw.sellers").fetchall()
        )


def test_a_mount_that_fails_leaves_the_connection_usable(tmp_path: Path) -> None:
    broken = build(tmp_path, DUCKDB_FILE, "DROP TABLE raw.products")
    (tmp_path / "whole").mkdir()
    whole = build(tmp_path / "whole", DUCKDB_FILE)
    with duckdb.connect() as connection:
        with (
            pytest.raises(WarehouseError, match=r"no table raw.products"),
            Warehouse(broken).mounted(connection, CONTRACT),
        ):
            pass
        with Warehouse(whole).mounted(connection, CONTRACT):
            assert connection.execute("SELECT count(*) FROM raw.sellers").fetchall() == [(2,)]
