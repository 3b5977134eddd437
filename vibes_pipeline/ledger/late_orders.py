"""Late orders in the ledger: what the rules must know, the day's alerts, the cancellations (§9)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import schema, states_at, views
from vibes_pipeline.ledger.actions import Terms
from vibes_pipeline.ledger.at_hand import is_open
from vibes_pipeline.ledger.events import is_among, record_events
from vibes_pipeline.ledger.evidence import record_missing
from vibes_pipeline.ledger.frames import in_frame, read, read_frame
from vibes_pipeline.ledger.implementation import record_withdrawn, select_due, was_alerted_in_time
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.notices import plan_notices
from vibes_pipeline.ledger.proposals import record_policy, record_proposed
from vibes_pipeline.ledger.states import OPEN, State
from vibes_pipeline.rules import LATE_RULES, Evidence

# Outcomes that do not withdraw an open action: it is cancelled now, it waits for its deadline, or
# it waits until its item's row is loaded again.
STAYING = frozenset({"overdue", "not_due", "missing"})


@dataclass(frozen=True)
class LateDay:
    """What a late slot did on a day: its instant and how many actions, by rule or by reason."""

    day: date
    effected_at: datetime
    counts: Mapping[str, int]


@dataclass(frozen=True)
class SlotTime:
    """A slot's day, when it was due, its one instant, and whether that is the wall clock's."""

    day: date
    due_at: datetime
    now: datetime
    is_simulated: bool


def open_late_cancellations(ledger: Ledger) -> pl.DataFrame:
    """Late actions neither implemented nor withdrawn, with the state entered and when (ISO)."""
    s = views.action_states.c
    return read_frame(
        ledger,
        sa.select(
            in_frame(s.action_id),
            s.rule,
            s.seller_id,
            s.order_item_id,
            *(
                s.evidence[key].astext.label(key)
                for key in (Evidence.ENTERED_STATE, Evidence.ENTERED_AT)
            ),
        ).where(s.country == ledger.country, s.rule.in_(LATE_RULES), is_open(s.action_id)),
    )


def late_cancellations(
    ledger: Ledger, order_item_ids: Collection[str], *, at: datetime | None = None
) -> pl.DataFrame:
    """The late actions of some items: rule, item, action_id, whether open, whether implemented.

    With `at` as they stood then.
    """
    s = states_at.action_states(at).c
    wanted = sa.func.unnest(sa.literal(list(order_item_ids), sa.ARRAY(sa.Text)))
    return read_frame(
        ledger,
        sa.select(
            in_frame(s.action_id),
            s.rule,
            s.seller_id,
            s.order_item_id,
            s.state.in_(OPEN).label("is_open"),
            s.implemented_at.is_not(None).label("is_implemented"),
        ).where(
            s.country == ledger.country,
            s.rule.in_(LATE_RULES),
            s.order_item_id.in_(sa.select(wanted)),
        ),
    )


def first_late_day(ledger: Ledger) -> date | None:
    """The first day on which this ledger ran a late alert."""
    with ledger.reading() as connection:
        return connection.execute(
            sa.select(sa.func.min(schema.slots.c.period)).where(
                *_slots(ledger, Slot.LATE_ALERT), schema.slots.c.outcome == "done"
            )
        ).scalar()


def propose(
    ledger: Ledger,
    new: pl.DataFrame,
    kept: pl.DataFrame,
    terms: Terms,
    at: SlotTime,
    *,
    policy_content: str,
    pointless_at: datetime,
) -> LateDay:
    """Record the day's late actions and plan its alerts, once; missed days become skipped.

    `new` has the actions, as `actions_of` makes them; `kept` those of earlier days (columns
    `seller_id`, `action_id`), overdue still: they are alerted again.
    """
    with ledger.writing(is_simulated=at.is_simulated, now=at.now) as connection:
        if ledger.slot_effected_at(connection, Slot.LATE_ALERT, at.day) is None:
            _record_skipped(connection, ledger, at)
            record_policy(connection, terms, policy_content, at.now)
            record_proposed(connection, new, at.now, cause="overdue")
            plan_notices(
                connection,
                country=ledger.country,
                kind=NoticeKind.LATE_ALERT,
                period=at.day,
                actions=pl.concat(a.select("seller_id", "action_id") for a in (new, kept)),
                now=at.now,
                pointless_at=pointless_at,
            )
            ledger.record_effects(connection, Slot.LATE_ALERT, at.day, at.due_at, at.now)
    return alerted_on(ledger, at.day)


def alerted_on(ledger: Ledger, day: date) -> LateDay:
    """How many actions the late alert of a day listed, by rule."""
    s, n, na = schema.actions.c, schema.notices.c, schema.notice_actions.c
    select = (
        sa.select(s.rule, sa.func.count())
        .join(schema.notice_actions, na.action_id == s.action_id)
        .join(schema.notices, n.notice_id == na.notice_id)
        .where(n.country == ledger.country, n.kind == NoticeKind.LATE_ALERT, n.period == day)
        .group_by(s.rule)
        .order_by(s.rule)
    )
    return _done(ledger, Slot.LATE_ALERT, day, select)


def cancel(
    ledger: Ledger,
    outcomes: Mapping[str, Collection[UUID]],
    at: SlotTime,
    *,
    patience_slots: int,
) -> LateDay:
    """Cancel what is overdue still and was told of in time; withdraw all that is not overdue; once.

    `outcomes` gives the open actions by what became of them; `overdue` is what is cancelled,
    `not_due` stays as it is, and `missing` until `patience_slots` nights in a row have looked for
    it in vain.
    """
    slot = Slot.LATE_CANCELLATION
    with ledger.writing(is_simulated=at.is_simulated, now=at.now) as connection:
        if ledger.slot_effected_at(connection, slot, at.day) is None:
            for outcome, actions in outcomes.items():
                if outcome not in STAYING:
                    record_withdrawn(connection, actions, at.now, cause=outcome)
            given_up = record_missing(
                connection, outcomes.get("missing", ()), slot, at.day, at.now, patience_slots
            )
            record_withdrawn(connection, given_up, at.now, cause="evidence_gone")
            cancelled = _due(connection, outcomes.get("overdue", ()), at.now)
            record_events(connection, State.IMPLEMENTED, cancelled, at.now, cause="cancelled")
            plan_notices(
                connection,
                country=ledger.country,
                kind=NoticeKind.LATE_CANCELLATION,
                period=at.day,
                actions=cancelled,
                now=at.now,
            )
            ledger.record_effects(connection, slot, at.day, at.due_at, at.now)
    return cancelled_on(ledger, at.day)


def cancelled_on(ledger: Ledger, day: date) -> LateDay:
    """Actions that the late cancellation of a day cancelled, by rule, or withdrew, by reason."""
    s, e = schema.actions.c, schema.action_events.c
    slot_now = sa.select(schema.slots.c.effected_at).where(
        *_slots(ledger, Slot.LATE_CANCELLATION), schema.slots.c.period == day
    )
    what = sa.case(
        (e.state == State.IMPLEMENTED, s.rule), else_=sa.literal("withdrawn: ") + e.cause
    )
    select = (
        sa.select(what.label("what"), sa.func.count())
        .join(schema.actions, s.action_id == e.action_id)
        .where(
            s.country == ledger.country,
            s.rule.in_(LATE_RULES),
            e.state.in_((State.IMPLEMENTED, State.WITHDRAWN)),
            e.at == slot_now.scalar_subquery(),
        )
        .group_by("what")
        .order_by("what")
    )
    return _done(ledger, Slot.LATE_CANCELLATION, day, select)


def _due(connection: sa.Connection, overdue: Collection[UUID], now: datetime) -> pl.DataFrame:
    s = views.action_states.c
    return read(
        connection,
        select_due().where(
            is_among(s.action_id, overdue), s.state == State.ALERTED, was_alerted_in_time(now)
        ),
    )


def _record_skipped(connection: sa.Connection, ledger: Ledger, at: SlotTime) -> None:
    """The days since the last late alert on which nothing ran are skipped, not replayed (§2)."""
    last = connection.execute(
        sa.select(sa.func.max(schema.slots.c.period)).where(*_slots(ledger, Slot.LATE_ALERT))
    ).scalar()
    if last is None:
        return
    missed = [last + timedelta(days=n) for n in range((at.day - last).days)]
    rows = [
        {
            "country": ledger.country,
            "slot": slot,
            "period": day,
            "due_at": at.due_at - timedelta(days=(at.day - day).days),
            "effected_at": at.now,
            "finished_at": at.now,
            "outcome": "skipped",
            "detail": f"missed; the late alert ran again on {at.day}",
        }
        for day in missed
        for slot in (Slot.LATE_ALERT, Slot.LATE_CANCELLATION)
    ]
    if rows:
        connection.execute(insert(schema.slots).on_conflict_do_nothing(), rows)


def _slots(ledger: Ledger, slot: Slot) -> tuple[sa.ColumnElement[bool], ...]:
    return (schema.slots.c.country == ledger.country, schema.slots.c.slot == slot)


def _done(ledger: Ledger, slot: Slot, day: date, counted: sa.Select[Any]) -> LateDay:
    with ledger.reading() as connection:
        effected_at = ledger.slot_effected_at(connection, slot, day)
        if effected_at is None:
            raise LookupError(f"the {slot} of {day} has not run")
        counts = {str(what): int(count) for what, count in connection.execute(counted)}
    return LateDay(day, effected_at, counts)
