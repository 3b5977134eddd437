"""What was due and is not done: the ledger's slots beside the calendar (Rulebook §2).

Nothing is missed: weekly slots that were due while the system was down, or that failed, are due
until they are done, oldest first. The daily slots look at the present: only today's may be run.
"""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy

WEEKLY_SLOTS = (Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION)
LATE_SLOTS = (Slot.LATE_ALERT, Slot.LATE_CANCELLATION)


def missing_slots(ledger: Ledger, policy: Policy, now: datetime) -> list[DueSlot]:
    """Slots due by `now` that are not done, oldest first; none before the ledger's first."""
    opened_at, done = _record(ledger)
    if opened_at is None:
        return []
    calendar = policy.slot_calendar
    weekly = calendar.due_between(opened_at, now, WEEKLY_SLOTS)
    late = [
        due
        for due in calendar.due_between(opened_at, now, LATE_SLOTS)
        if now < calendar.late_slot_is_over_at(due.slot, due.period)
    ]
    missing = [due for due in (*weekly, *late) if (due.slot, due.period) not in done]
    return sorted(missing, key=lambda due: due.due_at.timestamp())


def to_run_next(missing: list[DueSlot]) -> list[DueSlot]:
    """Of the missing slots those that may run now: of the weekly ones the oldest alone.

    A cycle is decided after the one before it, and implemented after it was decided.
    """
    weekly = [due for due in missing if due.slot.is_weekly]
    return [*weekly[:1], *(due for due in missing if not due.slot.is_weekly)]


def _record(ledger: Ledger) -> tuple[datetime | None, set[tuple[str, date]]]:
    """When the ledger had its first slot, and the slots that are done or skipped."""
    s, country = schema.slots.c, ledger.country
    with ledger.reading() as connection:
        opened_at = connection.execute(
            sa.select(schema.ledgers.c.opened_at).where(schema.ledgers.c.country == country)
        ).scalar()
        finished = connection.execute(
            sa.select(s.slot, s.period).where(s.country == country, s.finished_at.is_not(None))
        )
        return opened_at, {(slot, period) for slot, period in finished}
