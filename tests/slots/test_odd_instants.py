"""Instants at the ends of the type, in every column of the raw tables: they stop nobody (Rulebook §13).

One warehouse holds a row for each column and each odd instant, beside sellers who bear every rule.
All slots are run over it and over the same warehouse without those rows; what is decided is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa
from rules.marketplace import Item, Marketplace, amended
from slots.claims.cases import Desk, burden, new_desk, order

from vibes_pipeline.calendar import Slot
from vibes_pipeline.policy import Policy
from vibes_pipeline.slots.claims.moments import claim_moments
from vibes_pipeline.warehouse.contract import INSTANT, RAW_TABLES
from vibes_pipeline.warehouse.source import Warehouse

BAD_INSTANTS = (
    "infinity",
    "-infinity",
    "0044-03-15 (BC) 00:00:00+00",
    "0001-01-01 00:00:00+00",
    "1969-12-31 23:59:59.999999+00",
    "2201-01-01 00:00:00+00",
    "9999-12-31 23:59:59.999999+00",
    "294247-01-10 04:00:54.775806+00",
)
# Far away, and instants all the same.
FAR_INSTANTS = ("1970-01-01 00:00:00+00", "2200-12-31 23:59:59.999999+00")

# Claims are not set aside as bad rows (Rulebook §11): what becomes of theirs is tested with them.
COLUMNS = [
    (table.name, column)
    for table in RAW_TABLES.values()
    if table.name != "claims"
    for column, type_ in table.columns.items()
    if type_ == INSTANT
]
# The row of each table that is copied, a good one of a seller of whom nothing else is known.
TEMPLATES = {
    "sellers": "S-odd",
    "order_items": "I-odd",
    "dropoff_qc": "Q-odd",
    "counterfeit_cases": "C-odd",
    "account_decisions": "D-odd",
}


def row_id(column: str, instant: str) -> str:
    return f"{column} {instant}"


@dataclass
class OddMarketplace(Marketplace):
    """Beside its rows, copies of the templates' with an odd instant in one column each."""

    def write(self, folder: Path) -> Path:
        written = super().write(folder)
        for table, template in TEMPLATES.items():
            _add_copies(written / f"{table}.parquet", table, template)
        return written


def _add_copies(file: Path, table: str, template: str) -> None:
    id_column = next(iter(RAW_TABLES[table].columns))
    stored = f"SELECT * FROM read_parquet('{file}')"
    copies = [
        f"SELECT * REPLACE ('{row_id(column, instant)}' AS {id_column}, "
        f"TIMESTAMPTZ '{instant}' AS {column}) "
        f"FROM ({stored}) WHERE {id_column} = '{template}'"
        for of, column in COLUMNS
        if of == table
        for instant in (*BAD_INSTANTS, *FAR_INSTANTS)
    ]
    changed = file.with_suffix(".changed")
    with duckdb.connect() as connection:
        rows = " UNION ALL ".join([stored, *copies])
        connection.execute(f"COPY ({rows}) TO '{changed}' (FORMAT parquet)")
    changed.replace(file)


def furnish(desk: Desk) -> None:
    """Two sellers who bear everything and claim, and the templates, whose seller bears nothing."""
    for seller in ("S-1", "S-2"):
        burden(desk, seller)
        desk.market.account_decision(seller, "Tue 10:00", decision_id=f"D-{seller}")
    desk.claim("C-1", "S-1", order_number=order("S-1"))
    desk.upheld("C-2", "S-2", "Thu+1 10:00", order_number="O-odd")
    desk.seller("S-odd")
    # Reasons without their time are no fault, so the copies are bad for their instant alone.
    reasons = Item(cancel_reason="out_of_stock", return_reason="wrong_item", order_number="O-odd")
    desk.item("S-odd", "I-odd", {**reasons, "ready_to_ship_at": "Mon 10:00", "shipped_at": None})
    desk.row("order_items", "I-odd")["delivered_at"] = "Mon 12:00"
    desk.market.check("I-odd", qc_id="Q-odd", result="passed")
    desk.market.counterfeit_case("I-odd", case_id="C-odd", notified_at="Mon 10:00", proven_at=None)
    desk.market.account_decision("S-odd", "Tue 10:00", decision_id="D-odd", decision="keep")


def run_every_slot(desk: Desk) -> None:
    desk.late_alert("Thu 06:00")
    desk.late_cancel("Thu 23:00")
    desk.alert()
    desk.settle("Thu+1 12:00")
    desk.implement()


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Nigeria's policy, but for so many bad rows among so few, which would stop the alert."""
    limit = ("warehouse.bad_row_limit_pct", "2016-01-02", "100")
    return amended(tmp_path_factory.mktemp("policy"), limit)


@pytest.fixture(scope="module")
def odd(administration: sa.Engine, lenient: Policy) -> Iterator[Desk]:
    with new_desk(administration) as desk:
        desk.market = OddMarketplace()
        furnish(desk)
        desk.policy = lenient
        run_every_slot(desk)
        yield desk


@pytest.fixture(scope="module")
def plain(administration: sa.Engine, lenient: Policy) -> Iterator[Desk]:
    with new_desk(administration) as desk:
        furnish(desk)
        desk.policy = lenient
        run_every_slot(desk)
        yield desk


def set_aside(desk: Desk) -> list[dict[str, Any]]:
    run = desk.begin(Slot.WEEKLY_ALERT, "Wed+1 07:00", desk.market.monday)
    rows: list[dict[str, Any]] = run.engine.read("warehouse.quarantine").rows(named=True)
    return rows


def test_nobody_is_decided_otherwise_for_another_row_s_odd_instant(plain: Desk, odd: Desk) -> None:
    assert odd.contents() == plain.contents()
    struck = odd.rows(sa.text("SELECT DISTINCT seller_id FROM ledger.actions ORDER BY seller_id"))
    assert struck == [("S-1",), ("S-2",)]


def test_whatever_the_slots_keep_can_be_read(odd: Desk) -> None:
    files = [*(odd.home / "lake").rglob("*.parquet")]
    assert len(files) > 50
    for file in files:
        # Stored rows as they are, of which SQL alone makes anything.
        if file.stem != "recent_order_items":
            pl.read_parquet(file).rows()


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_row_with_an_odd_instant_is_bad(odd: Desk, table: str, column: str) -> None:
    found = {row["row_id"]: row for row in set_aside(odd) if row["table_name"] == table}
    fault = f"{column} is outside the years 1970 to 2200"
    for instant in BAD_INSTANTS:
        bad = found[row_id(column, instant)]
        assert fault in bad["faults"].split("; ")
        assert isinstance(json.loads(bad["stored_row"])[column], str)
    for instant in FAR_INSTANTS:
        faults = found.get(row_id(column, instant), {"faults": ""})["faults"]
        assert "outside the years" not in faults


def test_nothing_is_bad_but_the_rows_with_odd_instants(plain: Desk, odd: Desk) -> None:
    assert set_aside(plain) == []
    assert {r["row_id"] for r in set_aside(odd)} <= {
        row_id(column, instant)
        for _, column in COLUMNS
        for instant in (*BAD_INSTANTS, *FAR_INSTANTS)
    }


def test_a_replay_stops_at_no_odd_moment(odd: Desk) -> None:
    start, end = odd.market.at("Mon-9 00:00"), odd.market.at("Mon+9 00:00")
    moments = claim_moments(Warehouse(odd.settings().warehouse), start, end)
    assert [start <= moment <= end for moment in moments] == [True] * 3
