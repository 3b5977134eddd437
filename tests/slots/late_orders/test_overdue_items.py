"""Rulebook §9 in SQL: what is overdue on a day, under which rule, and what becomes of it (§3, §13).

The ledger's past is told by the cases; what the slots make of it is tested in `test_late_days`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest
from rules.marketplace import Case, Decided, Item, Marketplace, each, instant
from slots.late_orders.days import (
    PENDING,
    READY,
    STATES,
    THURSDAY,
    Past,
    decision,
    found_on,
    rule_of,
)

from vibes_pipeline.calendar import Slot

DAY = timedelta(days=1)


OLDER = "warehouse.older_open_items"

# --- the fulfilment clock -------------------------------------------------------------------------

# Given: when the item entered its state; expected: its deadline, and the first day it is found on.
DEADLINES = [
    Case("Mon 09:40", "2026-11-09T09:40", ("2026-11-10T09:40", "2026-11-10")),
    Case("Sat 18:00: Sunday does not run", "2026-11-07T18:00", ("2026-11-09T18:00", "2026-11-09")),
    Case(
        "Sat 00:00: full on Sunday 00:00, so found on that Sunday",
        "2026-11-07T00:00",
        ("2026-11-08T00:00", "2026-11-08"),
    ),
    Case(
        "Sun 15:00: starts with Monday, full on Tuesday 00:00",
        "2026-11-08T15:00",
        ("2026-11-10T00:00", "2026-11-10"),
    ),
    Case(
        "Fri 10:00 before a holiday on Saturday",
        "2027-05-28T10:00",
        ("2027-05-31T10:00", "2027-05-31"),
    ),
    Case(
        "full exactly at 23:00 is overdue at 23:00",
        "2026-11-09T23:00",
        ("2026-11-10T23:00", "2026-11-10"),
    ),
    Case(
        "full a microsecond after 23:00 is the next day's",
        "2026-11-09T23:00:00.000001",
        ("2026-11-10T23:00:00.000001", "2026-11-11"),
    ),
    Case(
        "Sat 23:30: full on Monday after 23:00, so Tuesday's",
        "2026-11-07T23:30",
        ("2026-11-09T23:30", "2026-11-10"),
    ),
    Case(
        "Sat 23:00: full on Monday at 23:00",
        "2026-11-07T23:00",
        ("2026-11-09T23:00", "2026-11-09"),
    ),
    Case(
        "24 Dec 12:00: Christmas, Boxing Day, Sunday and a day in lieu do not run",
        "2026-12-24T12:00",
        ("2026-12-29T12:00", "2026-12-29"),
    ),
    Case(
        "on Christmas Day: starts on the 29th",
        "2026-12-25T10:00",
        ("2026-12-30T00:00", "2026-12-30"),
    ),
    Case("30 Dec 12:00", "2026-12-30T12:00", ("2026-12-31T12:00", "2026-12-31")),
    Case(
        "31 Dec 12:00: New Year's Day does not run",
        "2026-12-31T12:00",
        ("2027-01-02T12:00", "2027-01-02"),
    ),
    Case(
        "31 Dec 23:30: full on the 2nd after 23:00, found on a Sunday",
        "2026-12-31T23:30",
        ("2027-01-02T23:30", "2027-01-03"),
    ),
    Case(
        "on New Year's Day: full when the 2nd ends",
        "2027-01-01T12:00",
        ("2027-01-03T00:00", "2027-01-03"),
    ),
    Case(
        "before two public holidays in the middle of a week",
        "2027-03-09T08:00",
        ("2027-03-12T08:00", "2027-03-12"),
    ),
]

Found = Callable[[date, Slot], Decided]


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Runs of any day over one marketplace with every case in both states."""
    market = Marketplace()
    seller = market.seller()
    sku = market.product(seller)
    for sentence, entered_at, _ in DEADLINES:
        pending = Item(seller_id=seller, sku=sku, pending_at=entered_at)
        market.item({**pending, "order_item_id": f"pending {sentence}"})
        market.item(
            {
                **pending,
                "order_item_id": f"ready_to_ship {sentence}",
                "ready_to_ship_at": entered_at,
            }
        )
    folder = tmp_path_factory.mktemp("clocked")
    return cache(lambda day, slot: found_on(market, folder / f"{day}{slot}", day, slot=slot))


@pytest.mark.parametrize("rule", [PENDING, READY])
@each(DEADLINES)
def test_an_item_is_found_from_the_morning_of_its_deadline_s_day_on(
    clocked: Found, sentence: str, expected: tuple[str, str], rule: str
) -> None:
    deadline, day = instant(expected[0], THURSDAY), date.fromisoformat(expected[1])
    item = f"{STATES[rule]} {sentence}"
    row = clocked(day, Slot.LATE_ALERT).row(decision(rule), order_item_id=item)
    assert row is not None
    assert (row["deadline_at"], row["event_at"]) == (deadline, deadline)
    other = READY if rule == PENDING else PENDING
    assert clocked(day, Slot.LATE_ALERT).row(decision(other), order_item_id=item) is None
    # Not even on the evening before, when it has long been in its state.
    before = clocked(day - DAY, Slot.LATE_CANCELLATION)
    assert before.row(decision(rule), order_item_id=item) is None


# --- what is overdue on Thursday, as of 06:00 -----------------------------------------------------

# An item pending since Tuesday 09:00, overdue since Wednesday 09:00. Expected: the rule, or None.
TUESDAY = Item(pending_at="Tue 09:00")
ITEMS = [
    Case("never updated", TUESDAY, PENDING),
    Case("shipped late", {**TUESDAY, "shipped_at": "Wed 20:00"}, None),
    Case("delivered, never shipped", {**TUESDAY, "delivered_at": "Wed 20:00"}, None),
    Case("rejected, never shipped", {**TUESDAY, "rejected_at": "Wed 20:00"}, None),
    Case(
        "cancelled by the customer",
        {**TUESDAY, "cancelled_at": "Wed 20:00", "cancel_reason": "customer_request"},
        None,
    ),
    Case(
        "cancelled by us already",
        {**TUESDAY, "cancelled_at": "Wed 23:00", "cancel_reason": "late_pending"},
        None,
    ),
    Case(
        "ready late, and late again to be shipped",
        {**TUESDAY, "ready_to_ship_at": "Wed 10:00"},
        READY,
    ),
    Case("ready in time, not shipped", {**TUESDAY, "ready_to_ship_at": "Tue 10:00"}, READY),
    Case(
        "ready since Wed 23:00: due at 23:00", {**TUESDAY, "ready_to_ship_at": "Wed 23:00"}, READY
    ),
    Case(
        "ready a microsecond later: due tomorrow",
        {**TUESDAY, "ready_to_ship_at": "Wed 23:00:00.000001"},
        None,
    ),
    Case("pending since Wed 23:00: due at 23:00", Item(pending_at="Wed 23:00"), PENDING),
    Case(
        "pending since a microsecond later: due tomorrow",
        Item(pending_at="Wed 23:00:00.000001"),
        None,
    ),
    Case("due only this afternoon", Item(pending_at="Wed 16:00"), PENDING),
    Case("ready at 06:00", {**TUESDAY, "ready_to_ship_at": "Thu 06:00"}, None),
    Case(
        "ready a microsecond after 06:00 is not ready yet",
        {**TUESDAY, "ready_to_ship_at": "Thu 06:00:00.000001"},
        PENDING,
    ),
    Case(
        "shipped at 06:00",
        {**TUESDAY, "ready_to_ship_at": "Tue 10:00", "shipped_at": "Thu 06:00"},
        None,
    ),
    Case(
        "shipped a microsecond after 06:00 is not shipped yet",
        {**TUESDAY, "ready_to_ship_at": "Tue 10:00", "shipped_at": "Thu 06:00:00.000001"},
        READY,
    ),
    Case(
        "cancelled at 06:00",
        {**TUESDAY, "cancelled_at": "Thu 06:00", "cancel_reason": "other"},
        None,
    ),
    Case(
        "cancelled a microsecond after 06:00 is not cancelled yet",
        {**TUESDAY, "cancelled_at": "Thu 06:00:00.000001", "cancel_reason": "other"},
        PENDING,
    ),
    Case(
        "all that is yet to come has not happened yet",
        {
            **TUESDAY,
            "ready_to_ship_at": "Thu 08:00",
            "shipped_at": "Thu 09:00",
            "delivered_at": "Fri 09:00",
        },
        PENDING,
    ),
    Case(
        "delivered before it is shipped: it was shipped by then",
        {**TUESDAY, "delivered_at": "Wed 20:00", "shipped_at": "Fri 09:00"},
        None,
    ),
    # The lookback: deadlines since 29 October, whatever their time of day.
    Case("a deadline at the first instant looked back to", Item(pending_at="Wed-2 00:00"), PENDING),
    Case(
        "a deadline a microsecond before",
        Item(pending_at="Tue-2 23:59:59.999999"),
        None,
    ),
    Case(
        "pending for long, its second deadline looked back to",
        Item(pending_at="Mon-6 09:00", ready_to_ship_at="Wed-2 00:00"),
        READY,
    ),
    Case(
        "the second deadline a microsecond before",
        Item(pending_at="Mon-6 09:00", ready_to_ship_at="Tue-2 23:59:59.999999"),
        None,
    ),
    Case(
        "its first deadline looked back to, ready since: only the second counts",
        Item(pending_at="Tue-1 09:00", ready_to_ship_at="Thu 05:00"),
        None,
    ),
]


@pytest.fixture(scope="module")
def thursday(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    market = Marketplace()
    for sentence, item, _ in ITEMS:
        market.item({**item, "order_item_id": sentence})
    return found_on(market, tmp_path_factory.mktemp("thursday"), THURSDAY)


@each(ITEMS)
def test_an_open_item_past_its_deadline_is_to_be_cancelled(
    thursday: Decided, sentence: str, expected: str | None
) -> None:
    assert rule_of(thursday, sentence) == expected


def test_a_decision_says_since_when_the_item_is_where_it_is(thursday: Decided) -> None:
    row = thursday.row(decision(READY), order_item_id="ready late, and late again to be shipped")
    assert row is not None
    assert (row["entered_state"], row["is_kept"]) == ("ready_to_ship", False)
    assert row["entered_at"] == instant("Wed 10:00", date(2026, 11, 9))
    assert row["deadline_at"] == instant("Thu 10:00", date(2026, 11, 9))


@pytest.mark.parametrize(
    ("entered_at", "is_found"),
    [
        pytest.param("Tue 23:59:59.999999", False, id="a deadline in the last moment before it"),
        pytest.param("Wed 00:00", True, id="a deadline at its first instant, before 06:00"),
        pytest.param("Wed 23:00", True, id="a deadline at its last slot"),
    ],
)
def test_no_deadline_before_the_ledger_s_first_late_day_counts(
    tmp_path: Path, entered_at: str, is_found: bool
) -> None:
    market = Marketplace()
    market.item(Item(order_item_id="pending", pending_at=entered_at))
    ready = Item(pending_at="Mon 09:00", ready_to_ship_at=entered_at)
    market.item({**ready, "order_item_id": "ready"})
    found = found_on(market, tmp_path, THURSDAY, first_late_day=THURSDAY)
    assert rule_of(found, "pending") == (PENDING if is_found else None)
    assert rule_of(found, "ready") == (READY if is_found else None)


def test_an_item_of_a_sunday_is_looked_back_to_as_far_as_its_deadline(tmp_path: Path) -> None:
    """Sunday's items are full on Tuesday 00:00: that Tuesday is 14 days before the day."""
    market = Marketplace()
    market.item(Item(order_item_id="of Sunday", pending_at="2026-11-08T15:00"))
    market.item(Item(order_item_id="of Monday", pending_at="2026-11-09T00:00"))
    found = found_on(market, tmp_path, date(2026, 11, 24))
    assert [rule_of(found, item) for item in ("of Monday", "of Sunday")] == [PENDING, PENDING]


def test_items_too_old_to_be_cancelled_are_counted_while_the_weekly_rules_look_at_them(
    tmp_path: Path,
) -> None:
    market = Marketplace()
    market.seller(seller_id="S-1")
    for pending_at in ("Mon-3 10:00", "Sun-2 23:59", "Mon-1 10:00", "2024-02-01T10:00"):
        market.item(Item(seller_id="S-1", pending_at=pending_at))
    market.item(Item(seller_id="S-1", pending_at="Mon-3 10:00", shipped_at="Mon-3 11:00"))
    (counted,) = market.decide(tmp_path, OLDER).rows(OLDER)
    assert (counted["seller_id"], counted["open_items"]) == ("S-1", 2)
    assert counted["oldest_pending_at"] == market.at("Mon-3 10:00")


# --- what the ledger knows of an item -------------------------------------------------------------

MOVED_ON = Item(pending_at="Mon 09:00", ready_to_ship_at="Tue 09:00")
OLD = "Mon-5 09:00"
# Given: the item and its past. Expected: (rule, whether the action is kept), or None.
PASTS = [
    Case("no past", (TUESDAY, []), (PENDING, False)),
    Case("an open action is told of again", (TUESDAY, [(PENDING, "open")]), (PENDING, True)),
    Case("an open one of the other state", (MOVED_ON, [(READY, "open")]), (READY, True)),
    Case("cancelled by us, open in the warehouse", (TUESDAY, [(PENDING, "implemented")]), None),
    Case(
        "cancelled as pending, the warehouse shows it moving on",
        (MOVED_ON, [(PENDING, "implemented")]),
        None,
    ),
    Case(
        "cancelled as ready, the warehouse shows it pending again",
        (TUESDAY, [(READY, "implemented")]),
        None,
    ),
    Case("cancelled as ready", (MOVED_ON, [(READY, "implemented")]), None),
    Case("withdrawn: a rule strikes an item once", (TUESDAY, [(PENDING, "withdrawn")]), None),
    Case(
        "updated in time as pending, late to be shipped",
        (MOVED_ON, [(PENDING, "withdrawn")]),
        (READY, False),
    ),
    Case(
        "moved on while its action is still open",
        (MOVED_ON, [(PENDING, "open")]),
        (READY, False),
    ),
    Case(
        "withdrawn as pending, open as ready",
        (MOVED_ON, [(PENDING, "withdrawn"), (READY, "open")]),
        (READY, True),
    ),
    Case(
        "open for longer than the lookback",
        (Item(pending_at=OLD), [(PENDING, "open", OLD)]),
        (PENDING, True),
    ),
    Case(
        "ready for longer than the lookback, its action open",
        (Item(pending_at="Mon-7 09:00", ready_to_ship_at=OLD), [(READY, "open", OLD)]),
        (READY, True),
    ),
    Case("as old, without an action", (Item(pending_at=OLD), []), None),
    Case("as old, withdrawn", (Item(pending_at=OLD), [(PENDING, "withdrawn")]), None),
]


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    market, past = Marketplace(), []
    for sentence, (item, actions), _ in PASTS:
        market.item({**item, "order_item_id": sentence})
        past += [Past(sentence, *action) for action in actions]
    return found_on(market, tmp_path_factory.mktemp("remembered"), THURSDAY, past=past)


@each(PASTS)
def test_an_item_is_cancelled_by_us_once_and_an_open_action_is_told_of_again(
    remembered: Decided, sentence: str, expected: tuple[str, bool] | None
) -> None:
    rule = rule_of(remembered, sentence)
    row = remembered.row(decision(rule), order_item_id=sentence) if rule else None
    assert (rule and (rule, row and row["is_kept"])) == expected


@pytest.mark.parametrize("first_late_day", [THURSDAY, date(2026, 10, 1)])
def test_an_open_action_is_kept_whatever_the_ledger_s_first_late_day(
    tmp_path: Path, first_late_day: date
) -> None:
    market = Marketplace()
    market.item(Item(order_item_id="old", pending_at=OLD))
    found = found_on(
        market,
        tmp_path,
        THURSDAY,
        past=[Past("old", PENDING, "open", OLD)],
        first_late_day=first_late_day,
    )
    assert rule_of(found, "old") == PENDING
