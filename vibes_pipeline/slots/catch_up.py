"""What was due and is not done: the ledger's slots beside the calendar (Rulebook §2).

Nothing is missed: weekly slots that were due while the system was down, or that failed, are due
until they are done, oldest first. The daily slots look at the present: only today's may be run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from vibes_pipeline.calendar import DueSlot, Slot, SlotCalendar
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy

# A slot's own schedule comes first; what is later than this is left to catching up alone.
PUNCTUAL = timedelta(minutes=2)


def missing_slots(
    ledger: Ledger, policy: Policy, now: datetime, *, opens_at: datetime | None = None
) -> list[DueSlot]:
    """Slots due by `now` that are not done, oldest first; none before the ledger's first.

    A ledger that is not used yet misses nothing, unless it is told when it is to be opened.
    """
    calendar = policy.slot_calendar
    record = _record(ledger, policy)
    since = record.opened_at or opens_at
    if since is None:
        return []
    # The first slot of all opened the ledger after it was due: it is known by having begun.
    due_by_now = {*calendar.due_between(since, now), *record.begun} - record.finished
    missing = [due for due in due_by_now if _can_be_run(due, calendar, record, now)]
    order = list(Slot)
    return sorted(missing, key=lambda due: (due.due_at.timestamp(), order.index(due.slot)))


def to_run_next(missing: list[DueSlot]) -> list[DueSlot]:
    """Of the missing slots those that may run now: of the weekly ones the oldest alone.

    A cycle is decided after the one before it, and implemented after it was decided.
    """
    weekly = [due for due in missing if due.slot.is_weekly]
    return [*weekly[:1], *(due for due in missing if not due.slot.is_weekly)]


def finished_slots(ledger: Ledger, policy: Policy) -> set[DueSlot]:
    """The slots that are done or, of days that were missed, skipped."""
    return _record(ledger, policy).finished


@dataclass(frozen=True)
class _Record:
    """What the ledger has of slots; `newest_cycle` is the latest that is frozen."""

    opened_at: datetime | None
    begun: set[DueSlot]
    finished: set[DueSlot]
    newest_cycle: date | None


def _can_be_run(due: DueSlot, calendar: SlotCalendar, record: _Record, now: datetime) -> bool:
    """Not a late slot whose day is over, nor an alert that a later cycle has outrun.

    Cycles are decided in order: to wait for one that can't be decided any more is to wait for ever.
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
