"""Local time of the programme: observed weeks, slots, the fulfilment clock, working days.

Here belongs what follows from dates and times alone (Rulebook §1, §2, §3, §6). The module reads no
policy and no clock. The caller passes the holidays, and weekdays and slot times as functions of the
day, so that an amendment of the policy leaves earlier days as they were. What is done at a slot
does not belong here.

Instants are zone-aware. They are compared and added in UTC, where no hour is skipped or repeated,
and returned in local time.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum, StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

from vibes_pipeline.errors import CalendarError, UsageError, unknown

DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)


class Weekday(IntEnum):
    """The days of the week, numbered as `date.weekday()` numbers them."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


def local_instant(day: date, at: time, time_zone: ZoneInfo) -> datetime:
    """The instant of a local wall-clock time.

    A time that the clocks skip is moved on by the skip: of 02:00 to 03:00, 02:30 becomes 03:30.
    """
    return datetime.combine(day, at, time_zone).astimezone(UTC).astimezone(time_zone)


def day_start(day: date, time_zone: ZoneInfo) -> datetime:
    """Local 00:00 of the day."""
    return local_instant(day, time.min, time_zone)


def in_utc(instant: datetime) -> datetime:
    """The same instant in UTC; ValueError for a datetime without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return instant.astimezone(UTC)


def parse_local(text: str, time_zone: ZoneInfo) -> datetime:
    """The instant of a local time such as `2026-11-18T07:00`; UsageError if the text is no time.

    If the text has an offset, the offset counts and not `time_zone`.
    """
    try:
        if "T" not in text:
            raise ValueError
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time; write one such as 2026-11-18T07:00") from None
    if instant.tzinfo is not None:
        return instant.astimezone(time_zone)
    return local_instant(instant.date(), instant.time(), time_zone)


# --- observed weeks -----------------------------------------------------------------------------


def monday_of(day: date) -> date:
    """The Monday of the week that holds the day."""
    return day - timedelta(days=day.weekday())


def parse_cycle(text: str) -> date:
    """The Monday of a cycle, from `2026-11-09`; UsageError if it is no Monday (Rulebook §1)."""
    return require_monday(_date(text, "name a cycle by its Monday, such as 2026-11-09"))


def parse_day(text: str) -> date:
    """A local date, from `2026-11-09`; UsageError if the text is no date."""
    return _date(text, "write one such as 2026-11-09")


def parse_month(text: str) -> tuple[date, date]:
    """The first and the last day of a month, from `2026-11`; UsageError if the text is none."""
    if not re.fullmatch(r"\d{4}-\d{2}", text, re.ASCII):
        raise UsageError(f"{text!r} is not a month; write one such as 2026-11")
    first = _date(f"{text}-01", "write a month such as 2026-11")
    return first, first.replace(day=monthrange(first.year, first.month)[1])


@dataclass(frozen=True)
class Days:
    """Local days from the first to the last, both included; None is open."""

    first: date | None = None
    last: date | None = None


EVERY_DAY = Days()


def _date(text: str, way_out: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise UsageError(f"{text!r} is not a date; {way_out}")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is not in the calendar; {way_out}") from None


def require_monday(day: date) -> date:
    """The day itself if it is a Monday, else a UsageError that names the Monday of its week."""
    if day != monday_of(day):
        raise UsageError(
            f"{day} is a {Weekday(day.weekday()).name.capitalize()}; a cycle is named by its "
            f"Monday, here {monday_of(day)}"
        )
    return day


@dataclass(frozen=True)
class ObservedWeek:
    """Monday 00:00 to the next Monday 00:00, local, half-open (Rulebook §1)."""

    monday: date
    time_zone: ZoneInfo

    def __post_init__(self) -> None:
        require_monday(self.monday)

    @property
    def start(self) -> datetime:
        return day_start(self.monday, self.time_zone)

    @property
    def end(self) -> datetime:
        return day_start(self.monday + WEEK, self.time_zone)


# --- slots --------------------------------------------------------------------------------------


class Slot(StrEnum):
    """The five slots of Rulebook §2, by the names the command line knows."""

    WEEKLY_ALERT = "weekly-alert"
    WEEKLY_IMPLEMENTATION = "weekly-implementation"
    LATE_ALERT = "late-alert"
    LATE_CANCELLATION = "late-cancellation"
    CLAIMS = "claims"

    @property
    def is_weekly(self) -> bool:
        return self in (Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION)


TIMED_SLOTS = (
    Slot.WEEKLY_ALERT,
    Slot.WEEKLY_IMPLEMENTATION,
    Slot.LATE_ALERT,
    Slot.LATE_CANCELLATION,
)


def parse_slot(name: str) -> Slot:
    """The slot of that name; UsageError that lists the known ones."""
    try:
        return Slot(name)
    except ValueError:
        raise unknown("slot", name, list(Slot)) from None


@dataclass(frozen=True)
class WeeklyTime:
    """A local time on one weekday."""

    weekday: Weekday
    time: time


@dataclass(frozen=True)
class SlotTimes:
    """The times of the timed slots, in the policy of one day."""

    weekly_alert: WeeklyTime
    weekly_implementation: WeeklyTime
    late_alert: time
    late_cancellation: time

    def time_of(self, slot: Slot) -> tuple[Weekday | None, time]:
        """Weekday (None: every day) and local time; ValueError for `claims`, which has neither."""
        match slot:
            case Slot.WEEKLY_ALERT:
                return self.weekly_alert.weekday, self.weekly_alert.time
            case Slot.WEEKLY_IMPLEMENTATION:
                return self.weekly_implementation.weekday, self.weekly_implementation.time
            case Slot.LATE_ALERT:
                return None, self.late_alert
            case Slot.LATE_CANCELLATION:
                return None, self.late_cancellation
        raise ValueError(f"the slot {slot} has no time of its own")

    def cron(self, slot: Slot, *, later: timedelta = timedelta()) -> str:
        """The slot's local time, moved by `later`, as a cron line, such as `0 7 * * 3`."""
        weekday, at = self.time_of(slot)
        # 2024-01-01 is a Monday. A date, because `later` may move the time past midnight.
        moved = datetime(2024, 1, 1 + (weekday or 0), at.hour, at.minute) + later  # noqa: DTZ001
        # Cron counts the week from Sunday.
        day_of_week = "*" if weekday is None else str(moved.isoweekday() % 7)
        return f"{moved.minute} {moved.hour} * * {day_of_week}"


@dataclass(frozen=True)
class DueSlot:
    """One slot that is due: its period is the cycle's Monday, or the day of a late slot."""

    due_at: datetime
    slot: Slot
    period: date


@dataclass(frozen=True)
class SlotCalendar:
    """When each slot of each period is due (Rulebook §2).

    `times_on(day)` gives the times in force on a day. The period's date decides, so that a cycle's
    alert and implementation always follow one policy.
    """

    time_zone: ZoneInfo
    times_on: Callable[[date], SlotTimes]

    def due_at(self, slot: Slot, period: date) -> datetime:
        """The local instant; a weekly slot is due in the week after the observed week."""
        weekday, at = self.times_on(period).time_of(slot)
        if weekday is None:
            return local_instant(period, at, self.time_zone)
        day = require_monday(period) + WEEK + timedelta(days=weekday)
        return local_instant(day, at, self.time_zone)

    def period_of(self, slot: Slot, at: datetime) -> date:
        """The latest period whose slot is due at or before `at`; for `claims`, the day of `at`."""
        if slot is Slot.CLAIMS:
            return in_utc(at).astimezone(self.time_zone).date()
        period = self._period_due_around(slot, at)
        if in_utc(self.due_at(slot, period)) > in_utc(at):
            period -= self._step(slot)
        return period

    def due_around(self, slot: Slot, at: datetime) -> DueSlot:
        """The weekly slot of the local week, or the daily slot of the day, that holds `at`."""
        period = self._period_due_around(slot, at)
        return DueSlot(self.due_at(slot, period), slot, period)

    def next_due(self, slot: Slot, at: datetime) -> DueSlot:
        """The first slot of this kind that is due at `at` or later."""
        period = self._period_due_around(slot, at)
        if in_utc(self.due_at(slot, period)) < in_utc(at):
            period += self._step(slot)
        return DueSlot(self.due_at(slot, period), slot, period)

    def due_between(
        self, start: datetime, end: datetime, slots: Iterable[Slot] = TIMED_SLOTS
    ) -> list[DueSlot]:
        """Every slot due from start to end, both ends included, in order of time.

        Slots due at the same instant come in the order of `Slot`.
        """
        due = [found for slot in set(slots) for found in self._due_between(slot, start, end)]
        order = list(Slot)
        return sorted(due, key=lambda d: (in_utc(d.due_at), order.index(d.slot)))

    def late_slot_is_over_at(self, slot: Slot, period: date) -> datetime:
        """When it is too late to run a day's late slot: missed days are not replayed (Rulebook §2).

        For the late alert, that is the day's late cancellation; for the late cancellation, the next
        day's late alert.
        """
        if slot is Slot.LATE_ALERT:
            return self.due_at(Slot.LATE_CANCELLATION, period)
        return self.due_at(Slot.LATE_ALERT, period + DAY)

    def takes_effect_at(self, sent_at: datetime, notice_hours: int) -> datetime:
        """The first weekly implementation at least `notice_hours` after `sent_at` (Rulebook §2)."""
        slot = Slot.WEEKLY_IMPLEMENTATION
        earliest = in_utc(sent_at) + timedelta(hours=notice_hours)
        period = self.period_of(slot, earliest)
        if in_utc(self.due_at(slot, period)) < earliest:
            period += WEEK
        return self.due_at(slot, period)

    def _due_between(self, slot: Slot, start: datetime, end: datetime) -> Iterator[DueSlot]:
        period = self._period_due_around(slot, start)
        while in_utc(due_at := self.due_at(slot, period)) <= in_utc(end):
            if in_utc(start) <= in_utc(due_at):
                yield DueSlot(due_at, slot, period)
            period += self._step(slot)

    def _period_due_around(self, slot: Slot, at: datetime) -> date:
        """The period whose slot falls in the week, or on the day, that holds the instant."""
        today = in_utc(at).astimezone(self.time_zone).date()
        return monday_of(today) - WEEK if slot.is_weekly else today

    @staticmethod
    def _step(slot: Slot) -> timedelta:
        return WEEK if slot.is_weekly else DAY


# --- the fulfilment clock and working days ------------------------------------------------------


@dataclass(frozen=True)
class CalendarDay:
    """One listed day.

    `working_days` counts the working days from the first listed day through this one. The
    fulfilment clock has run `clock_before` seconds from the first listed day to the start of this
    one, and `clock_after` seconds to its end.
    """

    day: date
    starts_at: datetime
    ends_at: datetime
    is_fulfilment_day: bool
    is_working_day: bool
    working_days: int
    clock_before: int
    clock_after: int


@dataclass(frozen=True)
class Calendar:
    """Fulfilment days and working days of the years whose holidays are listed (Rulebook §3).

    A day outside those years is a CalendarError, never a guess. `fulfilment_weekdays(day)` and
    `working_weekdays(day)` give the weekdays in force on that day.
    """

    time_zone: ZoneInfo
    fulfilment_weekdays: Callable[[date], Collection[Weekday]]
    working_weekdays: Callable[[date], Collection[Weekday]]
    holidays: Mapping[date, str]

    def __post_init__(self) -> None:
        if not self.holidays:
            raise CalendarError("no public holidays are listed; add those of a year to the policy")

    @property
    def first_day(self) -> date:
        return date(self._years[0], 1, 1)

    @property
    def last_day(self) -> date:
        return date(self._years[-1], 12, 31)

    def require(self, day: date) -> None:
        """CalendarError unless the day's year is listed."""
        if day.year not in self._years:
            raise CalendarError(
                f"{day} is outside the years whose public holidays are listed "
                f"({self._years[0]} to {self._years[-1]}); add the public holidays of {day.year} "
                "to the policy"
            )

    def is_fulfilment_day(self, day: date) -> bool:
        """Whether the fulfilment clock runs on that day."""
        self.require(day)
        return day not in self.holidays and day.weekday() in self.fulfilment_weekdays(day)

    def is_working_day(self, day: date) -> bool:
        """Whether the day counts for evidence windows."""
        self.require(day)
        return day not in self.holidays and day.weekday() in self.working_weekdays(day)

    def working_days_between(self, first: date, last: date) -> int:
        """How many working days lie after the first day and before the last; 0 if none does."""
        if last <= first:
            return 0
        return self._day(last - DAY).working_days - self._day(first).working_days

    def days(self) -> tuple[CalendarDay, ...]:
        """Every listed day, in order."""
        return self._days

    def _day(self, day: date) -> CalendarDay:
        self.require(day)
        return self._days[(day - self.first_day).days]

    @cached_property
    def _years(self) -> list[int]:
        return sorted({day.year for day in self.holidays})

    @cached_property
    def _days(self) -> tuple[CalendarDay, ...]:
        days: list[CalendarDay] = []
        clock = working_days = 0
        day, starts_at = self.first_day, day_start(self.first_day, self.time_zone)
        while day <= self.last_day:
            ends_at = day_start(day + DAY, self.time_zone)
            runs, works = self.is_fulfilment_day(day), self.is_working_day(day)
            seconds = int((in_utc(ends_at) - in_utc(starts_at)).total_seconds()) if runs else 0
            working_days += works
            days.append(
                CalendarDay(
                    day, starts_at, ends_at, runs, works, working_days, clock, clock + seconds
                )
            )
            clock += seconds
            day, starts_at = day + DAY, ends_at
        return tuple(days)
