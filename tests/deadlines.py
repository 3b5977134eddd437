"""Deadlines by walking through the days of a calendar: what the SQL's are compared with (§3, §6)."""

from __future__ import annotations

from datetime import datetime, timedelta

from vibes_pipeline.calendar import DAY, Calendar, day_start, in_utc


def fulfilment_deadline(calendar: Calendar, entered_at: datetime, hours: int) -> datetime:
    """The instant at which `hours` of running clock have passed since `entered_at`."""
    remaining = timedelta(hours=hours)
    start = in_utc(entered_at)
    day = start.astimezone(calendar.time_zone).date()
    while True:
        end = in_utc(day_start(day + DAY, calendar.time_zone))
        if calendar.is_fulfilment_day(day):
            if remaining <= end - start:
                return (start + remaining).astimezone(calendar.time_zone)
            remaining -= end - start
        start, day = end, day + DAY


def evidence_closes_at(calendar: Calendar, notified_at: datetime, working_days: int) -> datetime:
    """24:00 of the n-th working day after the day of `notified_at`."""
    day = in_utc(notified_at).astimezone(calendar.time_zone).date()
    calendar.require(day)
    remaining = working_days
    while remaining > 0:
        day += DAY
        remaining -= calendar.is_working_day(day)
    return day_start(day + DAY, calendar.time_zone)
