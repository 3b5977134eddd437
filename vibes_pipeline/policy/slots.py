"""When the slots are due, and how long before implementation an alert must have been accepted.

Here belong the shapes of both and what must be true of them together (Rulebook §2). The instants
that follow from them are the calendar's.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from vibes_pipeline.policy.parameter import Group, Parameter, Strict, problem
from vibes_pipeline.policy.scalars import NamedWeekday, Time, Whole


class WeeklySlot(Strict):
    """A weekday and a local time."""

    weekday: NamedWeekday
    time: Time


class DailySlot(Strict):
    """A local time of every day."""

    time: Time


class Slots(Group):
    """When the slots are due (Rulebook §2)."""

    weekly_alert: Parameter[WeeklySlot]
    weekly_implementation: Parameter[WeeklySlot]
    late_alert: Parameter[DailySlot]
    late_cancellation: Parameter[DailySlot]

    @model_validator(mode="after")
    def _alerts_come_first(self) -> Self:
        for parameter in (self.weekly_alert, self.weekly_implementation):
            for day in (value.from_ for value in parameter.values):
                alert, implementation = (
                    self.weekly_alert.on(day),
                    self.weekly_implementation.on(day),
                )
                if (alert.weekday, alert.time) >= (implementation.weekday, implementation.time):
                    raise problem(
                        f"on {day} comes no later in the week than weekly_alert",
                        "weekly_implementation",
                    )
        for daily in (self.late_alert, self.late_cancellation):
            for day in (value.from_ for value in daily.values):
                if self.late_alert.on(day).time >= self.late_cancellation.on(day).time:
                    raise problem(
                        f"on {day} comes no later in the day than late_alert", "late_cancellation"
                    )
        return self


class Notice(Group):
    """How long before implementation an alert must have been accepted (Rulebook §2)."""

    notice_hours: Parameter[Whole]
    late_notice_hours: Parameter[Whole]
