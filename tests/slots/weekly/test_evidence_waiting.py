"""Rulebook §2, §13: a load that failed neither punishes nor pardons; what is missing waits.

Whole weekly slots over a real ledger. What is missing and what contradicted is told apart in
`test_evidence_outcomes`.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
import sqlalchemy as sa
from ledger import made
from rules.marketplace import Row, amended
from slots.weekly.programme import Programme, out_of_stock
from slots.whole_slots import OLD, returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import StaleWarehouse, TooMuchMissingEvidence
from vibes_pipeline.ledger import views
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.evidence import require_evidence
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.warehouse.contract import RAW_TABLES

CHARGE = "returns_charge"
GONE = ("withdrawn", "evidence_gone")
WAITING = ("alerted", "alert accepted")


def states(programme: Programme) -> dict[str, tuple[str, str]]:
    """The present state of each item's charge, and the cause of its last change."""
    s = views.action_states.c
    found = made.rows(programme.ledger, s.order_item_id, s.state, s.cause)
    return {item: (state, cause) for item, state, cause in found}


def awaiting(programme: Programme) -> dict[str, int]:
    """The items whose charges await their evidence, with how many slots looked in vain."""
    w = views.awaiting_evidence.c
    return dict(made.rows(programme.ledger, w.order_item_id, w.slots_in_vain))


def lose(programme: Programme, *items: str) -> list[Row]:
    """Take the items' rows out of the warehouse; gives them, to be put back."""
    lost = [programme.row("order_items", item) for item in items]
    for row in lost:
        programme.market.raw["order_items"].remove(row)
    return lost


def put_back(programme: Programme, rows: list[Row]) -> None:
    programme.market.raw["order_items"] += rows


# --- one charge -----------------------------------------------------------------------------------


def test_a_charge_whose_rows_are_missing_is_neither_implemented_nor_withdrawn(
    programme: Programme,
) -> None:
    changes: dict[str, Row] = {
        "its row has become a bad one": {"pending_at": None},
        "the item is gone": {"order_item_id": "I-other"},
        "the item has a seller whom nobody knows": {"seller_id": "S-nobody"},
        "its product is gone": {"sku": "K-nothing"},
    }
    seller = programme.seller("S-1")
    for item in (*changes, "nothing has changed"):
        programme.item(seller, item, returned())
    programme.alert()
    kept = {item: dict(programme.row("order_items", item)) for item in changes}
    rows = {item: programme.row("order_items", item) for item in changes}
    for item, change in changes.items():
        rows[item].update(change)
    done = programme.implement()
    assert (done.withdrawn, done.awaiting, done.by_rule) == (0, len(changes), {CHARGE: 1})
    assert programme.postings() == {"nothing has changed": Decimal(1500)}
    assert states(programme) == {
        "nothing has changed": ("implemented", "implemented"),
        **dict.fromkeys(changes, WAITING),
    }
    assert awaiting(programme) == dict.fromkeys(changes, 1)

    # The good load after the bad one: all is implemented in the next slot, at what was alerted.
    for item, row in kept.items():
        rows[item].update(row)
    done = programme.implement(1)
    assert (done.withdrawn, done.awaiting, done.by_rule) == (0, 0, {CHARGE: len(changes)})
    assert programme.postings() == dict.fromkeys(states(programme), Decimal(1500))
    assert awaiting(programme) == {}


def test_a_check_or_a_case_that_is_missing_keeps_its_charge_waiting(programme: Programme) -> None:
    seller = programme.seller("S-1")
    for item in ("I-checked", "I-counterfeit"):
        programme.item(seller, item, OLD)
    programme.market.check("I-checked", qc_id="Q-1", checked_at="Tue 10:00")
    programme.market.counterfeit_case("I-counterfeit", case_id="F-1")
    programme.alert()
    checks = programme.market.raw["dropoff_qc"].copy()
    cases = programme.market.raw["counterfeit_cases"].copy()
    programme.market.raw["dropoff_qc"].clear()
    # Another check of the item, and another case: they are not what was charged.
    programme.market.check("I-checked", qc_id="Q-2", checked_at="Thu 10:00")
    cases[0]["case_id"] = "F-2"
    assert programme.implement().awaiting == 2
    assert awaiting(programme) == {"I-checked": 1, "I-counterfeit": 1}

    programme.market.raw["dropoff_qc"] += checks
    cases[0]["case_id"] = "F-1"
    done = programme.implement(1)
    assert done.by_rule == {"counterfeit_charge": 1, "dropoff_qc_charge": 1}


def test_a_charge_names_the_check_and_the_case_it_is_for(programme: Programme) -> None:
    seller = programme.seller("S-1")
    for item in ("I-checked", "I-counterfeit"):
        programme.item(seller, item, OLD)
    programme.market.check("I-checked", qc_id="Q-1")
    programme.market.counterfeit_case("I-counterfeit", case_id="F-1")
    programme.alert()
    charges = weekly.take_history(begun(programme), programme.ledger).frames["open_charges"]
    assert set(charges.select("seller_id", "order_item_id", "qc_id", "case_id").iter_rows()) == {
        ("S-1", "I-checked", "Q-1", None),
        ("S-1", "I-counterfeit", None, "F-1"),
    }


def begun(programme: Programme) -> SlotRun:
    """The cycle's implementation slot at its instant, before its first step."""
    return programme.market.begin(programme.home, slot=Slot.WEEKLY_IMPLEMENTATION)


# --- patience -------------------------------------------------------------------------------------


def test_the_fourth_slot_that_looks_in_vain_withdraws_the_charge(programme: Programme) -> None:
    seller = programme.seller("S-1")
    for item in ("I-1", "I-2"):
        programme.item(seller, item, returned())
    programme.alert()
    lost = lose(programme, "I-1")
    for cycle in range(3):
        done = programme.implement(cycle)
        assert (done.withdrawn, done.awaiting) == (0, 1), cycle
        assert states(programme)["I-1"] == WAITING
        assert awaiting(programme) == {"I-1": cycle + 1}
    # Run again, the slot has looked once all the same.
    assert programme.implement(2, at="Sun+3 09:00") == done
    assert awaiting(programme) == {"I-1": 3}
    done = programme.implement(3)
    assert (done.withdrawn, done.awaiting) == (1, 0)
    assert states(programme) == {"I-1": GONE, "I-2": ("implemented", "implemented")}
    assert awaiting(programme) == {}
    # It is withdrawn for good, and nobody was charged.
    put_back(programme, lost)
    assert programme.implement(4).by_rule == {}
    assert programme.postings() == {"I-2": Decimal(1500)}


def test_a_slot_that_finds_the_evidence_begins_the_count_anew(
    programme: Programme, tmp_path: Path
) -> None:
    """The seller has no address: the charge stays open though its evidence is there."""
    programme.policy = amended(tmp_path, ("warehouse.evidence_patience_slots", "2026-01-01", 2))
    programme.item(programme.seller("S-1", email=None), "I-1", returned())
    programme.alert()
    lost = lose(programme, "I-1")
    assert programme.implement(0).withdrawn == 0
    put_back(programme, lost)
    programme.implement(1)
    assert awaiting(programme) == {}
    lose(programme, "I-1")
    assert programme.implement(2).withdrawn == 0
    assert awaiting(programme) == {"I-1": 1}
    assert programme.implement(3).withdrawn == 1


# --- mass loss ------------------------------------------------------------------------------------


# How many charges are looked up, how many of them are missing, whether the slot stops.
MASSES = {
    "nine of nine: fewer than ten": (9, 9, False),
    "ten of ten": (10, 10, True),
    "ten of a thousand: just one in a hundred": (1000, 10, False),
    "ten of 999: more than that": (999, 10, True),
    "eleven of a thousand": (1000, 11, True),
}


@pytest.mark.parametrize(("charges", "missing", "stops"), MASSES.values(), ids=MASSES)
def test_so_much_missing_evidence_stops_the_slot(
    programme: Programme, charges: int, missing: int, stops: bool
) -> None:
    run = begun(programme)
    outcomes = ["missing"] * missing + ["shown", "contradicted"] * charges
    looked_up = pl.DataFrame(
        {"action_id": [str(uuid4()) for _ in range(charges)], "outcome": outcomes[:charges]}
    )
    if stops:
        with pytest.raises(TooMuchMissingEvidence, match=f"of {missing} of the {charges} actions"):
            require_evidence(run, programme.ledger, looked_up)
    else:
        require_evidence(run, programme.ledger, looked_up)


@pytest.fixture
def twelve(programme: Programme) -> Programme:
    """Twelve charges of two rules, alerted; each load after it holds what a test leaves in it."""
    seller = programme.seller("S-1")
    for number in range(12):
        item = returned() if number % 2 else out_of_stock(commission="500.00")
        programme.item(seller, f"I-{number}", item)
    programme.alert()
    return programme


def is_whole(programme: Programme) -> bool:
    """Whether all is implemented, at what was alerted."""
    are_implemented = {state for state, _ in states(programme).values()} == {"implemented"}
    return are_implemented and sum(programme.postings().values()) == 6 * 1500 + 6 * 1000


def test_a_failed_load_stops_the_slot_and_the_good_one_after_it_heals_everything(
    twelve: Programme,
) -> None:
    good = dict(twelve.market.raw)
    for emptied, at in (
        ("order_items", None),
        ("order_items", "Sat+1 12:00"),
        ("sellers", "Sat+1 15:00"),
    ):
        twelve.market.raw = {**good, emptied: []}
        with pytest.raises(
            TooMuchMissingEvidence,
            match=r"12 of the 12 .* load order_items again, .*missing_evidence_minimum in a policy",
        ) as stopped:
            twelve.implement(at=at)
        assert "\n" not in str(stopped.value)
    twelve.market.raw = good
    twelve.implement(at="Sun+1 09:00")
    assert is_whole(twelve)


def test_half_a_load_keeps_half_the_charges_waiting_until_the_next_good_one(
    twelve: Programme,
) -> None:
    good = dict(twelve.market.raw)
    twelve.market.raw = {**good, "order_items": good["order_items"][6:]}
    assert twelve.implement().awaiting == 6
    twelve.market.raw = good
    twelve.implement(1)
    assert is_whole(twelve)


def test_a_slot_done_is_not_stopped_when_it_is_run_again_for_its_mails(
    programme: Programme, tmp_path: Path
) -> None:
    """What it did not wait for is no longer open: all that is left to look up is missing."""
    programme.policy = amended(tmp_path, ("warehouse.bad_row_limit_pct", "2026-01-01", 50))
    seller = programme.seller("S-1")
    items = [f"I-{n:02}" for n in range(30)]
    for item in items:
        programme.item(seller, item, returned())
    made.freeze_cycle(
        programme.ledger, [made.charge(seller, item, reason="wrong_item") for item in items]
    )
    made.accept(programme.ledger)
    lose(programme, *items[:10])
    programme.market.loads = dict.fromkeys(RAW_TABLES, "Sat+1 09:00")
    done = programme.implement()
    assert (done.awaiting, done.by_rule) == (10, {CHARGE: 20})
    # Nor by a warehouse that has grown stale since.
    assert programme.implement(at="Tue+2 09:00") == done


def test_a_slot_killed_between_looking_and_doing_has_looked_once(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.alert()
    lost = lose(programme, "I-1")
    run = begun(programme)
    weekly.look_up_evidence(run, programme.ledger)
    assert awaiting(programme) == {}
    # Killed within the transaction: the effects and what they rest on are undone together.
    with programme.ledger.engine.begin() as connection:
        connection.execute(
            sa.text(
                "ALTER TABLE ledger.slots ADD CONSTRAINT killed "
                "CHECK (slot <> 'weekly-implementation') NOT VALID"
            )
        )
    with pytest.raises(sa.exc.IntegrityError):
        weekly.implement_alerted(run, programme.ledger)
    assert awaiting(programme) == {}
    with programme.ledger.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE ledger.slots DROP CONSTRAINT killed"))
    assert programme.implement().awaiting == 1
    assert awaiting(programme) == {"I-1": 1}
    put_back(programme, lost)
    assert programme.implement(1).by_rule == {CHARGE: 1}


# --- freshness ------------------------------------------------------------------------------------


FRESH = dict.fromkeys(RAW_TABLES, "Mon+1 00:00") | {"order_items": "Fri+1 09:00"}
REFUSED = {
    "order items to a moment less than 24 hours ago": (
        {"order_items": "Fri+1 08:59:59"},
        r"through 2026-11-20 09:00: raw.order_items \(2026-11-20 08:59\)",
    ),
    "order items through the week alone": (
        {"order_items": "Mon+1 00:00"},
        r"through 2026-11-20 09:00: raw.order_items",
    ),
    "another table not through the week": (
        {"dropoff_qc": "Sun 23:59"},
        r"through 2026-11-16 00:00: raw.dropoff_qc \(2026-11-15 23:59\)",
    ),
    "a table of which nobody knows": ({"sellers": None}, r"raw.sellers \(no entry\)"),
}


def test_the_implementation_needs_a_fresh_warehouse_and_is_tried_again(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", OLD)
    programme.market.check("I-2", result="passed")
    programme.alert()
    before = made.counts(programme.ledger)
    for load, (changes, refusal) in REFUSED.items():
        programme.market.loads = {**FRESH, **changes}
        with pytest.raises(StaleWarehouse, match=refusal):
            programme.implement()
        assert made.counts(programme.ledger) == before, load
    programme.market.loads = dict(FRESH)  # as far as is needed
    programme.implement()
    assert states(programme) == {"I-1": ("implemented", "implemented")}


def test_without_the_table_the_implementation_goes_on(programme: Programme) -> None:
    programme.seller("S-1")
    assert weekly.require_fresh_evidence(begun(programme), programme.ledger) is False
    programme.market.loads = dict(FRESH)
    assert weekly.require_fresh_evidence(begun(programme), programme.ledger) is True
