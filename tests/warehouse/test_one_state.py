"""What is read through one `Warehouse` is of one state, whatever its loader does meanwhile (§2)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pytest
from warehouse.parts import ids, write_part
from warehouse.warehouses import DUCKDB_FILE, FORMS, build, failure

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse import database_file
from vibes_pipeline.warehouse.source import SteadyWarehouse, Warehouse

CHANGED = (
    "{} was changed while it was read; run the same again: it reads one state of the warehouse, "
    "or nothing"
)
OLD, NEW = ["S-1", "S-2"], ["S-1"]


def fresh_file(folder: Path) -> Path:
    """Another DuckDB file, in which one seller is gone."""
    (folder / "fresh").mkdir(exist_ok=True)
    return build(folder / "fresh", DUCKDB_FILE, "DELETE FROM raw.sellers WHERE seller_id = 'S-2'")


# --- a DuckDB file --------------------------------------------------------------------------------


def test_a_file_that_is_renamed_into_place_is_not_read_by_who_read_the_old_one(
    tmp_path: Path,
) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    begun = Warehouse(path)
    assert ids(begun) == OLD
    for _ in range(2):
        os.replace(fresh_file(tmp_path), path)
        assert ids(begun) == OLD
        assert ids(Warehouse(path)) == NEW
    path.unlink()
    assert ids(begun) == OLD


def test_where_the_system_cannot_open_it_again_a_renamed_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_file, "HELD_FILES", tmp_path / "no such folder")
    path = build(tmp_path, DUCKDB_FILE)
    begun = Warehouse(path)
    assert ids(begun) == OLD
    assert ids(begun) == OLD
    os.replace(fresh_file(tmp_path), path)
    assert failure(begun, "sellers") == CHANGED.format(path)


def written_into(path: Path) -> None:
    with duckdb.connect(str(path)) as loader:
        loader.execute("DELETE FROM raw.sellers WHERE seller_id = 'S-2'")


def copied_over(path: Path) -> None:
    shutil.copyfile(fresh_file(path.parent), path)


@pytest.mark.parametrize("load", [written_into, copied_over])
def test_a_file_that_was_written_into_is_an_error_for_who_has_read_it(
    tmp_path: Path, load: Callable[[Path], None]
) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    begun = Warehouse(path)
    assert ids(begun) == OLD
    load(path)
    assert failure(begun, "sellers") == CHANGED.format(path)
    assert ids(Warehouse(path)) == NEW


def test_a_file_that_is_copied_over_during_a_query_is_an_error(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    with (
        duckdb.connect() as connection,
        pytest.raises(WarehouseError) as error,
        Warehouse(path).mounted(connection, ["sellers"]),
    ):
        copied_over(path)
    assert str(error.value) == CHANGED.format(path)


def test_a_file_that_was_written_into_and_then_replaced_is_an_error_too(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    begun = Warehouse(path)
    assert ids(begun) == OLD
    written_into(path)
    os.replace(fresh_file(tmp_path), path)
    assert failure(begun, "sellers") == CHANGED.format(path)


def test_the_log_of_the_file_that_came_later_does_not_matter(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    begun = Warehouse(path)
    assert ids(begun) == OLD
    os.replace(fresh_file(tmp_path), path)
    path.with_name(f"{path.name}.wal").write_bytes(b"of its next load")
    assert ids(begun) == OLD


# --- a folder of Parquet --------------------------------------------------------------------------


def part_replaced(raw: Path) -> Path:
    write_part(raw / "sellers" / "b.parquet", "c")
    return raw / "sellers" / "b.parquet"


def part_removed(raw: Path) -> Path:
    (raw / "sellers" / "a.parquet").unlink()
    return raw / "sellers" / "a.parquet"


def folder_replaced(raw: Path) -> Path:
    (raw / "sellers").rename(raw / "_old")
    write_part(raw / "sellers" / "a.parquet", "a")
    return raw / "sellers" / "a.parquet"


@pytest.mark.parametrize("load", [part_replaced, part_removed, folder_replaced])
def test_a_part_that_is_another_one_by_now_is_named(
    tmp_path: Path, load: Callable[[Path], Path]
) -> None:
    for name in "ab":
        write_part(tmp_path / "sellers" / f"{name}.parquet", name)
    begun = Warehouse(tmp_path)
    assert ids(begun) == ["a", "b"]
    part = load(tmp_path)
    assert failure(begun, "sellers") == CHANGED.format(part)


def part_added(raw: Path) -> None:
    write_part(raw / "sellers" / "c.parquet", "c")


def another_table_replaced(raw: Path) -> None:
    write_part(raw / "products.parquet", "not read here")


UNNOTICED: Mapping[str, Callable[[Path], None]] = {
    "a part comes": part_added,
    "a table that is not read comes": another_table_replaced,
}


@pytest.mark.parametrize("load", UNNOTICED.values(), ids=UNNOTICED.keys())
def test_what_comes_after_the_first_query_is_not_read(
    tmp_path: Path, load: Callable[[Path], None]
) -> None:
    for name in "ab":
        write_part(tmp_path / "sellers" / f"{name}.parquet", name)
    begun = Warehouse(tmp_path)
    assert ids(begun) == ["a", "b"]
    load(tmp_path)
    assert ids(begun) == ["a", "b"]


def test_a_table_is_read_as_it_was_at_the_first_query_of_any(tmp_path: Path) -> None:
    write_part(tmp_path / "sellers.parquet", "a")
    begun = Warehouse(tmp_path)
    assert begun.tables() == {"sellers"}
    write_part(tmp_path / "sellers.parquet", "b")
    assert failure(begun, "sellers") == CHANGED.format(tmp_path / "sellers.parquet")


# --- one slot after another -----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_who_runs_slot_after_slot_has_one_object_until_the_next_load(
    form: str, tmp_path: Path
) -> None:
    path = build(tmp_path, form)
    steady = SteadyWarehouse(Settings.from_environment({"VIBES_WAREHOUSE": str(path)}))
    first = steady.now()
    assert ids(first) == OLD
    assert steady.now() is first
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    build(tmp_path, form, "DELETE FROM raw.sellers WHERE seller_id = 'S-2'")
    second = steady.now()
    assert ids(second) == NEW
    assert steady.now() is second
