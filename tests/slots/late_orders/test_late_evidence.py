"""Rulebook §2, §9: an item that a failed load has lost is neither cancelled nor withdrawn.

Whole days over a real ledger. What becomes of an item that is there is in `test_late_days`.
"""

from __future__ import annotations

import pytest
from ledger import made
from rules.marketplace import Item, Row, amended
from slots.late_orders.days import CANCELLED, DUE, PENDING, Days, begin

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import TooMuchMissingEvidence
from vibes_pipeline.ledger import views
from vibes_pipeline.slots import late_orders

WAITING = ("alerted", "alert accepted")
GONE = ("withdrawn", "evidence_gone")
NIGHTS = ("Thu", "Fri", "Sat", "Sun")


def lose(days: Days, *items: str) -> list[Row]:
    """Take the items' rows out of the warehouse; gives them, to be put back."""
    lost = [days.row("order_items", item) for item in items]
    for row in lost:
        days.market.raw["order_items"].remove(row)
    return lost


def awaiting(days: Days) -> dict[str, int]:
    """The items whose actions await their evidence, with how many nights looked in vain."""
    w = views.awaiting_evidence.c
    return dict(made.rows(days.ledger, w.order_item_id, w.slots_in_vain))


def test_a_missing_item_is_left_alone_and_overdue_still_in_the_next_morning_s_alert(
    days: Days,
) -> None:
    losses: dict[str, Row] = {
        "I-bad": {"commission": "-1.00"},
        "I-seller-gone": {"seller_id": "S-nobody"},
        "I-product-gone": {"sku": "K-nothing"},
        "I-gone": {"order_item_id": "I-new"},
        "I-updated-meanwhile": {"order_item_id": "I-newer"},
    }
    for item in (*losses, "I-there"):
        days.pending_item(item, DUE)
    days.late_alert("Thu 06:00")
    rows = {item: days.row("order_items", item) for item in losses}
    good = {item: dict(row) for item, row in rows.items()}
    for item, change in losses.items():
        rows[item].update(change)
    assert days.late_cancel("Thu 23:00").counts == {PENDING: 1}
    assert {item: days.state(item) for item in losses} == dict.fromkeys(losses, WAITING)
    assert awaiting(days) == dict.fromkeys(losses, 1)

    for item, row in good.items():
        rows[item].update(row)
    rows["I-updated-meanwhile"]["shipped_at"] = "Thu 20:00"
    overdue = set(losses) - {"I-updated-meanwhile"}
    days.late_alert("Fri 06:00")
    assert days.told(days.day("Fri")) == {"S-1": overdue}
    assert days.late_cancel("Fri 23:00").counts == {PENDING: len(overdue), "withdrawn: updated": 1}
    assert {row["order_item_id"] for row in days.feed()} == {"I-there", *overdue}
    assert awaiting(days) == {}


def test_the_morning_goes_on_while_an_open_action_s_item_is_missing(days: Days) -> None:
    """Nor is it alerted: nobody knows whether it is overdue still."""
    for item in ("I-1", "I-2"):
        days.pending_item(item, DUE)
    days.late_alert("Thu 06:00")
    lost = lose(days, "I-1")
    days.late_cancel("Thu 23:00")
    days.pending_item("I-3", Item(pending_at="Thu 09:00"))
    assert days.late_alert("Fri 06:00").counts == {PENDING: 1}
    assert days.told(days.day("Fri")) == {"S-1": {"I-3"}}
    # Back by eleven, it is cancelled: its seller was told of it on Thursday.
    days.market.raw["order_items"] += lost
    days.late_cancel("Fri 23:00")
    assert (days.state("I-1"), days.state("I-3")) == (CANCELLED, CANCELLED)


def test_the_fourth_night_that_looks_in_vain_withdraws_the_action(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    lost = lose(days, "I-1")
    for number, night in enumerate(NIGHTS, 1):
        if night != "Thu":
            days.late_alert(f"{night} 06:00")
        done = days.late_cancel(f"{night} 23:00")
        if number < len(NIGHTS):
            assert (done.counts, days.state("I-1")) == ({}, WAITING), night
            assert awaiting(days) == {"I-1": number}
    # Run again, a night has looked once all the same.
    assert days.late_cancel("Sun 23:30") == done
    assert done.counts == {"withdrawn: evidence_gone": 1}
    assert days.state("I-1") == GONE
    assert awaiting(days) == {}
    # It does not come back with its row, and the slots look no further back for it.
    days.market.raw["order_items"] += lost
    days.late_alert("Mon+1 06:00")
    assert days.told(days.day("Mon+1")) == {}


def test_a_night_that_was_skipped_did_not_look(days: Days) -> None:
    days.policy = amended(days.home, ("warehouse.evidence_patience_slots", "2026-01-01", 2))
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    lose(days, "I-1")
    days.late_cancel("Thu 23:00")
    days.late_alert("Sat 06:00")
    assert awaiting(days) == {"I-1": 1}
    days.late_cancel("Sat 23:00")
    assert days.state("I-1") == GONE


def test_a_night_that_finds_the_item_begins_the_count_anew(days: Days) -> None:
    """Nobody could be told of it, so it is kept though it is there."""
    days.policy = amended(days.home, ("warehouse.evidence_patience_slots", "2026-01-01", 2))
    days.row("sellers", "S-1")["email"] = None
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    lost = lose(days, "I-1")
    days.late_cancel("Thu 23:00")
    days.market.raw["order_items"] += lost
    days.late_cancel("Fri 23:00")
    assert awaiting(days) == {}
    lose(days, "I-1")
    days.late_cancel("Sat 23:00")
    assert days.state("I-1") == ("proposed", "overdue")
    days.late_cancel("Sun 23:00")
    assert days.state("I-1") == GONE


def test_ten_missing_items_stop_the_night_before_anything_is_done(days: Days) -> None:
    names = [f"I-{number:02}" for number in range(12)]
    for name in names:
        days.pending_item(name, DUE)
    days.late_alert("Thu 06:00")
    lost = lose(days, *names[:10])
    before = made.counts(days.ledger)
    with pytest.raises(TooMuchMissingEvidence, match="of 10 of the 12 actions") as stopped:
        days.late_cancel("Thu 23:00")
    assert "\n" not in str(stopped.value)
    assert made.counts(days.ledger) == before
    # The good load after the bad one heals everything, the same night.
    days.market.raw["order_items"] += lost
    assert days.late_cancel("Thu 23:20").counts == {PENDING: 12}


def test_fewer_missing_items_wait_and_a_night_run_again_is_not_stopped_by_them(days: Days) -> None:
    days.policy = amended(days.home, ("warehouse.bad_row_limit_pct", "2026-01-01", 50))
    names = [f"I-{number:02}" for number in range(30)]
    for name in names:
        days.pending_item(name, DUE)
    days.late_alert("Thu 06:00")
    lose(days, *names[:10])
    done = days.late_cancel("Thu 23:00")
    assert done.counts == {PENDING: 20}
    assert awaiting(days) == dict.fromkeys(names[:10], 1)
    # Run again for its mails, the night finds the missing alone, and goes on all the same.
    assert days.late_cancel("Thu 23:30") == done


def test_a_night_killed_between_looking_and_doing_has_not_looked(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    lost = lose(days, "I-1")
    run = begin(days.market, days.home, Slot.LATE_CANCELLATION, days.day("Thu"))
    late_orders.settle(run, days.ledger)
    assert awaiting(days) == {}
    # The good load comes before the night is run again: what was looked up first counts no more.
    days.market.raw["order_items"] += lost
    days.late_cancel("Thu 23:10")
    assert days.state("I-1") == CANCELLED
