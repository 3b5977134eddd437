"""A schedule for each slot that has a local time. It runs by default, and skips a refused slot."""

import dagster as dg

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.slots.catch_up import PUNCTUAL
from vibes_pipeline.slots.order import period_to_begin


def schedules(location: CodeLocation) -> list[dg.ScheduleDefinition]:
    """One for each slot that has a time of its own."""
    return [_schedule(location, slot) for slot in TIMED_SLOTS]


def _schedule(location: CodeLocation, slot: Slot) -> dg.ScheduleDefinition:
    job, crons = JOBS[slot], location.today.crons(slot)

    @dg.schedule(
        name=job.name,
        job=job,
        # Amended times too, so that none is missed: a tick at another time than the slot's skips.
        cron_schedule=crons if len(crons) > 1 else crons[0],
        execution_timezone=location.policy.time_zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=job.description,
    )
    def tick(
        context: dg.ScheduleEvaluationContext, country: dg.ResourceParam[Country]
    ) -> dg.RunRequest | dg.SkipReason:
        policy, ledger = country.policy, country.ledger
        now, due_at = WallClock().now(), context.scheduled_execution_time
        due = policy.slot_calendar.due_around(slot, due_at)
        if due.due_at != due_at:
            return dg.SkipReason(
                f"The policy has moved this slot: the {slot} of {due.period} is due "
                f"{due.due_at:%Y-%m-%d %H:%M}."
            )
        period = due.period
        if done_at := ledger.done_at(slot, period):
            return dg.SkipReason(
                f"The {slot} of {period} is done already, as of "
                f"{done_at.astimezone(policy.time_zone):%Y-%m-%d %H:%M}."
            )
        # Dagster ticks once for what it missed: by then the sensor may have asked for it as well.
        if ledger.mode() is LedgerMode.LIVE and now - due_at > PUNCTUAL:
            return dg.SkipReason(
                f"The {slot} of {period} is not done, and it is too late for this schedule: the "
                "sensor catch_up runs it, unless its day is over."
            )
        try:
            # The run starts after the tick, whose time the clock may not have reached yet.
            at = max(now, due_at)
            period_to_begin(ledger, policy, slot, period, now=at, is_simulated=False)
        except VibesError as refused:
            return dg.SkipReason(str(refused))
        return dg.RunRequest(partition_key=period.isoformat())

    return tick
