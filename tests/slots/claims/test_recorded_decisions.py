"""Decisions recorded in the ledger act like those of the order warehouse, in the order of instants (§11)."""

from __future__ import annotations

import pytest
from slots.claims.cases import RETURN, Desk
from slots.whole_slots import returned

from vibes_pipeline.answers.claims.case import preview
from vibes_pipeline.answers.claims.queue import queue
from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.ledger import recorded
from vibes_pipeline.slots.claims import deciding
from vibes_pipeline.slots.replay import due_slots, still_to_replay

DELISTING = ("account_delisting", "S-1")


def on_claim(desk: Desk, claim_id: str, word: str, at: str) -> None:
    """A person records a decision; no slot is run."""
    clock = SimulatedClock(desk.market.at(at))
    deciding.record(desk.ledger, desk.policy, deciding.on_claim(claim_id, word, "Ada", None), clock)


def on_account(desk: Desk, word: str, at: str, seller: str = "S-1") -> None:
    clock = SimulatedClock(desk.market.at(at))
    deciding.record(desk.ledger, desk.policy, deciding.on_account(seller, word, "Ada", None), clock)


@pytest.fixture
def charged(desk: Desk) -> Desk:
    """Three charges implemented, each with a claim on it that was taken in on Monday."""
    for name in ("I-1", "I-2", "I-3"):
        desk.item("S-1", name, returned())
    desk.alert()
    desk.implement()
    for name in ("1", "2", "3"):
        desk.claim(f"C-{name}", "S-1", raised_at="Mon+2 08:00", order_number=f"O-I-{name}")
    desk.settle("Mon+2 09:00")
    return desk


def test_one_acts_from_its_instant_on_and_the_order_of_instants_decides(charged: Desk) -> None:
    on_claim(charged, "C-1", "upheld", "Mon+2 10:00")
    charged.settle("Mon+2 09:59")
    assert charged.claim_state("C-1") == ("accepted", None)
    # The warehouse says otherwise of both: earlier of one, later of the other.
    charged.decide("C-1", "rejected", "Mon+2 11:00")
    charged.decide("C-2", "upheld", "Mon+2 11:00")
    on_claim(charged, "C-2", "rejected", "Mon+2 10:00")
    on_claim(charged, "C-3", " REJECTED\t", "Mon+2 10:00")
    assert charged.settle("Mon+2 12:00").states == {"upheld": 2, "rejected": 2}
    assert [charged.claim_state(f"C-{n}") for n in (1, 2, 3)] == [
        ("upheld", True),
        ("upheld", True),
        ("rejected", True),
    ]
    assert charged.states("S-1") == {
        (RETURN, "I-1"): "reversed",
        (RETURN, "I-2"): "reversed",
        (RETURN, "I-3"): "implemented",
    }
    assert charged.told("S-1").count("claim_outcome") == 4
    assert not charged.settle("Mon+2 13:00").states, "applied once"
    on_claim(charged, "C-3", "upheld", "Mon+2 14:00")
    charged.settle("Mon+2 14:00")
    assert charged.claim_state("C-3") == ("upheld", True)


def test_what_is_shown_beforehand_is_what_upholding_does(charged: Desk) -> None:
    run = charged.begin(Slot.CLAIMS, "Mon+2 10:00")
    before = charged.contents()
    shown = preview(run, charged.ledger, "C-1")
    assert charged.contents() == before, "nothing is written"
    assert [(a["order_item_id"], a["becomes"]) for a in shown.undone] == [("I-1", "reversed")]
    assert str(shown.amount) == "1500.00"
    on_claim(charged, "C-1", "upheld", "Mon+2 10:00")
    charged.settle("Mon+2 10:00")
    assert charged.states("S-1")[RETURN, "I-1"] == "reversed"
    assert sum(posting[2] for posting in charged.postings("S-1")) == 3000


def test_a_claim_leaves_the_queue_once_it_is_decided_whether_applied_or_not(charged: Desk) -> None:
    def waiting() -> list[str]:
        every = queue(charged.ledger, charged.policy, charged.market.at("Fri+2 08:00"))
        assert {(w.working_days, w.is_overdue) for w in every if w.is_for_a_person} <= {(3, True)}
        return [one.claim.claim_id for one in every if one.is_for_a_person]

    assert waiting() == ["C-1", "C-2", "C-3"]
    on_claim(charged, "C-2", "rejected", "Mon+2 10:00")
    assert waiting() == ["C-1", "C-3"]
    charged.settle("Mon+2 10:00")
    assert waiting() == ["C-1", "C-3"]


def test_a_replay_runs_a_claims_slot_at_the_instant_of_a_decision(charged: Desk) -> None:
    on_claim(charged, "C-1", "upheld", "Mon+2 10:00")
    start, end = charged.market.at("Mon+2 09:30"), charged.market.at("Mon+2 20:00")
    moments = recorded.moments(charged.ledger, start, end)
    due = due_slots(charged.policy, charged.settings(), start, end, moments)
    at = charged.market.at("Mon+2 10:00")
    assert due == [DueSlot(at, Slot.CLAIMS, at.date())]
    assert still_to_replay(charged.ledger, charged.policy, due) == due


def test_accounts_are_delisted_and_kept_alike_by_decisions_of_both_places(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.alert()
    desk.implement()
    # The warehouse's is of the same account, and older.
    desk.market.account_decision("S-1", "Mon+2 09:00", decision="keep")
    on_account(desk, "delist", "Mon+2 10:00")
    desk.alert(1)
    assert desk.states("S-1")[DELISTING] == "alerted"
    desk.implement(1)
    assert desk.states("S-1")[DELISTING] == "implemented"
    on_account(desk, "keep", "Mon+3 10:00")
    assert desk.settle("Mon+3 10:00").accounts_kept == 1
    assert desk.states("S-1")[DELISTING] == "reversed"
    # What a loader copies from the ledger into the warehouse is the same decision.
    desk.market.account_decision("S-1", "Mon+2 10:00", decision_id="recorded-000000000001")
    desk.alert(2)
    assert desk.states("S-1")[DELISTING] == "reversed"
