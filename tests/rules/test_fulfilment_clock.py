"""Rulebook §3 in SQL: deadlines, and what is late by them (§6)."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from deadlines import fulfilment_deadline
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from marketplace import NIGERIA, Case, Decided, Item, Marketplace, each

# Cases of all years, so the marketplace lies at the end of the listed ones and looks back to their
# beginning.
LAST_WEEK = "2027-12-06"
EVER = "2016-01-01T00:00"

DEADLINES = [
    Case("Monday 09:40 is full on Tuesday 09:40", "2026-11-02T09:40", "2026-11-03T09:40"),
    Case("Monday 00:00 is full on Tuesday 00:00", "2026-11-02T00:00", "2026-11-03T00:00"),
    Case(
        "Saturday 18:00 is full on Monday 18:00, for Sunday does not run",
        "2026-11-07T18:00",
        "2026-11-09T18:00",
    ),
    Case(
        "Saturday 00:00 is full on Sunday 00:00, the instant the 24 hours are full",
        "2026-11-07T00:00",
        "2026-11-08T00:00",
    ),
    Case(
        "a microsecond after Saturday 00:00 lacks a microsecond that Monday brings",
        "2026-11-07T00:00:00.000001",
        "2026-11-09T00:00:00.000001",
    ),
    Case(
        "the last microsecond of Saturday is full with that of Monday",
        "2026-11-07T23:59:59.999999",
        "2026-11-09T23:59:59.999999",
    ),
    Case("Friday 10:00 runs into Saturday", "2026-11-06T10:00", "2026-11-07T10:00"),
    Case(
        "Sunday 00:00 starts on Monday 00:00 and is full on Tuesday 00:00",
        "2026-11-08T00:00",
        "2026-11-10T00:00",
    ),
    Case("Sunday 15:00 is full on Tuesday 00:00", "2026-11-08T15:00", "2026-11-10T00:00"),
    Case(
        "the last microsecond of Sunday is full on Tuesday 00:00",
        "2026-11-08T23:59:59.999999",
        "2026-11-10T00:00",
    ),
    Case(
        "Sunday 00:30 is Sunday here, though still Saturday in UTC",
        "2026-11-08T00:30",
        "2026-11-10T00:00",
    ),
    Case(
        "Friday 10:00 before a holiday on Saturday is full on Monday 10:00",
        "2027-05-28T10:00",
        "2027-05-31T10:00",
    ),
    Case(
        "Friday 00:00 before a holiday on Saturday is full on Saturday 00:00",
        "2027-05-28T00:00",
        "2027-05-29T00:00",
    ),
    Case(
        "a Saturday that is a holiday starts on Monday 00:00",
        "2027-05-29T10:00",
        "2027-06-01T00:00",
    ),
    Case(
        "Wednesday 16:00 before a holiday on Thursday is full on Friday 16:00",
        "2026-09-30T16:00",
        "2026-10-02T16:00",
    ),
    Case(
        "a holiday on Thursday starts on Friday 00:00",
        "2026-10-01T12:00",
        "2026-10-03T00:00",
    ),
    Case(
        "00:30 of a holiday is of the holiday, though not yet in UTC",
        "2026-10-01T00:30",
        "2026-10-03T00:00",
    ),
    Case(
        "Christmas, Boxing Day, Sunday and the observed Monday stand still",
        "2026-12-24T18:00",
        "2026-12-29T18:00",
    ),
    Case(
        "Good Friday stands still, the Saturday after it runs",
        "2026-04-02T12:00",
        "2026-04-04T12:00",
    ),
    Case(
        "the Saturday before Easter Monday is full on Tuesday",
        "2026-04-04T12:00",
        "2026-04-07T12:00",
    ),
    Case(
        "the year's last day is full on the second of January, for the first is a holiday",
        "2026-12-31T10:00",
        "2027-01-02T10:00",
    ),
    Case(
        "the year's turn on a Saturday: the first and its observed Monday stand still",
        "2021-12-31T10:00",
        "2022-01-04T10:00",
    ),
    Case("a leap day runs", "2024-02-28T10:00", "2024-02-29T10:00"),
    Case("a mourning day proclaimed later stands still", "2025-07-14T10:00", "2025-07-16T10:00"),
]


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace(LAST_WEEK)
    for sentence, pending_at, _ in DEADLINES:
        marketplace.item(Item(order_item_id=sentence, pending_at=pending_at))
    folder = tmp_path_factory.mktemp("deadlines")
    return marketplace.decide(folder, "warehouse.fulfilment_deadlines", horizon=EVER)


@each(DEADLINES)
def test_the_clock_runs_on_fulfilment_days(clocked: Decided, sentence: str, expected: str) -> None:
    row = clocked.row(
        "warehouse.fulfilment_deadlines", order_item_id=sentence, entered_state="pending"
    )
    assert row is not None
    deadline = row["deadline_at"].astimezone(NIGERIA.time_zone).replace(tzinfo=None)
    assert deadline == datetime.fromisoformat(expected)


def test_every_item_has_one_deadline(clocked: Decided) -> None:
    assert len(clocked.rows("warehouse.fulfilment_deadlines")) == len(DEADLINES)


# All pending Monday 09:40, so due Tuesday 09:40, unless they say otherwise.
LATE = [
    Case("ready exactly at the deadline is in time", Item(ready_to_ship_at="Tue 09:40"), None),
    Case(
        "ready a microsecond after the deadline is late",
        Item(ready_to_ship_at="Tue 09:40:00.000001"),
        "Tue 09:40",
    ),
    Case("never ready is late", Item(), "Tue 09:40"),
    Case(
        "shipped in time without having been set ready is in time",
        Item(shipped_at="Tue 09:40"),
        None,
    ),
    Case(
        "delivered in time without further record is in time", Item(delivered_at="Tue 09:40"), None
    ),
    Case("refused in time without further record is in time", Item(rejected_at="Tue 09:40"), None),
    Case(
        "shipped in time and set ready after the fact is in time, for the earliest counts",
        Item(shipped_at="Tue 09:00", ready_to_ship_at="Wed 10:00"),
        None,
    ),
    Case(
        "shipped after the deadline without having been set ready is late",
        Item(shipped_at="Wed 10:00"),
        "Tue 09:40",
    ),
    Case(
        "ready in time and shipped days later is not late: shipping has its own clock",
        Item(ready_to_ship_at="Mon 12:00", shipped_at="Fri 12:00"),
        None,
    ),
    Case(
        "cancelled a microsecond before the deadline is not late",
        Item(cancelled_at="Tue 09:39:59.999999", cancel_reason="other"),
        None,
    ),
    Case(
        "cancelled exactly at the deadline is late",
        Item(cancelled_at="Tue 09:40", cancel_reason="late_pending"),
        "Tue 09:40",
    ),
    Case(
        "cancelled by the customer after the deadline is still late",
        Item(cancelled_at="Wed 10:00", cancel_reason="customer_request"),
        "Tue 09:40",
    ),
    Case(
        "ready in time and cancelled after the deadline is not late",
        Item(ready_to_ship_at="Mon 12:00", cancelled_at="Wed 10:00", cancel_reason="out_of_stock"),
        None,
    ),
    Case(
        "ready late but after it had been cancelled in time is not late",
        Item(ready_to_ship_at="Wed 10:00", cancelled_at="Mon 12:00", cancel_reason="out_of_stock"),
        None,
    ),
    Case(
        "pending on Saturday 00:00 and not ready is late at Sunday 00:00",
        Item(pending_at="Sat 00:00", ready_to_ship_at="Sun 00:00:00.000001"),
        "Sun 00:00",
    ),
    Case(
        "pending on Sunday and ready exactly on Tuesday 00:00 is in time",
        Item(pending_at="Sun 15:00", ready_to_ship_at="Tue+1 00:00"),
        None,
    ),
    Case(
        "a deadline at the very instant of the slot has passed",
        Item(pending_at="Tue+1 07:00"),
        "Wed+1 07:00",
    ),
    Case(
        "a deadline a microsecond after the slot has not",
        Item(pending_at="Tue+1 07:00:00.000001"),
        None,
    ),
    Case(
        "ready only after the slot's instant is not ready yet",
        Item(ready_to_ship_at="Thu+1 10:00"),
        "Tue 09:40",
    ),
    Case(
        "cancelled only after the slot's instant is not cancelled yet",
        Item(pending_at="Tue+1 06:00", cancelled_at="Wed+1 07:30", cancel_reason="other"),
        "Wed+1 06:00",
    ),
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, item, _ in LATE:
        marketplace.item({"order_item_id": sentence, "pending_at": "Mon 09:40", **item})
    return marketplace.decide(tmp_path_factory.mktemp("late"), "events.late_fulfilments")


@each(LATE)
def test_late_is_not_ready_by_the_deadline(
    judged: Decided, sentence: str, expected: str | None
) -> None:
    row = judged.row("events.late_fulfilments", order_item_id=sentence)
    assert (row and row["event_at"]) == (Marketplace().at(expected) if expected else None)


@pytest.mark.parametrize(
    ("sentence", "week", "day"),
    [
        ("never ready is late", date(2026, 11, 9), date(2026, 11, 10)),
        # Sunday 00:00 is of the week that ends, and of Sunday.
        (
            "pending on Saturday 00:00 and not ready is late at Sunday 00:00",
            date(2026, 11, 9),
            date(2026, 11, 15),
        ),
    ],
)
def test_a_late_event_is_of_its_deadlines_week_and_day(
    judged: Decided, sentence: str, week: date, day: date
) -> None:
    row = judged.row("events.late_fulfilments", order_item_id=sentence)
    assert row is not None
    assert (row["event_week"], row["event_date"]) == (week, day)


def test_an_item_pending_before_the_listed_years_stops_nobody(tmp_path: Path) -> None:
    """Nobody knows its deadline; that lies before any cycle, whatever the holidays were."""
    marketplace = Marketplace()
    for pending_at in ("1970-01-02T00:00", "2015-12-31T23:59:59"):
        marketplace.item(Item(order_item_id=pending_at, seller_id="S-1", pending_at=pending_at))
        # Such an item that moved on only now is looked at by the weekly rules.
        moved = Item(seller_id="S-1", pending_at=pending_at, shipped_at="Tue 10:00")
        marketplace.item(moved)
    marketplace.seller(seller_id="S-1")
    late = marketplace.item(Item(seller_id="S-1"))
    charges = "decisions.late_fulfilment_charges"
    decided = marketplace.decide(tmp_path, charges, "warehouse.quarantine")
    assert decided.rows("warehouse.quarantine") == []
    assert [row["order_item_id"] for row in decided.rows(charges)] == [late]


def random_instants(source: random.Random, count: int) -> list[datetime]:
    """Instants of all listed years; half of them around midnights, where days change."""
    first = datetime(2016, 1, 1, tzinfo=NIGERIA.time_zone)
    days = (datetime(2027, 12, 10, tzinfo=NIGERIA.time_zone) - first).days
    near = [timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1)]
    return [
        first
        + timedelta(days=source.randint(1, days))
        + (
            source.choice(near)
            if source.random() < 0.5
            else timedelta(microseconds=source.randrange(86_400_000_000))
        )
        for _ in range(count)
    ]


@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_sql_and_calendar_agree_on_every_deadline(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    instants = random_instants(random.Random(seed), 500)
    marketplace = Marketplace(LAST_WEEK)
    seller = marketplace.seller()
    sku = marketplace.product(seller)
    for number, pending_at in enumerate(instants):
        item = Item(
            seller_id=seller, sku=sku, pending_at=pending_at.replace(tzinfo=None).isoformat()
        )
        marketplace.item({"order_item_id": str(number), **item})
    decided = marketplace.decide(
        tmp_path_factory.mktemp("random"), "warehouse.fulfilment_deadlines", horizon=EVER
    )
    found = {
        row["order_item_id"]: row["deadline_at"].astimezone(UTC)
        for row in decided.rows("warehouse.fulfilment_deadlines")
    }
    hours = NIGERIA.fulfilment.hours.on(date(2026, 1, 1))
    assert found == {
        str(number): fulfilment_deadline(NIGERIA.calendar, entered, hours).astimezone(UTC)
        for number, entered in enumerate(instants)
    }
