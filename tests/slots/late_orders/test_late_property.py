"""Whatever happens in a week, late orders keep their promises and do what a slow model says.

Random items live through a week with a public holiday and a Sunday; addresses break and are mended;
slots are late, missed or run twice. Beside the pipeline goes a model of Rulebook §2, §3 and §9 that
shares no code with it: it walks the clock day by day and reads the items as plain values.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger.made import LAGOS
from properties import courses
from rules.marketplace import Item, Marketplace
from served import own_ledger
from slots.late_orders.days import PENDING, READY, Days

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.slots import late_orders

MONDAY = date(2026, 9, 28)
HOLIDAYS = {date(2026, 10, 1)}
DAY, HOUR, MICROSECOND = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
START = datetime.combine(MONDAY, time(), LAGOS)
WEEK = [MONDAY + n * DAY for n in range(7)]
SELLERS = ("S-1", "S-2", "S-3")
ITEMS = 60
_numbers = count(1)


# --- the model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """What happens to an item, whenever the warehouse is looked at."""

    name: str
    seller: str
    pending_at: datetime
    ready_at: datetime | None
    shipped_at: datetime | None
    cancelled_at: datetime | None

    def state(self, now: datetime) -> tuple[str, datetime] | None:
        """The rule that its present state may fall under and its deadline; None if it is done."""
        if self.pending_at > now or _by(self.shipped_at, now) or _by(self.cancelled_at, now):
            return None
        if self.ready_at is not None and self.ready_at <= now:
            return READY, deadline(self.ready_at)
        return PENDING, deadline(self.pending_at)


def _by(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def deadline(entered_at: datetime) -> datetime:
    """When 24 hours have passed on Mondays to Saturdays that are no holidays."""
    at, remaining = entered_at, 24 * HOUR
    while True:
        midnight = datetime.combine(at.date() + DAY, time(), LAGOS)
        if at.weekday() != 6 and at.date() not in HOLIDAYS:
            if at + remaining <= midnight:
                return at + remaining
            remaining -= midnight - at
        at = midnight


@dataclass
class Action:
    item: Life
    rule: str
    events: dict[str, datetime]
    cause: str = "overdue"
    accepted: list[datetime] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return not self.events.keys() & {"implemented", "withdrawn"}


@dataclass
class Alert:
    actions: list[Action]
    pointless_at: datetime
    is_accepted: bool = False


@dataclass
class Model:
    """What the rulebook says becomes of the lives, slot by slot."""

    lives: list[Life]
    addresses: dict[str, str | None]
    actions: dict[tuple[str, str], Action] = field(default_factory=dict)
    alerts: dict[tuple[date, str], Alert] = field(default_factory=dict)
    done: set[tuple[str, date]] = field(default_factory=set)
    first_day: date | None = None

    def overdue(self, day: date, now: datetime) -> set[tuple[str, str, datetime]]:
        """(item, rule, deadline) of what will be overdue at 23:00."""
        found = set()
        for life in self.lives:
            state = life.state(now)
            if state and state[1] <= eleven(day):
                found.add((life.name, *state))
        return found

    def alert(self, day: date, now: datetime) -> None:
        if ("alert", day) not in self.done:
            self.done.add(("alert", day))
            self.first_day = self.first_day or day
            for name, rule, due_at in sorted(self.overdue(day, now)):
                self._find(next(x for x in self.lives if x.name == name), rule, due_at, day, now)
        self.deliver(now)

    def _find(self, life: Life, rule: str, due_at: datetime, day: date, now: datetime) -> None:
        assert self.first_day
        ours = [a for (item, _), a in self.actions.items() if item == life.name]
        if any("implemented" in a.events for a in ours):
            return
        action = self.actions.get((life.name, rule))
        if action is None and due_at.date() >= self.first_day:
            action = self.actions[life.name, rule] = Action(life, rule, {"proposed": now})
        if action is None or not action.is_open:
            return
        told = self.alerts.setdefault((day, life.seller), Alert([], eleven(day) - 12 * HOUR))
        told.actions.append(action)

    def deliver(self, now: datetime) -> None:
        for (_, seller), alert in self.alerts.items():
            to_tell = [a for a in alert.actions if a.is_open]
            if alert.is_accepted or now >= alert.pointless_at or not self.addresses[seller]:
                continue
            alert.is_accepted = bool(to_tell)
            for action in to_tell:
                action.accepted.append(now)
                if "alerted" not in action.events:
                    action.events["alerted"], action.cause = now, "alert accepted"

    def cancel(self, day: date, now: datetime) -> None:
        if ("cancel", day) not in self.done:
            self.done.add(("cancel", day))
            still = {(name, rule) for name, rule, _ in self.overdue(day, now)}
            for key, action in self.actions.items():
                if not action.is_open:
                    continue
                if key not in still:
                    was_cancelled = _by(action.item.cancelled_at, now)
                    action.events["withdrawn"] = now
                    action.cause = "cancelled" if was_cancelled else "updated"
                elif any(at <= now - 12 * HOUR for at in action.accepted):
                    action.events["implemented"], action.cause = now, "cancelled"
        self.deliver(now)


def eleven(day: date) -> datetime:
    return datetime.combine(day, time(23), LAGOS)


# --- a random week --------------------------------------------------------------------------------


def random_lives(chance: random.Random) -> list[Life]:
    """Items entered from three days before the week on, many around the hours that matter."""

    def later(than: datetime, most_hours: int) -> datetime:
        return than + chance.randint(0, most_hours) * HOUR + chance.choice([0, 0, 1]) * MICROSECOND

    lives = []
    for number in range(ITEMS):
        pending_at = later(START - 3 * DAY, 9 * 24)
        ready_at = later(pending_at, 50) if chance.random() < 0.6 else None
        shipped_at = later(ready_at or pending_at, 60) if chance.random() < 0.4 else None
        cancelled_at = later(pending_at, 90) if chance.random() < 0.2 else None
        lives.append(
            Life(
                f"I-{number:02}",
                chance.choice(SELLERS),
                pending_at,
                # Shipped without ever being ready, now and then.
                ready_at if chance.random() < 0.9 or shipped_at is None else None,
                shipped_at,
                cancelled_at,
            )
        )
    return lives


# When a day's slot is run, as hours of the day, each time it is run.
ALERTS: list[list[float]] = [[6], [6], [6], [6], [6, 7], [10], [12], []]
CANCELLATIONS: list[list[float]] = [[23], [23], [23], [23], [23, 23.5], [23.75], [24.5], []]


@courses(1)
@given(seed=st.integers(0, 2**32))
def test_a_week_of_late_orders_is_what_the_rulebook_makes_of_it(
    administration: sa.Engine, seed: int
) -> None:
    chance = random.Random(seed)
    with new_days(administration) as days:
        lives = random_lives(chance)
        addresses: dict[str, str | None] = {seller: days.seller(seller) for seller in SELLERS}
        for life in lives:
            days.pending_item(life.name, columns_of(life), seller=life.seller)
        model = Model(lives, addresses)
        for day in WEEK:
            midnight = datetime.combine(day, time(), LAGOS)
            change_addresses(chance, days, addresses)
            for hours in chance.choice(ALERTS):
                now = midnight + hours * HOUR
                days.late_alert(words(now))
                model.alert(day, now)
                assert found(days) == model.overdue(day, now)
            change_addresses(chance, days, addresses)
            # Not before the day's alert, for time does not go back.
            between = midnight + chance.choice([8, 10.99, 11.01, 13]) * HOUR
            between = max(between, days.last_run.now if days.last_run else between)
            days.deliver(words(between))
            model.deliver(between)
            for hours in chance.choice(CANCELLATIONS):
                now = midnight + hours * HOUR
                days.late_cancel(words(now))
                model.cancel(day, now)

        assert history(days) == {
            key: (action.cause, action.events) for key, action in model.actions.items()
        }
        assert told(days) == {
            key: ({(a.item.name, a.rule) for a in alert.actions}, alert.is_accepted)
            for key, alert in model.alerts.items()
        }
        for promise, broken in PROMISES.items():
            assert days.rows(sa.text(broken)) == [], f"broken: {promise}"
        by_name = {life.name: life for life in lives}
        for row in days.feed():
            assert by_name[row["order_item_id"]].state(row["cancelled_at"]) is not None, (
                f"{row['order_item_id']} was updated or cancelled, and yet cancelled by us"
            )


PROMISES = {
    "an item is cancelled by us once": """
        SELECT order_item_id FROM ledger.cancellations GROUP BY order_item_id HAVING count(*) > 1
    """,
    "nothing is cancelled unless its alert was accepted twelve hours before": """
        SELECT reference FROM ledger.actions JOIN ledger.action_events e USING (action_id)
        WHERE state = 'implemented' AND NOT EXISTS (
            SELECT 1 FROM ledger.notice_actions l
            JOIN ledger.notices n USING (notice_id) JOIN ledger.deliveries d USING (notice_id)
            WHERE l.action_id = e.action_id AND n.kind = 'late_alert'
                AND d.status = 'sent' AND d.code = 250 AND d.at + INTERVAL '12 hours' <= e.at
        )
    """,
    "a seller gets one alert and one mail a day about their own items": """
        SELECT n.notice_id FROM ledger.notices n JOIN ledger.notice_actions USING (notice_id)
        JOIN ledger.actions a USING (action_id)
        GROUP BY n.notice_id HAVING count(DISTINCT a.seller_id) > 1
    """,
    "every night's mail lists what was cancelled that night": """
        SELECT a.reference FROM ledger.action_states a
        LEFT JOIN (
            SELECT l.action_id, n.planned_at FROM ledger.notice_actions l
            JOIN ledger.notices n USING (notice_id) WHERE n.kind = 'late_cancellation'
        ) mails USING (action_id)
        WHERE a.implemented_at IS DISTINCT FROM mails.planned_at
    """,
    "an action's events follow each other in time": """
        SELECT a.action_id FROM ledger.action_events a JOIN ledger.action_events b USING (action_id)
        WHERE a.event_id < b.event_id AND a.at > b.at
    """,
}


# --- helpers --------------------------------------------------------------------------------------


@contextmanager
def new_days(administration: sa.Engine) -> Iterator[Days]:
    """An empty ledger and marketplace of an example's own."""
    with own_ledger(administration) as ledger, tempfile.TemporaryDirectory() as home:
        yield Days(ledger, Path(home), Marketplace(week=MONDAY.isoformat()))


def change_addresses(chance: random.Random, days: Days, addresses: dict[str, str | None]) -> None:
    for seller in SELLERS:
        if chance.random() < 0.25:
            broken = addresses[seller] is not None
            addresses[seller] = None if broken else f"mended{next(_numbers)}@shop.example"
            days.row("sellers", seller)["email"] = addresses[seller]


def columns_of(life: Life) -> Item:
    columns = Item(pending_at=words(life.pending_at))
    if life.ready_at:
        columns["ready_to_ship_at"] = words(life.ready_at)
    if life.shipped_at:
        columns["shipped_at"] = words(life.shipped_at)
    if life.cancelled_at:
        columns["cancelled_at"] = words(life.cancelled_at)
        columns["cancel_reason"] = "customer_request"
    return columns


def words(at: datetime) -> str:
    """A local time as marketplaces take it."""
    return at.replace(tzinfo=None).isoformat()


def found(days: Days) -> set[tuple[str, str, datetime]]:
    """What the last alert's SQL found, as the model says it."""
    assert days.last_run
    rows = days.last_run.engine.read(late_orders.OVERDUE).rows(named=True)
    rules = {"pending": PENDING, "ready_to_ship": READY}
    return {(r["order_item_id"], rules[r["entered_state"]], r["deadline_at"]) for r in rows}


def history(days: Days) -> dict[tuple[str, str], tuple[str, dict[str, datetime]]]:
    """The last cause and the times of every action, by item and rule."""
    a, e = schema.actions.c, schema.action_events.c
    made: dict[tuple[str, str], tuple[str, dict[str, datetime]]] = {}
    for item, rule, state, at, cause in days.rows(
        sa.select(a.order_item_id, a.rule, e.state, e.at, e.cause)
        .join(schema.actions, a.action_id == e.action_id)
        .order_by(e.event_id)
    ):
        times = made.get((item, rule), ("", {}))[1]
        made[item, rule] = (cause, {**times, state: at})
    return made


def told(days: Days) -> dict[tuple[date, str], tuple[set[tuple[str, str]], bool]]:
    """What each day's alert to a seller lists, and whether it was accepted."""
    a, n, na = schema.actions.c, views.notice_states.c, schema.notice_actions.c
    listed: dict[tuple[date, str], tuple[set[tuple[str, str]], bool]] = {}
    for day, seller, status, item, rule in days.rows(
        sa.select(n.period, n.seller_id, n.status, a.order_item_id, a.rule)
        .select_from(schema.notice_actions)
        .join(views.notice_states, n.notice_id == na.notice_id)
        .join(schema.actions, a.action_id == na.action_id)
        .where(n.kind == "late_alert")
    ):
        listed.setdefault((day, seller), (set(), status == "sent"))[0].add((item, rule))
    return listed
