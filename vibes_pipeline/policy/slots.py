"""When the slots are due, and how long before implementation an alert must have been accepted.

Here belong the shapes of both and what must be true of them together (Rulebook §2). The instants
that follow from them are the calendar's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Self

from pydantic import model_validator

from vibes_pipeline.calendar import (
    DAY,
    WEEK,
    Slot,
    SlotCalendar,
    SlotTimes,
    WeeklyTime,
    day_start,
    in_utc,
    monday_of,
)
from vibes_pipeline.policy.parameter import Group, Parameter, Strict, problem
from vibes_pipeline.policy.scalars import Count, NamedWeekday, Time, Whole

# A slot starts some seconds after its time, and its mails are accepted over some minutes. Without
# this much room beyond the notice an alert accepted one second late would take effect a week later.
MARGIN = timedelta(minutes=15)


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

    def of(self, slot: Slot) -> Parameter[Any]:
        """When a timed slot is due, through all amendments."""
        parameter: Parameter[Any] = getattr(self, slot.replace("-", "_"))
        return parameter

    def times_on(self, day: date) -> SlotTimes:
        """The slot times in force on a local date; PolicyError if there are none."""
        alert, implementation = self.weekly_alert.on(day), self.weekly_implementation.on(day)
        return SlotTimes(
            WeeklyTime(alert.weekday, alert.time),
            WeeklyTime(implementation.weekday, implementation.time),
            self.late_alert.on(day).time,
            self.late_cancellation.on(day).time,
        )

    def crons(self, slot: Slot, since: date) -> list[str]:
        """The cron lines of a slot's times that hold on a local date or later, each once."""
        later = [dated.from_ for dated in self.of(slot).values if dated.from_ > since]
        return list(dict.fromkeys(self.times_on(day).cron(slot) for day in (since, *later)))

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
    """How long before implementation an alert must have been accepted; its length (§2, §10)."""

    notice_hours: Parameter[Whole]
    late_notice_hours: Parameter[Whole]
    notice_lines: Parameter[Count]
    html_limit_bytes: Parameter[Count]


# An alert, what it announces, and the notice that lies between them.
ANNOUNCED = (
    (Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION, "notice_hours"),
    (Slot.LATE_ALERT, Slot.LATE_CANCELLATION, "late_notice_hours"),
)


def check_notice_margin(
    slots: Slots, notice: Notice, calendar: SlotCalendar, first: date, last: date
) -> None:
    """Each alert leaves its notice and the margin, for every period from the first day to the last.

    What must pass is real time, so a change of the clocks in between counts. The value at fault is
    the one of the three that began to hold last.
    """
    for alert, announced, hours in ANNOUNCED:
        values = {
            ("slots", announced.replace("-", "_")): slots.of(announced),
            ("slots", alert.replace("-", "_")): slots.of(alert),
            ("notice", hours): getattr(notice, hours),
        }
        starts = [dated.from_ for parameter in values.values() for dated in parameter.values]
        for period in _periods_to_check(alert, starts, calendar, first, last):
            if not all(p.covers(period, period + DAY) for p in values.values()):
                continue
            from_, until = calendar.due_at(alert, period), calendar.due_at(announced, period)
            needed = timedelta(hours=getattr(notice, hours).on(period)) + MARGIN
            lacking = needed - (in_utc(until) - in_utc(from_))
            if lacking > timedelta():
                (group, name), parameter = max(
                    values.items(), key=lambda item: item[1].dated_on(period).from_
                )
                raise problem(
                    f"of {period} the {alert} ({from_:%Y-%m-%d %H:%M}) and the {announced} "
                    f"({until:%Y-%m-%d %H:%M}) leave {_spell(needed - lacking)}, "
                    f"but {hours} and a margin of {_spell(MARGIN)} make {_spell(needed)}: "
                    f"{_spell(lacking)} are lacking",
                    *(group, name, "values", parameter.values.index(parameter.dated_on(period))),
                )


def _periods_to_check(
    slot: Slot, starts: Iterable[date], calendar: SlotCalendar, first: date, last: date
) -> list[date]:
    """The periods that differ from the one before: a value begins, or the clocks change."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    offsets = [day_start(day, calendar.time_zone).utcoffset() for day in (*days, last + DAY)]
    changes = [day for day, (at, then) in zip(days, pairwise(offsets), strict=True) if at != then]
    telling = {first, *starts, *changes}
    if slot.is_weekly:
        telling = {monday_of(day) + n * WEEK for day in telling for n in (-1, 0, 1)}
    return sorted(day for day in telling if first <= day <= last)


def _spell(span: timedelta) -> str:
    """`72 h 15 min`."""
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours} h {minutes} min"
