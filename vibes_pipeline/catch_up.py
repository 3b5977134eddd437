"""What was due and is not done: the ledger's slots beside the calendar (Rulebook §2).

Nothing is missed: weekly slots that were due while the system was down, or that failed, are due
until they are done, oldest first. The daily slots look at the present: only today's may be run.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy

# A slot's own schedule comes first; what is later than this is left to catching up alone.
PUNCTUAL = timedelta(minutes=2)


def missing_slots(ledger: Ledger, policy: Policy, now: datetime) -> list[DueSlot]:
    """Slots due by `now` that are not done, oldest first; none before the ledger's first."""
    calendar = policy.slot_calendar
    opened_at, begun, done = _record(ledger, policy)
    if opened_at is None:
        return []
    # The first slot of all opened the ledger after it was due: it is known by having begun.
    due_by_now = {*calendar.due_between(opened_at, now), *begun} - done
    missing = [
        due
        for due in due_by_now
        if due.slot.is_weekly or now < calendar.late_slot_is_over_at(due.slot, due.period)
    ]
    order = list(Slot)
    return sorted(missing, key=lambda due: (due.due_at.timestamp(), order.index(due.slot)))


def to_run_next(missing: list[DueSlot]) -> list[DueSlot]:
    """Of the missing slots those that may run now: of the weekly ones the oldest alone.

    A cycle is decided after the one before it, and implemented after it was decided.
    """
    weekly = [due for due in missing if due.slot.is_weekly]
    return [*weekly[:1], *(due for due in missing if not due.slot.is_weekly)]


def _record(ledger: Ledger, policy: Policy) -> tuple[datetime | None, set[DueSlot], set[DueSlot]]:
    """When the ledger was opened, the slots begun but not finished, those done or skipped."""
    s, country = schema.slots.c, ledger.country
    begun: set[DueSlot] = set()
    done: set[DueSlot] = set()
    with ledger.reading() as connection:
        opened_at = connection.execute(
            sa.select(schema.ledgers.c.opened_at).where(schema.ledgers.c.country == country)
        ).scalar()
        rows = connection.execute(
            sa.select(s.slot, s.period, s.finished_at.is_not(None)).where(s.country == country)
        )
        for name, period, is_finished in rows:
            due_at = policy.slot_calendar.due_at(Slot(name), period)
            (done if is_finished else begun).add(DueSlot(due_at, Slot(name), period))
    return opened_at, begun, done
