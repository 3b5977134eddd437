"""Whether a slot may be begun: live or simulated, its time, its turn (Rulebook §2).

Here belong the refusals that come before anything is done. The command and the replay ask before
they start a run, the schedules and sensors before they request one. The run itself asks before its
first step, because a person may have started it in the UI. None of this knows Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.proposals import require_not_outrun
from vibes_pipeline.policy import Policy
from vibes_pipeline.slots.catch_up import missing_slots


def period_to_begin(
    ledger: Ledger,
    policy: Policy,
    slot: Slot,
    period: date | None,
    *,
    now: datetime,
    is_simulated: bool,
) -> date:
    """The period for which the slot may be begun at `now`: the given `period`, if any.

    Without one it is the oldest missing period of a weekly slot, else the latest that is due.
    Only weekly slots wait for older weekly slots: a weekly alert that fails for days must hold
    back neither the late alerts nor the effects of claims.

    Raises `LedgerError` when the ledger is of the other mode or has an event after `now`,
    `CalendarError` for a day outside the years whose holidays are listed, `UsageError` when the
    slot is not due yet, when its day is over, or while an older weekly slot is missing.
    """
    now = now.astimezone(policy.time_zone)
    ledger.require_mode(is_simulated=is_simulated)
    ledger.require_not_before(now)
    missing = weekly_ones(missing_slots(ledger, policy, now)) if slot.is_weekly else []
    if period is None:
        period = _default_period(policy, slot, missing, now)
    for day in (policy.local_date(now), period):
        policy.calendar.require(day)
    if slot is Slot.CLAIMS:
        return period
    due = DueSlot(policy.slot_calendar.due_at(slot, period), slot, period)
    _require_time(policy, due, now)
    if slot.is_weekly:
        require_turn(due, missing)
    if slot is Slot.WEEKLY_ALERT:
        require_not_outrun(ledger, period)
    return period


def _default_period(policy: Policy, slot: Slot, missing: Sequence[DueSlot], now: datetime) -> date:
    """The period to begin when the caller names none."""
    if not missing:
        return policy.slot_calendar.period_of(slot, now)
    oldest = missing[0]
    if oldest.slot is not slot:
        raise _comes_first(oldest, slot)
    return oldest.period


def _require_time(policy: Policy, due: DueSlot, now: datetime) -> None:
    if now < due.due_at:
        raise UsageError(
            f"{due.slot} of {due.period} is due {due.due_at:%Y-%m-%d %H:%M}; it is "
            f"{now:%Y-%m-%d %H:%M}"
        )
    if due.slot.is_weekly:
        return
    over_at = policy.slot_calendar.late_slot_is_over_at(due.slot, due.period)
    if now >= over_at:
        raise UsageError(
            f"the {due.slot} of {due.period} is over since {over_at:%Y-%m-%d %H:%M}: a missed day "
            "is skipped, not replayed; what is overdue still is in the next late alert"
        )


def require_turn(due: DueSlot, missing: Sequence[DueSlot]) -> None:
    """`UsageError` when a weekly slot that is missing was due before this one."""
    if missing and missing[0].due_at < due.due_at:
        raise _comes_first(missing[0], f"{due.slot} of {due.period}")


def _comes_first(older: DueSlot, waiting: str) -> UsageError:
    return UsageError(
        f"{waiting} waits for {older.slot} of {older.period}, which was due "
        f"{older.due_at:%Y-%m-%d %H:%M} and is missing: weekly slots are run oldest first; "
        f"`vibes run {older.slot}` runs that one"
    )


def weekly_ones(slots: Sequence[DueSlot]) -> list[DueSlot]:
    return [due for due in slots if due.slot.is_weekly]
