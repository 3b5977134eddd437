"""What Dagster is told of the policy is that of the day at hand, across an amendment's day too."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from dagster._utils.schedules import get_latest_completed_cron_tick
from policy.amendments import amended_policy

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.defs.day_at_hand import DayAtHand
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.slots.catch_up import GRACE

DAY = timedelta(days=1)

# 2027-06-07 is a Monday: the cycle of that name is alerted in the week of 2027-06-14.
MOVED = amended_policy(
    ("slots.weekly_alert", "2027-06-07", '{weekday: tuesday, time: "08:00"}'),
    ("slots.weekly_implementation", "2027-06-07", '{weekday: sunday, time: "09:30"}'),
    ("slots.late_alert", "2027-06-09", '{time: "06:45"}'),
    ("slots.late_cancellation", "2027-06-09", '{time: "21:15"}'),
)


def on(day: str) -> DayAtHand:
    return DayAtHand(MOVED, date.fromisoformat(day))


CRONS = [
    ("2026-11-26", Slot.WEEKLY_ALERT, ["0 7 * * 3", "0 8 * * 2"], "long before: both times"),
    ("2027-06-09", Slot.WEEKLY_ALERT, ["0 7 * * 3", "0 8 * * 2"], "the last old one is due today"),
    ("2027-06-10", Slot.WEEKLY_ALERT, ["0 8 * * 2"], "the next is that of the amended cycle"),
    ("2027-06-12", Slot.WEEKLY_IMPLEMENTATION, ["0 9 * * 6", "30 9 * * 0"], "cycle 2027-05-31's"),
    ("2027-06-13", Slot.WEEKLY_IMPLEMENTATION, ["30 9 * * 0"], "cycle 2027-06-07's is next"),
    ("2027-06-08", Slot.LATE_ALERT, ["0 6 * * *", "45 6 * * *"], "the day before"),
    ("2027-06-09", Slot.LATE_ALERT, ["45 6 * * *"], "the day itself"),
]


@pytest.mark.parametrize(("day", "slot", "crons", "why"), CRONS, ids=lambda v: str(v))
def test_a_schedule_has_the_time_of_its_next_slot_and_all_later_ones(
    day: str, slot: Slot, crons: list[str], why: str
) -> None:
    assert on(day).crons(slot) == crons, why


def test_definitions_are_told_anew_on_the_days_on_which_something_changes() -> None:
    days = [date(2027, 6, 1) + n * DAY for n in range(30)]
    told = [DayAtHand(MOVED, day).told() for day in days]
    changes = [
        str(day)
        for day, now, before in zip(days[1:], told[1:], told, strict=False)
        if now != before
    ]
    assert changes == [
        "2027-06-07",  # values of that day begin to hold
        "2027-06-09",  # the late slots' times, and that the last late alert was earlier
        "2027-06-10",  # that is past; the next weekly alert is the first amended one
        "2027-06-13",  # so is the next implementation
        "2027-06-14",  # it may be judged by its new time, and that the last one was earlier
        "2027-06-16",  # the next weekly alert is of a cycle with all amendments
        "2027-06-21",  # the last implementation was at its new time
    ]


def test_an_edit_of_the_file_is_told_and_a_plain_day_is_not() -> None:
    nigeria = load_policy("ng")
    days = [date(2026, 11, 1) + n * DAY for n in range(60)]
    assert len({DayAtHand(nigeria, day).told() for day in days}) == 1
    assert on("2026-11-01").told() != DayAtHand(nigeria, date(2026, 11, 1)).told()


def runs(policy: Policy, slot: Slot) -> list[datetime]:
    start = datetime(2027, 5, 17, tzinfo=policy.time_zone)
    due = policy.slot_calendar.due_between(start, start + 60 * DAY, [slot])
    return [d.due_at + timedelta(minutes=1) for d in due]


def is_fresh(hand: DayAtHand, slot: Slot, last_run: datetime, now: datetime) -> bool:
    """As Dagster judges a cron freshness policy: by the last deadline that is past."""
    zone = hand.policy.time_zone.key
    cron, punctual = hand.deadline(slot)
    return last_run >= get_latest_completed_cron_tick(cron, now, zone) - punctual


@pytest.mark.parametrize("slot", TIMED_SLOTS)
def test_over_an_amendment_punctual_slots_stay_fresh_and_a_missed_one_does_not(slot: Slot) -> None:
    done = runs(MOVED, slot)
    now = datetime(2027, 6, 1, 0, 20, tzinfo=MOVED.time_zone)
    while now < datetime(2027, 7, 1, tzinfo=MOVED.time_zone):
        hand = DayAtHand(MOVED, now.date())
        last = max(i for i, run in enumerate(done) if run <= now)
        assert is_fresh(hand, slot, done[last], now), now
        if now - done[last] > GRACE:
            # Had the last one not run, the one before it would be judged.
            assert not is_fresh(hand, slot, done[last - 1], now), now
        now += timedelta(minutes=40)
