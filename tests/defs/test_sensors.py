"""What the sensors ask for, over a real ledger and a real instance of Dagster (Rulebook §2).

Sensors and schedules read the wall clock: pasts are put into the ledger relative to the present, and
no test depends on the hour at which it is run.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg
import pytest
from defs import loaded
from defs.sensed import (
    CALENDAR,
    DAY,
    WEEK,
    WEEKLY,
    Daemon,
    missed_weekly_slots,
    named,
    now,
    open_before,
)

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import sensors
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.slots.catch_up import PUNCTUAL

# --- catch_up -------------------------------------------------------------------------------------


def test_weekly_slots_are_requested_one_at_a_time_oldest_first(daemon: Daemon) -> None:
    missed = missed_weekly_slots(4)
    open_before(daemon, *missed[0])
    for slot, period in missed:
        assert daemon.weekly() == [named(slot, period)]
        daemon.finish(slot, period)
    assert daemon.weekly() == []


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
    ],
    ids=str,
)
def test_no_slot_is_requested_while_a_run_of_it_is_on_its_way(
    daemon: Daemon, status: dg.DagsterRunStatus
) -> None:
    (slot, period), _ = missed = missed_weekly_slots(2)
    open_before(daemon, *missed[0])
    daemon.ran(slot, period, status)
    assert daemon.weekly() == [], "neither it nor the one after it"


def test_a_run_of_another_slot_or_period_does_not_keep_it(daemon: Daemon) -> None:
    (slot, period), (after, its_period) = missed = missed_weekly_slots(2)
    open_before(daemon, *missed[0])
    daemon.ran(slot, period - WEEK, dg.DagsterRunStatus.STARTED)
    daemon.ran(after, its_period, dg.DagsterRunStatus.STARTED)
    assert daemon.weekly() == [named(slot, period)]


@pytest.mark.parametrize(
    ("failures", "pause_minutes"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (40, 60)],
)
def test_a_slot_that_failed_is_tried_again_after_a_growing_pause(
    daemon: Daemon, failures: int, pause_minutes: int
) -> None:
    ((slot, period),) = missed_weekly_slots(1)
    open_before(daemon, slot, period)
    pause = timedelta(minutes=pause_minutes)
    for number in range(failures - 1, 0, -1):
        daemon.ran(slot, period, dg.DagsterRunStatus.FAILURE, DAY + number * pause)
    daemon.ran(slot, period, dg.DagsterRunStatus.FAILURE, pause - timedelta(seconds=30))
    assert daemon.weekly() == []


@pytest.mark.parametrize(("failures", "pause_minutes"), [(1, 5), (2, 10), (5, 60)])
def test_and_no_later(daemon: Daemon, failures: int, pause_minutes: int) -> None:
    ((slot, period),) = missed_weekly_slots(1)
    open_before(daemon, slot, period)
    pause = timedelta(minutes=pause_minutes)
    for number in range(failures - 1, -1, -1):
        ended_ago = pause + timedelta(seconds=1) + number * DAY
        daemon.ran(slot, period, dg.DagsterRunStatus.FAILURE, ended_ago)
    assert daemon.weekly() == [named(slot, period)]


def test_of_the_daily_slots_only_the_one_that_is_not_over_is_requested(daemon: Daemon) -> None:
    daemon.open(now() - 5 * DAY)
    late = [(job, period) for job, period in daemon.requested() if "late" in str(job)]
    ((slot, period, due_at),) = [
        (due.slot, due.period, due.due_at)
        for due in CALENDAR.due_between(
            now() - DAY, now(), (Slot.LATE_ALERT, Slot.LATE_CANCELLATION)
        )
        if now() < CALENDAR.late_slot_is_over_at(due.slot, due.period)
    ]
    # Its own schedule's minutes are its schedule's.
    assert late == ([named(slot, period)] if now() - due_at > PUNCTUAL else [])


@pytest.mark.parametrize("sensor", sensors.SENSORS[:3], ids=lambda sensor: sensor.name)
@pytest.mark.parametrize("is_simulated", [True, None], ids=["simulated", "not used yet"])
def test_over_a_ledger_that_is_not_live_nothing_is_requested(
    daemon: Daemon, sensor: dg.SensorDefinition, is_simulated: bool | None
) -> None:
    if is_simulated is not None:
        daemon.open(now() - 3 * WEEK, is_simulated=is_simulated)
    skipped = daemon.evaluate(sensor)
    assert isinstance(skipped, dg.SkipReason)
    mode = "not used yet: " if is_simulated is None else "simulated: "
    assert (skipped.skip_message or "").startswith(f"The ledger of NG is {mode}")


# --- schedules beside it --------------------------------------------------------------------------


def tick(slot: Slot, at: datetime) -> dg.RunRequest | dg.SkipReason:
    return loaded.tick(definitions, JOBS[slot].name, at)


def next_due(slot: Slot) -> tuple[date, datetime]:
    (due, *_) = CALENDAR.due_between(now(), now() + WEEK + DAY, (slot,))
    return due.period, due.due_at


@pytest.mark.parametrize("slot", TIMED_SLOTS)
def test_a_schedule_on_time_requests_its_period_if_no_older_slot_is_missing(
    daemon: Daemon, slot: Slot
) -> None:
    period, due_at = next_due(slot)
    daemon.open(due_at)
    requested = tick(slot, due_at)
    assert isinstance(requested, dg.RunRequest)
    assert requested.partition_key == period.isoformat()


@pytest.mark.parametrize("slot", WEEKLY)
def test_a_weekly_schedule_skips_while_an_older_weekly_slot_is_missing(
    daemon: Daemon, slot: Slot
) -> None:
    ((missed, period),) = missed_weekly_slots(1, timedelta())
    open_before(daemon, missed, period)
    _, due_at = next_due(slot)
    skipped = tick(slot, due_at)
    assert isinstance(skipped, dg.SkipReason)
    assert f" waits for {missed} of {period}, which was due " in (skipped.skip_message or "")
    *older, _ = CALENDAR.due_between(CALENDAR.due_at(missed, period), due_at, WEEKLY)
    for due in older:
        daemon.finish(due.slot, due.period)
    assert isinstance(tick(slot, due_at), dg.RunRequest)


@pytest.mark.parametrize("slot", [Slot.LATE_ALERT, Slot.LATE_CANCELLATION])
def test_a_late_schedule_waits_for_no_weekly_slot(daemon: Daemon, slot: Slot) -> None:
    open_before(daemon, *missed_weekly_slots(1)[0])
    assert isinstance(tick(slot, next_due(slot)[1]), dg.RunRequest)


def test_a_slot_is_requested_by_its_schedule_or_by_the_sensor_never_by_both(
    daemon: Daemon,
) -> None:
    # Dagster ticks once for what it missed, at the very moment at which the sensor looks too.
    ((slot, period),) = missed_weekly_slots(1)
    open_before(daemon, slot, period)
    skipped = tick(slot, CALENDAR.due_at(slot, period))
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == (
        f"The {slot} of {period} is not done, and it is too late for this schedule: the sensor "
        "catch_up runs it, unless its day is over."
    )
    assert daemon.weekly() == [named(slot, period)]
    daemon.finish(slot, period)
    done = tick(slot, CALENDAR.due_at(slot, period))
    assert isinstance(done, dg.SkipReason)
    assert (done.skip_message or "").startswith(f"The {slot} of {period} is done already, as of ")
    assert daemon.weekly() == []
