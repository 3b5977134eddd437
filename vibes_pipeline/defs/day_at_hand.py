"""The day at hand: what Dagster is told of the policy, as it holds on one local day.

Schedules, freshness and texts are fixed when Dagster loads the code location. Here belongs what
they take from the policy, as of one day, and how the servers find out that what was loaded no
longer holds. `clock` says which day it is. A slot itself goes by the values of its own period.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta

from vibes_pipeline.calendar import (
    DAY,
    TIMED_SLOTS,
    WEEK,
    DueSlot,
    Slot,
    day_start,
    in_utc,
    local_instant,
)
from vibes_pipeline.clock import WallClock
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.catch_up import GRACE


@dataclass(frozen=True)
class DayAtHand:
    """A local day, and the policy that is amended as of it."""

    policy: Policy
    day: date

    @classmethod
    def today(cls, settings: Settings) -> DayAtHand:
        """The present day by the policy that the settings name; `VibesError` if that is none."""
        policy = load_policy(settings.country, settings.policy)
        return cls(policy, policy.local_date(WallClock().now()))

    def next_due(self, slot: Slot) -> DueSlot:
        """The first one due on the day or later; the values of its period are those to show."""
        start = day_start(self.day, self.policy.time_zone)
        return self.policy.slot_calendar.next_due(slot, start)

    def crons(self, slot: Slot) -> list[str]:
        """The time of the next one, and all amended times after it, so that none is missed."""
        return self.policy.slots.crons(slot, self.next_due(slot).period)

    def operators_mail_crons(self) -> list[str]:
        """The time of the day's mail to operators, and all amended times after it."""
        return self.policy.operations.crons(self.day)

    def deadline(self, slot: Slot) -> tuple[str, timedelta]:
        """The cron line by which the slot must have run, and how long before that a run counts.

        Dagster judges by the last tick of the line. Where an amendment puts the slot later in its
        week or day, the one before it ran so much earlier, and counts; until this week's new time
        is past, the line is still the old one.
        """
        due, step = self.next_due(slot), WEEK if slot.is_weekly else DAY
        last = self.policy.slot_calendar.due_at(slot, due.period - step)
        by_new_time = local_instant(
            due.due_at.date() - step, due.due_at.time(), self.policy.time_zone
        )
        if by_new_time.date() >= self.day:
            return self._cron(slot, due.period - step), GRACE
        moved_back = max(in_utc(by_new_time) - in_utc(last), timedelta())
        return self._cron(slot, due.period), min(GRACE + moved_back, step)

    def told(self) -> tuple[object, ...]:
        """What Dagster is told of the policy; once it differs, the code must be loaded anew."""
        days = (self.day, *(self.next_due(slot).period for slot in TIMED_SLOTS))
        amended = self.policy.amended_on
        return (
            self.policy.version,
            tuple(bisect_right(amended, day) for day in days),
            tuple(self.deadline(slot) for slot in TIMED_SLOTS),
        )

    def _cron(self, slot: Slot, period: date) -> str:
        return self.policy.slots.times_on(period).cron(slot, later=GRACE)
