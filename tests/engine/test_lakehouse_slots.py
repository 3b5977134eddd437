"""Whole slots over a lakehouse decide what they decide on DuckDB over the same files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from cli import troubles
from ledger import made
from polars.testing import assert_frame_equal
from rules.marketplace import NIGERIA, Item, Marketplace
from sail import sail, with_tables
from served import cloned
from slots_direct import DirectSlots

from vibes_pipeline.answers.side import actions
from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import cycles
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.lakehouse import LakehouseTables

pytest.importorskip("pysail", reason="the extra `test` brings Sail")

SLOTS = (
    (Slot.LATE_ALERT, date(2026, 11, 18), "2026-11-18 06:00"),
    (Slot.WEEKLY_ALERT, made.CYCLE, "2026-11-18 07:00"),
    (Slot.LATE_CANCELLATION, date(2026, 11, 18), "2026-11-18 23:00"),
    (Slot.WEEKLY_IMPLEMENTATION, made.CYCLE, "2026-11-21 09:00"),
)
RULES = troubles.ACTIONS.keys() | {"late_pending_cancellation", "late_ready_to_ship_cancellation"}


def market() -> Marketplace:
    """Actions of every weekly rule, late orders of both kinds, one of them bad, and claims."""
    made_here = troubles.market()
    of = {"seller_id": "S-slow", "sku": "K-slow", "pending_at": "Tue+1 09:00"}
    waiting = Item(ready_to_ship_at=None, shipped_at=None)
    made_here.item({**of, **waiting, "order_item_id": "I-pending"})
    made_here.item({**of, "ready_to_ship_at": "Tue+1 09:30", "order_item_id": "I-ready"})
    for _ in range(2):
        made_here.item({**of, **waiting, "order_item_id": "I-twice"})
    for item, decision in (("I-gone-1", "upheld"), ("I-pending", None)):
        row = next(r for r in made_here.raw["order_items"] if r["order_item_id"] == item)
        made_here.add(
            "claims",
            f"CL {item}",
            {
                "claim_id": f"CL {item}",
                "category": "vibes_action",
                **{name: row[name] for name in ("seller_id", "order_number", "sku")},
                "raised_at": "Wed+1 12:00",
                "decision": decision,
                "decided_at": decision and "Thu+1 12:00",
            },
        )
    return made_here


def decided(ledger: Ledger, settings: Mapping[str, str]) -> tuple[pl.DataFrame, list[str]]:
    """Every action after all slots, and the hashes of the frozen cycles."""
    slots = DirectSlots(ledger, Settings.from_environment(settings), NIGERIA)
    for slot, period, at in SLOTS:
        slots.run(slot, period, made.local(at))
    with ledger.reading() as connection:
        hashes = list(connection.execute(sa.select(cycles.c.proposal_hash)).scalars())
    return actions(ledger).sort("action_id"), hashes


def test_all_slots_decide_the_same_and_none_copies_the_order_items(
    tmp_path: Path, administration: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, copied, outcomes = market().write(tmp_path / "raw"), set(), []
    copy = LakehouseTables.copied

    def noted(tables: LakehouseTables, table: str, columns: Mapping[str, str]) -> object:
        copied.add(table)
        return copy(tables, table, columns)

    monkeypatch.setattr(LakehouseTables, "copied", noted)
    with sail() as server, with_tables(raw):
        for settings in (
            {"VIBES_WAREHOUSE": str(raw), "VIBES_ENGINE": "duckdb"},
            {"VIBES_WAREHOUSE": "spark:sail.orders", "VIBES_ENGINE": server},
        ):
            home = tmp_path / f"home-{len(outcomes)}"
            with cloned(administration) as url:
                ledger = Ledger(database.connect(url), "NG")
                outcomes.append(decided(ledger, {"VIBES_HOME": str(home), **settings}))
                ledger.close()
    (ours, our_hashes), (theirs, their_hashes) = outcomes
    assert set(ours["rule"]) == RULES
    assert_frame_equal(ours, theirs)
    assert our_hashes == their_hashes
    assert "sellers" in copied
    assert "order_items" not in copied
