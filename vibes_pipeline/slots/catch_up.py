"""Slots that were due and are not done: the ledger compared with the calendar (Rulebook §2).

A weekly slot that was due while the system was down, or that failed, stays due until it is done;
the oldest comes first. A late slot may be run only until the next late slot is due; after that the
missed day is skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from vibes_pipeline.calendar import DueSlot, Slot, SlotCalendar
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy

# So long after its time a slot is left to its own schedule; after that, to `catch_up` alone.
PUNCTUAL = timedelta(minutes=2)
# A slot should have run by this long after its time; then people are told that it is late.
GRACE = timedelta(minutes=30)


def missing_slots(
    ledger: Ledger, policy: Policy, now: datetime, *, opens_at: datetime | None = None
) -> list[DueSlot]:
    """Slots due by `now` that are not done, oldest first; none before the ledger's first.

    A ledger that no slot has used yet misses nothing, unless `opens_at` says when its first
    slot will be run.
    """
    calendar = policy.slot_calendar
    record = _record(ledger, policy)
    since = record.opened_at or opens_at
    if since is None:
        return []
    # The ledger's first slot was due before it opened the ledger, so it is taken from `begun`.
    due_by_now = {*calendar.due_between(since, now), *record.begun} - record.finished
    missing = [due for due in due_by_now if _can_be_run(due, calendar, record, now)]
    order = list(Slot)
    return sorted(missing, key=lambda due: (due.due_at.timestamp(), order.index(due.slot)))


def to_run_next(missing: list[DueSlot]) -> list[DueSlot]:
    """The missing slots that may run now: the oldest weekly slot, and every daily slot.

    A cycle is decided after the one before it, and implemented after it was decided.
    """
    weekly = [due for due in missing if due.slot.is_weekly]
    return [*weekly[:1], *(due for due in missing if not due.slot.is_weekly)]


def finished_slots(ledger: Ledger, policy: Policy) -> set[DueSlot]:
    """The slots that are done, and the slots of missed days, which are recorded as skipped."""
    return _record(ledger, policy).finished


@dataclass(frozen=True)
class _Record:
    """What the ledger records about slots; `newest_cycle` is the latest frozen cycle."""

    opened_at: datetime | None
    begun: set[DueSlot]
    finished: set[DueSlot]
    newest_cycle: date | None


def _can_be_run(due: DueSlot, calendar: SlotCalendar, record: _Record, now: datetime) -> bool:
    """False for a late slot whose day is over, and for an alert that a later cycle has outrun.

    Cycles are decided in order, so an outrun cycle is never decided: no slot may wait for it.
    """
    if not due.slot.is_weekly:
        return now < calendar.late_slot_is_over_at(due.slot, due.period)
    newest = record.newest_cycle
    is_outrun = newest is not None and due.period < newest and due not in record.begun
    return not (due.slot is Slot.WEEKLY_ALERT and is_outrun)


def _record(ledger: Ledger, policy: Policy) -> _Record:
    s, c, country = schema.slots.c, schema.cycles.c, ledger.country
    begun: set[DueSlot] = set()
    finished: set[DueSlot] = set()
    with ledger.reading() as connection:
        opened_at = connection.execute(
            sa.select(schema.ledgers.c.opened_at).where(schema.ledgers.c.country == country)
        ).scalar()
        newest_cycle = connection.execute(
            sa.select(sa.func.max(c.cycle)).where(c.country == country)
        ).scalar()
        rows = connection.execute(
            sa.select(s.slot, s.period, s.finished_at.is_not(None)).where(s.country == country)
        )
        for name, period, is_finished in rows:
            due_at = policy.slot_calendar.due_at(Slot(name), period)
            (finished if is_finished else begun).add(DueSlot(due_at, Slot(name), period))
    return _Record(opened_at, begun, finished, newest_cycle)
