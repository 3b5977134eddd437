"""Late slots that did not happen, came late, or found a stale warehouse (Rulebook §2, §9, §13)."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from ledger import made
from rules.marketplace import Item
from slots.late_orders.days import ALERTED, CANCELLED, DUE, PROPOSED, READY, READY_DUE, Days, night
from slots.whole_slots import address

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import StaleWarehouse, UsageError
from vibes_pipeline.ledger import schema
from vibes_pipeline.slots import late_orders
from vibes_pipeline.slots.freshness import require_fresh
from vibes_pipeline.slots.order import period_to_begin

# --- slots that did not happen, or late -----------------------------------------------------------


def slots(days: Days) -> dict[tuple[str, date], str]:
    s = schema.slots.c
    return {
        (slot, day): outcome
        for slot, day, outcome in days.rows(sa.select(s.slot, s.period, s.outcome))
    }


def test_a_missed_night_leaves_the_item_to_the_next_one(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.late_alert("Fri 06:00")
    assert days.told(days.day("Fri")) == {"S-1": {"I-1"}}
    assert days.state("I-1") == ALERTED
    days.late_cancel("Fri 23:00")
    assert days.item_times("I-1")["implemented"] == made.local("2026-11-13 23:00")
    assert days.mails() == 3
    assert slots(days) == {
        ("late-alert", days.day("Thu")): "done",
        ("late-cancellation", days.day("Thu")): "skipped",
        ("late-alert", days.day("Fri")): "done",
        ("late-cancellation", days.day("Fri")): "done",
    }


def test_missed_days_are_skipped_and_what_is_overdue_still_is_in_the_next_alert(
    days: Days,
) -> None:
    days.pending_item("I-told", DUE)
    days.pending_item("I-missed", Item(pending_at="Thu 09:00"))
    days.pending_item("I-mended", Item(pending_at="Thu 09:00", ready_to_ship_at="Sat 10:00"))
    days.late_alert("Thu 06:00")
    days.late_cancel("Thu 23:00")
    days.late_alert("Sun 09:30")
    assert {key: what for key, what in slots(days).items() if what == "skipped"} == {
        (slot, days.day(day)): "skipped"
        for slot in ("late-alert", "late-cancellation")
        for day in ("Fri", "Sat")
    }
    assert days.told(days.day("Sun")) == {"S-1": {"I-missed"}}
    days.late_cancel("Sun 23:00")
    assert {row["order_item_id"] for row in days.feed()} == {"I-told", "I-missed"}


def test_a_skipped_slot_stays_skipped(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.late_alert("Fri 06:00")
    before = made.counts(days.ledger)
    run = night(days, "Thu", "Fri 07:00")
    late_orders.settle(run, days.ledger)
    assert late_orders.cancel(run, days.ledger).counts == {}
    assert made.counts(days.ledger) == before


def test_a_night_slot_run_after_midnight_sees_the_warehouse_as_it_is_then(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.pending_item("I-2", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-2")["ready_to_ship_at"] = "Thu 23:45"
    done = days.late_cancel("Fri 00:30")
    assert done.day == days.day("Thu")
    assert days.item_times("I-1")["implemented"] == made.local("2026-11-13 00:30")
    assert days.state("I-2") == ("withdrawn", "updated")


def test_a_night_missed_until_the_next_day_is_skipped_and_not_replayed(days: Days) -> None:
    """Sellers were told of 23:00; the next day they are told again."""
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    with pytest.raises(UsageError, match="a missed day is skipped, not replayed"):
        period_to_begin(
            days.ledger,
            days.policy,
            Slot.LATE_CANCELLATION,
            days.day("Thu"),
            now=days.market.at("Fri 10:00"),
            is_simulated=True,
        )
    assert days.state("I-1") == ALERTED
    days.late_alert("Fri 10:30")
    assert days.told(days.day("Fri")) == {"S-1": {"I-1"}}


def test_back_at_noon_the_day_s_alert_keeps_the_items_for_the_next_morning(days: Days) -> None:
    """Too late to be cancelled tonight, so nobody is told that they will be."""
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 12:00")
    assert (days.state("I-1"), days.mails()) == (PROPOSED, 0)
    days.late_cancel("Thu 23:00")
    assert days.state("I-1") == PROPOSED
    days.late_alert("Fri 06:00")
    days.late_cancel("Fri 23:00")
    assert days.item_times("I-1")["implemented"] == made.local("2026-11-13 23:00")


def test_back_at_ten_the_day_s_alert_is_in_time(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 10:00")
    days.late_cancel("Thu 23:00")
    assert days.state("I-1") == CANCELLED


def test_deadlines_before_the_ledger_s_first_late_alert_are_not_taken_up_later(days: Days) -> None:
    days.pending_item("I-before", Item(pending_at="Tue 09:00"))
    days.pending_item("I-first", Item(pending_at="Wed 00:00"))
    for day in ("Thu", "Fri"):
        days.late_alert(f"{day} 06:00")
        days.late_cancel(f"{day} 23:00")
    assert days.state("I-before") is None
    assert days.state("I-first") == CANCELLED


def test_an_item_found_late_is_taken_up_for_as_long_as_is_looked_back(days: Days) -> None:
    """Its row was bad, or came late, until then."""
    days.late_alert("Mon-3 06:00")
    days.pending_item("I-14", Item(pending_at="Wed-2 09:00"))  # due on a Thursday, 14 days before
    days.pending_item("I-15", Item(pending_at="Tue-2 09:00"))
    days.late_alert("Thu 06:00")
    assert (days.state("I-14"), days.state("I-15")) == (ALERTED, None)


def test_an_action_is_kept_for_longer_than_is_looked_back(days: Days) -> None:
    days.row("sellers", "S-1")["email"] = None
    days.pending_item("I-1", DUE)
    days.pending_item("I-2", READY_DUE)
    days.late_alert("Thu 06:00")
    days.row("sellers", "S-1")["email"] = address("S-1")
    days.late_alert("Thu+5 06:00")
    assert days.told(days.day("Thu+5")) == {"S-1": {"I-1", "I-2"}}
    days.late_cancel("Thu+5 23:00")
    assert (days.state("I-1"), days.state("I-2", READY)) == (CANCELLED, CANCELLED)


# --- freshness ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loaded_through", "is_refused"),
    [
        pytest.param("Thu 05:29:59.999999", True, id="more than half an hour ago"),
        pytest.param("Thu 05:30", False, id="exactly half an hour ago"),
        pytest.param("Thu 06:00", False, id="now"),
        pytest.param(None, True, id="nobody knows for this table"),
    ],
)
def test_the_alert_needs_order_items_complete_to_within_half_an_hour(
    days: Days, loaded_through: str | None, is_refused: bool
) -> None:
    days.pending_item("I-1", DUE)
    # How far other tables are complete does not matter.
    days.market.loads = {"order_items": loaded_through, "claims": "Mon 00:00"}
    if is_refused:
        with pytest.raises(
            StaleWarehouse, match=r"not complete through 2026-11-12 05:30: raw.order_items \("
        ):
            days.late_alert("Thu 06:00")
        assert made.counts(days.ledger) == dict.fromkeys(made.counts(days.ledger), 0)
        days.market.loads = {"order_items": "Thu 06:10"}
        days.late_alert("Thu 06:15")
    else:
        days.late_alert("Thu 06:00")
    assert days.state("I-1") == ALERTED


def test_the_cancellation_needs_them_too_and_is_tried_again(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.market.loads = {"order_items": "Thu 06:00"}
    days.late_alert("Thu 06:00")
    before = made.counts(days.ledger)
    with pytest.raises(StaleWarehouse, match=r"raw.order_items \(2026-11-12 06:00\)"):
        days.late_cancel("Thu 23:00")
    assert made.counts(days.ledger) == before
    days.market.loads = {"order_items": "Thu 23:10"}
    days.row("order_items", "I-1")["ready_to_ship_at"] = "Thu 22:59"
    days.late_cancel("Thu 23:20")
    assert days.state("I-1") == ("withdrawn", "updated")


def test_without_the_table_freshness_is_unknown_and_the_slot_goes_on(days: Days) -> None:
    run = night(days, "Thu", "Thu 23:00")
    assert require_fresh(run) is False
    days.market.loads = {"order_items": "Thu 23:00"}
    run = night(days, "Thu", "Thu 23:00")
    assert require_fresh(run) is True
