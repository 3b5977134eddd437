"""What was decided before is asked for by what is at hand; the decisions are those of the whole past."""

from __future__ import annotations

import polars as pl
import pytest
import sqlalchemy as sa
from slots.weekly.programme import Programme, out_of_stock
from slots.whole_slots import OLD, rejected, returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.ledger import history
from vibes_pipeline.slots.steps import Work, steps_of

PAST_CYCLES = 3


@pytest.fixture
def grown(programme: Programme) -> Programme:
    """Three cycles done: charges of every kind, three occurrences, reviews; each in two sellers."""
    for seller in ("S-1", "S-2"):
        programme.seller(seller)
        programme.item(seller, f"{seller}-late", {"pending_at": "Mon 09:00"})
        programme.item(seller, f"{seller}-gone", out_of_stock())
        programme.item(seller, f"{seller}-back", returned())
        programme.item(seller, f"{seller}-fake", OLD)
        programme.market.counterfeit_case(f"{seller}-fake", case_id=f"F-{seller}")
        programme.item(seller, f"{seller}-failed", OLD)
        programme.market.check(f"{seller}-failed", qc_id=f"Q-{seller}")
        for week in range(PAST_CYCLES + 1):
            for nth in (1, 2):
                at = f"Tue+{week} 10:00" if week else "Tue 10:00"
                programme.item(seller, f"{seller}-refused-{week}-{nth}", rejected(at))
    for cycle in range(PAST_CYCLES):
        programme.alert(cycle)
        programme.implement(cycle)
    return programme


def decided(programme: Programme) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The proposal of the next cycle, not frozen, and the past that it rests on."""
    period = programme.cycle(PAST_CYCLES)
    due_at = programme.policy.slot_calendar.due_at(Slot.WEEKLY_ALERT, period)
    run = programme.begin(Slot.WEEKLY_ALERT, due_at, period)
    claims_run = programme.begin(Slot.CLAIMS, due_at)
    work = Work(run, claims_run, programme.ledger, SimulatedClock(due_at))
    for step in steps_of(Slot.WEEKLY_ALERT):
        if step.asset == "ledger/frozen_cycle":
            break
        step.do(work)
    past = {name: run.engine.read(f"ledger.{name}") for name in sorted(history.PAST)}
    return run.engine.read("decisions.proposal").sort("action_id"), past


def test_the_past_of_what_is_at_hand_decides_as_the_whole_past(
    grown: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one's items of long ago come back with new events; the other's leave the warehouse.
    for name in ("gone", "back"):
        grown.row("order_items", f"S-1-{name}")["returned_at"] = "Tue+3 10:00"
        grown.row("order_items", f"S-1-{name}")["return_reason"] = "defective_item"
    grown.row("order_items", "S-1-late")["cancelled_at"] = "Tue+3 10:00"
    grown.row("order_items", "S-1-late")["cancel_reason"] = "out_of_stock"
    for rows in grown.market.raw.values():
        rows[:] = [r for r in rows if not str(r.get("order_item_id", "")).startswith("S-2-")]
    grown.market.account_decision("S-1", decided_at="Tue+3 10:00")

    at_hand, some = decided(grown)
    monkeypatch.setattr(history, "is_among", lambda column, ids: sa.true())
    whole, every = decided(grown)

    assert at_hand.equals(whole)
    assert set(at_hand["rule"]) >= {
        *("out_of_stock_charge", "returns_charge", "sales_regulation"),
        *("product_delisting", "account_delisting"),
    }
    for name in ("charges", "sales_regulations", "account_reviews", "reviewed_counterfeits"):
        assert 0 < some[name].height < every[name].height, name


def test_a_frozen_cycle_keeps_the_past_it_was_decided_on(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.alert()
    (kept,) = programme.home.glob("lake/NG/weekly-alert/*/ledger/charges.parquet")
    before = kept.read_bytes()
    programme.implement()
    programme.alert(at="Sun+1 10:00")
    assert kept.read_bytes() == before
    assert pl.read_parquet(kept).is_empty()
