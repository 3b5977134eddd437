"""Rulebook §2, §3 and §6: observed weeks, slots, the fulfilment clock, working days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from deadlines import evidence_closes_at, fulfilment_deadline
from hypothesis import given, settings
from hypothesis import strategies as st

from vibes_pipeline.calendar import (
    TIMED_SLOTS,
    Calendar,
    ObservedWeek,
    Slot,
    SlotCalendar,
    SlotTimes,
    Weekday,
    WeeklyTime,
    parse_cycle,
    parse_slot,
)
from vibes_pipeline.errors import CalendarError, UsageError

LAGOS = ZoneInfo("Africa/Lagos")
CAIRO = ZoneInfo("Africa/Cairo")  # its clocks change at midnight, so a day may lack its 00:00
MONDAY_TO_SATURDAY = frozenset(Weekday) - {Weekday.SUNDAY}
MONDAY_TO_FRIDAY = MONDAY_TO_SATURDAY - {Weekday.SATURDAY}

HOLIDAYS = {
    date(2024, 1, 1): "New Year's Day",
    date(2025, 1, 1): "New Year's Day",
    date(2025, 12, 25): "Christmas Day",
    date(2025, 12, 26): "Boxing Day",
    date(2026, 1, 1): "New Year's Day",
    date(2026, 11, 14): "A Saturday",
    date(2026, 12, 28): "Boxing Day (observed)",
}


def calendar_of(time_zone: ZoneInfo = LAGOS) -> Calendar:
    return Calendar(
        time_zone, lambda day: MONDAY_TO_SATURDAY, lambda day: MONDAY_TO_FRIDAY, HOLIDAYS
    )


def local(text: str, time_zone: ZoneInfo = LAGOS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=time_zone)


# --- the fulfilment clock -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entered", "deadline", "reason"),
    [
        ("2026-11-02T09:40", "2026-11-03T09:40", "Mon 09:40"),
        ("2026-11-07T18:00", "2026-11-09T18:00", "Sat 18:00: Sunday does not run"),
        ("2026-11-07T00:00", "2026-11-08T00:00", "Sat 00:00: the instant the 24 hours are full"),
        ("2026-11-08T15:00", "2026-11-10T00:00", "Sun 15:00: starts at Monday 00:00"),
        ("2026-11-13T10:00", "2026-11-16T10:00", "Fri 10:00, Saturday a holiday"),
        ("2026-11-14T10:00", "2026-11-17T00:00", "on the holiday itself, before a Sunday"),
        ("2025-12-24T08:00", "2025-12-27T08:00", "over two holidays"),
        ("2025-12-31T12:00", "2026-01-02T12:00", "over the turn of the year and New Year's Day"),
        ("2026-11-02T23:59:59.999999", "2026-11-03T23:59:59.999999", "microseconds are kept"),
    ],
)
def test_the_deadline_is_when_24_hours_of_running_clock_have_passed(
    entered: str, deadline: str, reason: str
) -> None:
    assert fulfilment_deadline(calendar_of(), local(entered), 24) == local(deadline), reason


def test_the_deadline_of_an_instant_in_utc_is_local_time() -> None:
    # Saturday 23:30 in UTC is already Sunday in Lagos.
    deadline = fulfilment_deadline(calendar_of(), datetime(2026, 11, 7, 23, 30, tzinfo=UTC), 24)
    assert deadline == local("2026-11-10T00:00")
    assert deadline.tzinfo is LAGOS


def test_a_running_day_counts_its_real_seconds_when_clocks_change() -> None:
    # Cairo, Friday 2024-04-26 has 23 hours, Thursday 2024-10-31 has 25.
    cairo = calendar_of(CAIRO)
    spring = fulfilment_deadline(cairo, local("2024-04-25T12:00", CAIRO), 24)
    autumn = fulfilment_deadline(cairo, local("2024-10-31T12:00", CAIRO), 24)
    assert spring.isoformat() == "2024-04-26T13:00:00+03:00"
    assert autumn.isoformat() == "2024-11-01T11:00:00+02:00"
    lengths = {d.day: d.clock_after - d.clock_before for d in cairo.days()}
    assert lengths[date(2024, 4, 26)] == 23 * 3600
    assert lengths[date(2024, 10, 31)] == 25 * 3600


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        fulfilment_deadline(calendar_of(), datetime(2026, 11, 2, 9, 40), 24)


zones = st.sampled_from([LAGOS, CAIRO])
hours = st.integers(min_value=1, max_value=72)


@st.composite
def instants(draw: st.DrawFn, step: timedelta = timedelta(microseconds=1)) -> datetime:
    """Instants of 2024 to 2026, far enough from the end for any deadline."""
    start = datetime(2024, 1, 2, tzinfo=UTC)
    steps = (datetime(2026, 12, 1, tzinfo=UTC) - start) // step
    return start + draw(st.integers(0, steps)) * step


CALENDARS = {zone: calendar_of(zone) for zone in (LAGOS, CAIRO)}


def clock_at(calendar: Calendar, instant: datetime) -> timedelta:
    """Running time since the first listed day, by the columns that SQL works with."""
    local_day = instant.astimezone(calendar.time_zone).date()
    day = calendar.days()[(local_day - calendar.first_day).days]
    run = instant - day.starts_at.astimezone(UTC) if day.is_fulfilment_day else timedelta()
    return timedelta(seconds=day.clock_before) + run


@given(zone=zones, entered=instants(), hours=hours)
def test_exactly_the_given_running_hours_lie_before_the_deadline(
    zone: ZoneInfo, entered: datetime, hours: int
) -> None:
    calendar = CALENDARS[zone]
    deadline = fulfilment_deadline(calendar, entered, hours).astimezone(UTC)
    assert deadline > entered
    assert clock_at(calendar, deadline) - clock_at(calendar, entered) == timedelta(hours=hours)
    # It is the first such instant: just before it, less has run.
    just_before = deadline - timedelta(microseconds=1)
    assert clock_at(calendar, just_before) < clock_at(calendar, deadline)


@given(zone=zones, one=instants(), other=instants(), hours=hours)
def test_who_enters_later_is_never_due_earlier(
    zone: ZoneInfo, one: datetime, other: datetime, hours: int
) -> None:
    calendar = CALENDARS[zone]
    first, last = sorted([one, other])
    due_first = fulfilment_deadline(calendar, first, hours).astimezone(UTC)
    due_last = fulfilment_deadline(calendar, last, hours).astimezone(UTC)
    assert due_first <= due_last


def deadline_by_counting_quarters(zone: ZoneInfo, entered: datetime, hours: int) -> datetime:
    """The deadline by walking through real quarters of an hour and counting those that run."""
    quarter = timedelta(minutes=15)
    counted, now = 0, entered
    while counted < hours * 4:
        today = now.astimezone(zone)
        counted += today.strftime("%A") != "Sunday" and today.date() not in HOLIDAYS
        now += quarter
    return now


@settings(max_examples=50)
@given(zone=zones, entered=instants(step=timedelta(minutes=15)), hours=hours)
def test_the_deadline_agrees_with_counting_quarters_of_an_hour(
    zone: ZoneInfo, entered: datetime, hours: int
) -> None:
    deadline = fulfilment_deadline(CALENDARS[zone], entered, hours)
    assert deadline.astimezone(UTC) == deadline_by_counting_quarters(zone, entered, hours)


# --- listed days --------------------------------------------------------------------------------


def test_the_listed_days_are_whole_years_without_gap() -> None:
    calendar = calendar_of()
    days = calendar.days()
    assert (calendar.first_day, calendar.last_day) == (date(2024, 1, 1), date(2026, 12, 31))
    assert [d.day for d in days] == [
        calendar.first_day + timedelta(days=n) for n in range(366 + 365 + 365)
    ]
    assert all(a.ends_at == b.starts_at for a, b in pairwise(days))
    assert all(a.clock_after == b.clock_before for a, b in pairwise(days))


@pytest.mark.parametrize(
    ("day", "is_fulfilment_day", "is_working_day", "reason"),
    [
        ("2026-11-06", True, True, "Friday"),
        ("2026-11-07", True, False, "Saturday is included in timelines but no working day"),
        ("2026-11-08", False, False, "Sunday"),
        ("2026-11-14", False, False, "a holiday on a Saturday"),
        ("2026-12-28", False, False, "a holiday on a Monday"),
    ],
)
def test_fulfilment_days_and_working_days(
    day: str, is_fulfilment_day: bool, is_working_day: bool, reason: str
) -> None:
    calendar, then = calendar_of(), date.fromisoformat(day)
    assert calendar.is_fulfilment_day(then) is is_fulfilment_day, reason
    assert calendar.is_working_day(then) is is_working_day, reason
    row = next(d for d in calendar.days() if d.day == then)
    assert (row.is_fulfilment_day, row.is_working_day) == (is_fulfilment_day, is_working_day)


def test_working_days_count_through_the_day_itself() -> None:
    counts = {d.day: d.working_days for d in calendar_of().days()}
    assert counts[date(2024, 1, 1)] == 0, "a holiday"
    assert counts[date(2024, 1, 2)] == 1
    assert counts[date(2024, 1, 7)] == counts[date(2024, 1, 5)] == 4, "a weekend adds none"


@pytest.mark.parametrize(
    ("first", "last", "working_days"),
    [
        ("2026-11-09", "2026-11-09", 0),
        ("2026-11-09", "2026-11-10", 0),
        ("2026-11-09", "2026-11-13", 3),
        ("2026-11-13", "2026-11-17", 1),
        ("2026-11-14", "2026-11-17", 1),
        ("2026-12-24", "2026-12-30", 2),
        ("2026-11-13", "2026-11-09", 0),
        ("2000-01-01", "1999-01-01", 0),
    ],
)
def test_working_days_between_leave_out_both_days(first: str, last: str, working_days: int) -> None:
    days = date.fromisoformat(first), date.fromisoformat(last)
    assert calendar_of().working_days_between(*days) == working_days


def test_weekdays_may_change_from_a_day_on() -> None:
    amended = Calendar(
        LAGOS,
        lambda day: MONDAY_TO_SATURDAY if day < date(2026, 6, 1) else MONDAY_TO_FRIDAY,
        lambda day: MONDAY_TO_FRIDAY,
        HOLIDAYS,
    )
    assert amended.is_fulfilment_day(date(2026, 5, 30))
    assert not amended.is_fulfilment_day(date(2026, 6, 6))


@pytest.mark.parametrize("day", [date(2023, 12, 31), date(2027, 1, 1)])
def test_a_date_beyond_the_listed_years_is_an_error_that_says_what_to_do(day: date) -> None:
    message = rf"{day} is outside .* \(2024 to 2026\); add the public holidays of {day.year} to"
    with pytest.raises(CalendarError, match=message):
        calendar_of().require(day)


def test_a_deadline_beyond_the_listed_years_is_an_error_but_one_at_their_end_is_not() -> None:
    calendar = calendar_of()
    assert fulfilment_deadline(calendar, local("2026-12-31T00:00"), 24) == local("2027-01-01T00:00")
    with pytest.raises(CalendarError, match="add the public holidays of 2027"):
        fulfilment_deadline(calendar, local("2026-12-31T00:00:01"), 24)


def test_a_year_left_out_between_listed_years_is_an_error() -> None:
    holidays = {date(2024, 1, 1): "New Year's Day", date(2026, 1, 1): "New Year's Day"}
    calendar = Calendar(LAGOS, lambda d: MONDAY_TO_SATURDAY, lambda d: MONDAY_TO_FRIDAY, holidays)
    with pytest.raises(CalendarError, match="add the public holidays of 2025"):
        calendar.days()


def test_a_calendar_without_holidays_is_an_error() -> None:
    with pytest.raises(CalendarError, match="no public holidays are listed"):
        Calendar(LAGOS, lambda d: MONDAY_TO_SATURDAY, lambda d: MONDAY_TO_FRIDAY, {})


# --- evidence windows ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notified", "closes", "reason"),
    [
        ("2026-11-02T09:40", "2026-11-05T00:00", "Mon: Tue and Wed, at Wednesday's 24:00"),
        ("2026-11-02T00:00", "2026-11-05T00:00", "the day itself never counts"),
        ("2026-11-05T23:59", "2026-11-10T00:00", "Thu: Fri and Mon, the weekend between"),
        ("2026-11-07T12:00", "2026-11-11T00:00", "Sat: Mon and Tue"),
        ("2025-12-24T12:00", "2025-12-31T00:00", "two holidays and a weekend between"),
    ],
)
def test_evidence_may_come_until_the_end_of_the_second_working_day_after(
    notified: str, closes: str, reason: str
) -> None:
    assert evidence_closes_at(calendar_of(), local(notified), 2) == local(closes), reason


# --- observed weeks -----------------------------------------------------------------------------


def test_an_observed_week_runs_from_monday_to_monday_in_local_time() -> None:
    week = ObservedWeek(date(2026, 11, 9), LAGOS)
    assert week.start.isoformat() == "2026-11-09T00:00:00+01:00"
    assert week.end.isoformat() == "2026-11-16T00:00:00+01:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-11-11", "2026-11-11 is a Wednesday; .* here 2026-11-09"),
        ("2026-11-31", "2026-11-31 is not in the calendar"),
        ("20261109", "'20261109' is not a date; name a cycle by its Monday, such as 2026-11-09"),
        ("last week", "'last week' is not a date"),
    ],
)
def test_a_cycle_is_named_by_a_monday(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_cycle(text)


def test_a_monday_names_a_cycle() -> None:
    assert parse_cycle("2026-11-09") == date(2026, 11, 9)


def test_a_week_that_starts_on_another_day_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="is a Tuesday"):
        ObservedWeek(date(2026, 11, 10), LAGOS)


# --- slots --------------------------------------------------------------------------------------

TIMES = SlotTimes(
    weekly_alert=WeeklyTime(Weekday.WEDNESDAY, time(7)),
    weekly_implementation=WeeklyTime(Weekday.SATURDAY, time(9)),
    late_alert=time(6),
    late_cancellation=time(23),
)
SLOTS = SlotCalendar(LAGOS, lambda day: TIMES)


@pytest.mark.parametrize(
    ("slot", "period", "due", "cron"),
    [
        ("weekly-alert", "2026-11-09", "2026-11-18T07:00", "0 7 * * 3"),
        ("weekly-implementation", "2026-11-09", "2026-11-21T09:00", "0 9 * * 6"),
        ("late-alert", "2026-11-09", "2026-11-09T06:00", "0 6 * * *"),
        ("late-cancellation", "2026-11-09", "2026-11-09T23:00", "0 23 * * *"),
    ],
)
def test_each_slot_is_due_at_its_local_time(slot: str, period: str, due: str, cron: str) -> None:
    found = SLOTS.due_at(parse_slot(slot), date.fromisoformat(period))
    assert found == local(due)
    assert found.tzinfo is LAGOS
    assert TIMES.cron(parse_slot(slot)) == cron


def test_sunday_is_the_first_day_of_cron_but_the_last_of_the_week() -> None:
    times = SlotTimes(
        WeeklyTime(Weekday.MONDAY, time(7, 30)),
        WeeklyTime(Weekday.SUNDAY, time(9)),
        time(6),
        time(7),
    )
    assert times.cron(Slot.WEEKLY_ALERT) == "30 7 * * 1"
    assert times.cron(Slot.WEEKLY_IMPLEMENTATION) == "0 9 * * 0"
    due_at = SlotCalendar(LAGOS, lambda day: times).due_at
    assert due_at(Slot.WEEKLY_IMPLEMENTATION, date(2026, 11, 9)) == local("2026-11-22T09:00")


def test_a_weekly_slot_of_a_day_that_is_no_monday_is_an_error() -> None:
    with pytest.raises(UsageError, match="is a Tuesday"):
        SLOTS.due_at(Slot.WEEKLY_ALERT, date(2026, 11, 10))


def test_the_claims_slot_has_no_time_of_its_own() -> None:
    with pytest.raises(ValueError, match="claims has no time"):
        SLOTS.due_at(Slot.CLAIMS, date(2026, 11, 9))


def test_an_unknown_slot_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"no slot 'weekly' .*; the slots are weekly-alert, .*, claims"
    ):
        parse_slot("weekly")


@pytest.mark.parametrize(
    ("slot", "at", "period", "reason"),
    [
        ("weekly-alert", "2026-11-18T06:59:59", "2026-11-02", "not yet due"),
        ("weekly-alert", "2026-11-18T07:00", "2026-11-09", "due at this instant"),
        ("weekly-alert", "2026-11-22T23:59", "2026-11-09", "until the end of that week"),
        ("weekly-implementation", "2026-11-21T08:59", "2026-11-02", "alerted, not implemented"),
        ("weekly-implementation", "2026-11-21T09:00", "2026-11-09", "due at this instant"),
        ("late-alert", "2026-11-09T05:59", "2026-11-08", "yesterday's"),
        ("late-cancellation", "2026-11-09T23:00", "2026-11-09", "due at this instant"),
    ],
)
def test_the_period_of_a_slot_is_the_latest_one_due(
    slot: str, at: str, period: str, reason: str
) -> None:
    assert SLOTS.period_of(parse_slot(slot), local(at)) == date.fromisoformat(period), reason


def test_the_slots_due_in_a_span_come_in_order_of_time_with_both_ends() -> None:
    due = SLOTS.due_between(local("2026-11-18T06:00"), local("2026-11-19T06:00"))
    assert [(d.due_at, d.slot.value, d.period) for d in due] == [
        (local("2026-11-18T06:00"), "late-alert", date(2026, 11, 18)),
        (local("2026-11-18T07:00"), "weekly-alert", date(2026, 11, 9)),
        (local("2026-11-18T23:00"), "late-cancellation", date(2026, 11, 18)),
        (local("2026-11-19T06:00"), "late-alert", date(2026, 11, 19)),
    ]


def test_only_the_slots_asked_for_are_listed_and_an_empty_span_lists_none() -> None:
    weekly = SLOTS.due_between(
        local("2026-11-18T06:00"), local("2026-11-25T07:00"), [Slot.WEEKLY_ALERT]
    )
    assert [d.period for d in weekly] == [date(2026, 11, 9), date(2026, 11, 16)]
    assert SLOTS.due_between(local("2026-11-18T07:01"), local("2026-11-18T22:59")) == []
    assert SLOTS.due_between(local("2026-11-19T06:00"), local("2026-11-18T06:00")) == []


@given(start=instants(), days=st.integers(0, 30))
def test_the_slots_of_a_span_are_those_that_fall_in_it(start: datetime, days: int) -> None:
    end = start + timedelta(days=days)
    listed = SLOTS.due_between(start, end)
    first = start.astimezone(LAGOS).date() - timedelta(days=30)
    expected = set()
    for n in range(days + 61):
        day = first + timedelta(days=n)
        for slot in TIMED_SLOTS:
            if slot.is_weekly and day.weekday() != 0:
                continue
            if start <= SLOTS.due_at(slot, day) <= end:
                expected.add((slot, day))
    assert {(d.slot, d.period) for d in listed} == expected
    assert len(listed) == len(expected)
    assert [d.due_at for d in listed] == sorted(d.due_at for d in listed)


@pytest.mark.parametrize(
    ("sent", "effect", "reason"),
    [
        ("2026-11-18T07:00", "2026-11-21T09:00", "on time: 74 hours before"),
        ("2026-11-18T09:00", "2026-11-21T09:00", "exactly 72 hours before"),
        ("2026-11-18T09:00:01", "2026-11-28T09:00", "a second too late for this Saturday"),
        ("2026-11-21T10:00", "2026-11-28T09:00", "after this week's implementation"),
    ],
)
def test_an_alert_takes_effect_at_the_first_implementation_that_leaves_its_notice(
    sent: str, effect: str, reason: str
) -> None:
    assert SLOTS.takes_effect_at(local(sent), 72) == local(effect), reason


def test_a_period_keeps_the_times_that_were_in_force_on_its_date() -> None:
    later = SlotTimes(
        WeeklyTime(Weekday.MONDAY, time(7)), WeeklyTime(Weekday.FRIDAY, time(8)), time(5), time(22)
    )
    slots = SlotCalendar(LAGOS, lambda day: TIMES if day < date(2026, 11, 16) else later)
    due = slots.due_between(
        local("2026-11-17T00:00"),
        local("2026-11-24T00:00"),
        [Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION],
    )
    assert [(d.due_at, d.period) for d in due] == [
        (local("2026-11-18T07:00"), date(2026, 11, 9)),
        (local("2026-11-21T09:00"), date(2026, 11, 9)),
        (local("2026-11-23T07:00"), date(2026, 11, 16)),
    ]
