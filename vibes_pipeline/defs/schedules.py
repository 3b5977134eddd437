"""A schedule for each slot that has a local time, and one for the morning's mail to operators.

They run by default. A slot that is refused is skipped, and so is a mail that is planned already.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.jobs import JOBS, operators_mail
from vibes_pipeline.defs.operators import why_no_mail_to_operators
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.slots.catch_up import PUNCTUAL
from vibes_pipeline.slots.order import period_to_begin

Tick = dg.RunRequest | dg.SkipReason


def schedules(location: CodeLocation) -> list[dg.ScheduleDefinition]:
    """One for each slot that has a time of its own, and the operators'."""
    return [*(_schedule(location, slot) for slot in TIMED_SLOTS), _operators_mail(location)]


def _schedule(location: CodeLocation, slot: Slot) -> dg.ScheduleDefinition:
    job, crons = JOBS[slot], location.today.crons(slot)

    # Amended times too, so that none is missed: a tick at another time than the slot's skips.
    @_starting(job.name, job.description, crons, location)
    def tick(context: dg.ScheduleEvaluationContext, country: dg.ResourceParam[Country]) -> Tick:
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


def _operators_mail(location: CodeLocation) -> dg.ScheduleDefinition:
    crons = location.today.operators_mail_crons()

    @_starting(operators_mail.name, operators_mail.description, crons, location)
    def tick(context: dg.ScheduleEvaluationContext, country: dg.ResourceParam[Country]) -> Tick:
        # The run starts after the tick, whose time the clock may not have reached yet.
        now = max(WallClock().now(), context.scheduled_execution_time)
        if why_not := why_no_mail_to_operators(country, now):
            return dg.SkipReason(why_not)
        return dg.RunRequest()

    return tick


def _starting(
    job_name: str, description: str | None, crons: Sequence[str], location: CodeLocation
) -> Callable[[Callable[..., Tick]], dg.ScheduleDefinition]:
    """Makes a schedule of a job out of what it does at a tick."""
    return dg.schedule(
        name=job_name,
        job_name=job_name,
        cron_schedule=crons if len(crons) > 1 else crons[0],
        execution_timezone=location.policy.time_zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
