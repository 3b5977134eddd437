"""Up to when the warehouse is complete, and the gate that asks for it (Rulebook §13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from warehouses import DUCKDB_FILE, FORMS, build

from vibes_pipeline.errors import StaleWarehouse, WarehouseError
from vibes_pipeline.warehouse.contract import RAW_TABLES
from vibes_pipeline.warehouse.freshness import loaded_through, require_complete
from vibes_pipeline.warehouse.source import Warehouse

LAGOS = ZoneInfo("Africa/Lagos")
WEEK_END = datetime(2026, 11, 16, tzinfo=LAGOS)
ENOUGH = "2026-11-16 00:00:00+01"
EVERY_TABLE = dict.fromkeys(RAW_TABLES, ENOUGH)

NO_ENTRY = "the warehouse is not complete through 2026-11-16 00:00: raw.{} (no entry); "
ONLY_UNTIL = "the warehouse is not complete through 2026-11-16 00:00: raw.{} ({}); "

Entries = Sequence[tuple[str, str | None]]


def warehouse(folder: Path, entries: Entries, *changes: str, form: str = DUCKDB_FILE) -> Warehouse:
    """A warehouse that says of these tables up to when they are complete."""
    rows = [
        f"INSERT INTO raw.loads VALUES ('{table}', nullif('{at}', 'None')::TIMESTAMPTZ)"
        for table, at in entries
    ]
    return Warehouse(build(folder, form, *rows, *changes))


def without(*tables: str) -> Mapping[str, str]:
    return {table: at for table, at in EVERY_TABLE.items() if table not in tables}


COMPLETE: dict[str, tuple[Entries, tuple[str, ...]]] = {
    "every table to the very instant": ([*EVERY_TABLE.items()], ()),
    "the same instant in another zone": (
        [(table, "2026-11-15 23:00:00+00") for table in RAW_TABLES],
        (),
    ),
    "later than is asked": ([(table, "2026-11-16 06:00:00+01") for table in RAW_TABLES], ()),
    "the newest entry counts": (
        [*EVERY_TABLE.items(), ("order_items", "2026-11-15 00:00:00+01"), ("sellers", None)],
        (),
    ),
    "a table that is absent needs no entry": (
        [*without("claims", "dropoff_qc").items()],
        ("DROP TABLE raw.claims", "DROP TABLE raw.dropoff_qc"),
    ),
    "entries of tables that no rule reads do not matter": (
        [*EVERY_TABLE.items(), ("customers", "1999-01-01 00:00:00+01")],
        (),
    ),
}


@pytest.mark.parametrize(("entries", "changes"), COMPLETE.values(), ids=COMPLETE.keys())
def test_a_warehouse_is_complete_when(
    tmp_path: Path, entries: Entries, changes: tuple[str, ...]
) -> None:
    assert require_complete(warehouse(tmp_path, entries, *changes), WEEK_END, LAGOS) is True


STALE: dict[str, tuple[Entries, str]] = {
    "a table is an instant short": (
        [*without("order_items").items(), ("order_items", "2026-11-15 23:59:59.999999+01")],
        ONLY_UNTIL.format("order_items", "2026-11-15 23:59"),
    ),
    "a table is short, told in local time": (
        [*without("sellers").items(), ("sellers", "2026-11-15 21:30:00+00")],
        ONLY_UNTIL.format("sellers", "2026-11-15 22:30"),
    ),
    "a table has no entry": ([*without("products").items()], NO_ENTRY.format("products")),
    "a table that may be absent is there without entry": (
        [*without("claims").items()],
        NO_ENTRY.format("claims"),
    ),
    "an entry says nothing": (
        [*without("products").items(), ("products", None)],
        NO_ENTRY.format("products"),
    ),
}


@pytest.mark.parametrize(("entries", "message"), STALE.values(), ids=STALE.keys())
def test_a_warehouse_is_stale_when(tmp_path: Path, entries: Entries, message: str) -> None:
    with pytest.raises(StaleWarehouse) as error:
        require_complete(warehouse(tmp_path, entries), WEEK_END, LAGOS)
    assert str(error.value) == message + "load it and run the slot again"


def test_every_stale_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(StaleWarehouse) as error:
        require_complete(warehouse(tmp_path, []), WEEK_END, LAGOS)
    assert all(f"raw.{table} (no entry)" in str(error.value) for table in RAW_TABLES)


def test_only_the_tables_that_a_slot_needs_must_be_complete(tmp_path: Path) -> None:
    # The late slots look at open items alone.
    fresh = warehouse(tmp_path, [("order_items", ENOUGH), ("sellers", "1999-01-01 00:00:00+01")])
    assert require_complete(fresh, WEEK_END, LAGOS, ["order_items"]) is True
    with pytest.raises(StaleWarehouse) as error:
        require_complete(fresh, WEEK_END, LAGOS, ["order_items", "sellers"])
    assert "raw.sellers (1999-01-01 00:00)" in str(error.value)
    assert "raw.order_items" not in str(error.value)


def test_without_the_table_of_loads_nobody_knows(tmp_path: Path) -> None:
    silent = warehouse(tmp_path, [], "DROP TABLE raw.loads")
    assert loaded_through(silent) is None
    assert require_complete(silent, WEEK_END, LAGOS) is False


@pytest.mark.parametrize(
    "changes", [(), ("DROP TABLE raw.loads",)], ids=["fresh", "nobody knows how fresh"]
)
def test_every_table_must_keep_the_contract_whatever_a_slot_needs(
    tmp_path: Path, changes: tuple[str, ...]
) -> None:
    broken = warehouse(
        tmp_path, [*EVERY_TABLE.items()], "ALTER TABLE raw.claims DROP category", *changes
    )
    with pytest.raises(WarehouseError, match=r"raw\.claims in .* has no column category VARCHAR"):
        require_complete(broken, WEEK_END, LAGOS, ["order_items"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_the_same(tmp_path: Path, form: str) -> None:
    told = loaded_through(warehouse(tmp_path, [("order_items", ENOUGH)], form=form))
    assert told == {table: WEEK_END if table == "order_items" else None for table in RAW_TABLES}


def test_a_warehouse_that_is_not_there_is_no_stale_one(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="there is no warehouse at"):
        require_complete(Warehouse(tmp_path / "nothing.duckdb"), WEEK_END, LAGOS)


ODD_ENTRIES = ("infinity", "-infinity", "0001-01-01 00:00:00+00", "294247-01-10 04:00:54.775806+00")


@pytest.mark.parametrize("odd", ODD_ENTRIES)
def test_an_entry_with_an_instant_that_is_none_is_an_error_that_names_the_table(
    tmp_path: Path, odd: str
) -> None:
    """Whatever else is said of the table, and whatever a slot needs."""
    broken = warehouse(tmp_path, [*EVERY_TABLE.items(), ("sellers", odd)])
    with pytest.raises(WarehouseError) as error:
        require_complete(broken, WEEK_END, LAGOS, ["order_items"])
    text = str(error.value)
    assert text.startswith("raw.loads says that a table is complete through an instant")
    assert "outside the years 1970 to 2200: raw.sellers (" in text
    assert text.endswith("mend raw.loads and run the slot again")
    assert "\n" not in text


def test_an_odd_entry_of_a_table_that_no_rule_reads_does_not_matter(tmp_path: Path) -> None:
    fresh = warehouse(tmp_path, [*EVERY_TABLE.items(), ("customers", "infinity")])
    assert require_complete(fresh, WEEK_END, LAGOS) is True
