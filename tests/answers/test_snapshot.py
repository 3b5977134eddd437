"""The copy of the warehouse shows a slot every row that it may see, and its other tables whole (§13, §16)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rules.marketplace import Marketplace
from storm.files import write
from storm.world import Row, Tables, micros, world

from vibes_pipeline.answers.snapshot import Snapshot, take
from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.warehouse.source import Warehouse

AT = Marketplace().at
SINCE, UNTIL = AT("Wed+1 07:00"), AT("Sat+3 09:00")
# Beyond all that a calendar has; DuckDB writes so what it calls infinity.
INFINITY = 2**63 - 1
TIMES = (
    "ready_to_ship_at",
    "shipped_at",
    "delivered_at",
    "cancelled_at",
    "rejected_at",
    "returned_at",
)


def odd() -> Tables:
    """The small marketplace, and items that are pending later, twice, never or at no time at all."""
    tables = world()
    like = tables["order_items"][0]

    def item(name: str, pending_at: int | None, **times: int) -> Row:
        bare: dict[str, Any] = {**like, **dict.fromkeys(TIMES)}
        return {**bare, "order_item_id": name, "pending_at": pending_at, **times}

    later, last = micros(AT("Mon+3 12:00")), micros(AT("Sun+3 12:00"))
    tables["order_items"] += [
        item("at the edge", micros(SINCE + timedelta(weeks=1))),
        item("later", later),
        item("shipped before it is pending", last, shipped_at=later),
        item("after all slots", last),
        item("twice", last),
        item("twice", later),
        item("never pending", None),
        item("infinite", INFINITY),
        item("infinite in part", micros(SINCE), shipped_at=INFINITY),
    ]
    return tables


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(odd(), tmp_path_factory.mktemp("odd") / "raw")


@pytest.fixture(scope="module")
def snapshot(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return take(Warehouse(raw), tmp_path_factory.mktemp("taken") / "seen", SINCE, UNTIL)


def rows(warehouse: Path, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table as text, sorted."""
    reader = Warehouse(warehouse)
    with duckdb.connect() as connection, reader.mounted(connection, [table]):
        found = connection.execute(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM raw.{table}")
        return sorted(found.fetchall(), key=repr)


def items(warehouse: Path) -> list[str]:
    return sorted(row[0] for row in rows(warehouse, "order_items"))


@pytest.mark.parametrize(
    ("at", "unseen"),
    [
        pytest.param(
            SINCE,
            ["after all slots", "at the edge", "infinite", "later", "shipped before it is pending"],
            id="the first slot",
        ),
        pytest.param(
            SINCE + timedelta(weeks=1),
            ["after all slots", "infinite", "later", "shipped before it is pending"],
            id="a week later, to the second",
        ),
        pytest.param(AT("Mon+3 12:00"), ["after all slots", "infinite"], id="in that week"),
        pytest.param(UNTIL, ["after all slots", "infinite"], id="the last slot"),
    ],
)
def test_a_slot_sees_every_item_with_a_time_that_has_come(
    raw: Path, snapshot: Snapshot, tmp_path: Path, at: datetime, unseen: list[str]
) -> None:
    snapshot.show(tmp_path, at)
    seen = items(tmp_path)
    assert sorted([*seen, *unseen]) == items(raw)
    assert set(rows(tmp_path, "order_items")) <= set(rows(raw, "order_items")), "exactly as stored"


def test_every_other_table_is_there_row_for_row_and_one_that_is_not_stays_absent(
    raw: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    snapshot.show(tmp_path, SINCE)
    there = Warehouse(raw).tables()
    assert Warehouse(tmp_path).tables() == there
    for table in there - {"order_items"}:
        assert rows(tmp_path, table) == rows(raw, table)
    bare = {name: of for name, of in odd().items() if name not in ("claims", "loads")}
    seen = take(Warehouse(write(bare, tmp_path / "bare")), tmp_path / "seen", SINCE, UNTIL)
    seen.show(tmp_path / "shown", SINCE)
    assert Warehouse(tmp_path / "shown").tables() == there - {"claims", "loads"}


def test_a_warehouse_that_breaks_the_contract_is_refused_by_its_own_name(tmp_path: Path) -> None:
    raw = write(world(), tmp_path / "raw")
    with duckdb.connect() as connection:
        file = raw / "order_items.parquet"
        connection.execute(
            f"COPY (SELECT * EXCLUDE (sku) FROM '{file}') TO '{file}.new' (FORMAT parquet)"
        )
        Path(f"{file}.new").rename(file)
    with pytest.raises(WarehouseError, match=rf"raw\.order_items in {raw} has no column sku"):
        take(Warehouse(raw), tmp_path / "seen", SINCE, UNTIL)
