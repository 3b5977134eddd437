"""A look that found nothing to settle is not taken again before it could find something (§2, §11)."""

from __future__ import annotations

import pytest
from slots.claims.cases import Desk
from slots.whole_slots import OLD, returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.claims import deciding, quiet
from vibes_pipeline.slots.claims import settle as steps
from vibes_pipeline.slots.run import SlotRun


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[SlotRun]:
    """The slots that have looked what waits in the warehouse."""
    taken: list[SlotRun] = []
    look = steps._find_unsettled

    def noted(engine, run, ledger):  # type: ignore[no-untyped-def]
        taken.append(run)
        return look(engine, run, ledger)

    monkeypatch.setattr(steps, "_find_unsettled", noted)
    return taken


def run_at(desk: Desk, settings: Settings, at: str) -> SlotRun:
    """The claims slot over the warehouse as it lies there."""
    now = desk.market.at(at)
    day = desk.policy.local_date(now)
    return SlotRun.begin(Slot.CLAIMS, day, desk.policy, settings, now=now, is_simulated=True)


def settles(desk: Desk, settings: Settings, at: str, looks: list[SlotRun]) -> tuple[bool, bool]:
    """Whether the slot looked, and whether it did something; a slot that looks finds the same."""
    run = run_at(desk, settings, at)
    looks.clear()
    found = steps._find(run, desk.ledger)
    has_looked = bool(looks)
    kept = quiet._last.pop(desk.ledger, None)
    assert steps._find(run, desk.ledger) == found, at
    if kept is not None:
        quiet._last[desk.ledger] = kept
    settled = steps.settle(run, desk.ledger)
    values = [value.row_id for value in settled.undecipherable]
    assert values == ["C-3"] * (desk.market.at("Thu+1 11:30") <= run.now), at
    return has_looked, bool(settled.states or settled.accounts_kept)


def test_it_is_taken_again_when_warehouse_or_ledger_have_something_new(
    desk: Desk, looks: list[SlotRun]
) -> None:
    desk.item("S-1", "I-1", returned())
    desk.market.check(desk.item("S-1", "I-2", OLD)["order_item_id"])
    desk.market.account_decision("S-1", "Mon+1 10:00", decision_id="D-1", decision="delist")
    desk.market.account_decision("S-1", "Thu+1 12:00", decision_id="D-2", decision="keep")
    desk.claim("C-1", "S-1", raised_at="Thu+1 10:00", order_number="O-I-1")
    desk.decide("C-1", "upheld", "Thu+1 14:00")
    desk.claim("C-2", "S-1", raised_at="Thu+1 10:30", order_number="O-I-1")
    desk.claim("C-3", "S-1", raised_at="Thu+1 11:00", order_number="O-I-1")
    desk.decide("C-3", "perhaps", "Thu+1 11:30")
    desk.alert()
    settings = desk.settings()
    # Whether a slot looks, and whether it does something; after one that did, the next looks too.
    expected = {
        "09:00": (True, False),
        "09:30": (False, False),
        "10:00": (True, True),  # C-1 is raised
        "10:10": (True, False),
        "10:29": (False, False),
        "10:30": (True, True),  # C-2 is raised
        "11:00": (True, True),  # C-3 is raised
        "11:29": (True, False),
        "11:30": (True, False),  # its decision cannot be read
        "12:00": (True, True),  # the account is kept
        "14:00": (True, True),  # C-1 is upheld
        "14:10": (True, False),
        "14:20": (False, False),
    }
    told = {at: settles(desk, settings, f"Thu+1 {at}", looks) for at in expected}
    assert told == expected
    # A person decides in the ledger; the warehouse is loaded; a look at an earlier instant.
    clock = SimulatedClock(desk.market.at("Thu+1 14:30"))
    decision = deciding.on_claim("C-2", "rejected", "Ada", None)
    deciding.record(desk.ledger, desk.policy, decision, clock)
    assert settles(desk, settings, "Thu+1 14:30", looks) == (True, True)
    desk.claim("C-4", "S-1", raised_at="Thu+1 08:00", order_number="O-I-1")
    settings = desk.settings()
    assert settles(desk, settings, "Thu+1 15:00", looks) == (True, True)
    assert settles(desk, settings, "Thu+1 15:10", looks) == (True, False)
    looks.clear()
    steps._find(run_at(desk, settings, "Thu+1 15:09"), desk.ledger)
    assert looks
