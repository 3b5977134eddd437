"""The slots' local times as schedules, running by default; over a simulated ledger they skip."""

import dagster as dg

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.catch_up import PUNCTUAL, missing_slots
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.defs.partitions import POLICY, TODAY
from vibes_pipeline.ledger.ledger import shared_ledger
from vibes_pipeline.settings import Settings


def _schedule(slot: Slot) -> dg.ScheduleDefinition:
    job, crons = JOBS[slot], TODAY.crons(slot)

    @dg.schedule(
        name=job.name,
        job=job,
        # Amended times too, so that none is missed: a tick at another time than the slot's skips.
        cron_schedule=crons if len(crons) > 1 else crons[0],
        execution_timezone=POLICY.time_zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=job.description,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        ledger = shared_ledger(Settings.from_environment(), POLICY.country)
        is_simulated = ledger.is_simulated()
        if is_simulated:
            return dg.SkipReason(
                f"The ledger of {POLICY.country} is simulated (a demo or a replay): real slots are "
                "refused on it. Use another VIBES_HOME or database for a live one."
            )
        now, due_at = WallClock().now(), context.scheduled_execution_time
        due = POLICY.slot_calendar.due_around(slot, due_at)
        if due.due_at != due_at:
            return dg.SkipReason(
                f"The policy has moved this slot: the {slot} of {due.period} is due "
                f"{due.due_at:%Y-%m-%d %H:%M}."
            )
        period = due.period
        if not slot.is_weekly and now >= POLICY.slot_calendar.late_slot_is_over_at(slot, period):
            return dg.SkipReason(
                f"The {slot} of {period} is over: a missed day is skipped, not replayed."
            )
        # Dagster ticks once for what it missed: by then the sensor may have asked for it as well.
        if is_simulated is False and now - due_at > PUNCTUAL:
            return dg.SkipReason(
                f"It is too late for this schedule: the sensor catch_up runs the {slot} of "
                f"{period} if it is missing."
            )
        if slot.is_weekly:
            older = [
                due
                for due in missing_slots(ledger, POLICY, now)
                if due.slot.is_weekly and due.due_at < POLICY.slot_calendar.due_at(slot, period)
            ]
            if older:
                return dg.SkipReason(
                    f"The {older[0].slot} of {older[0].period} comes first; the sensor catch_up "
                    "runs what was missed, oldest first."
                )
        return dg.RunRequest(partition_key=period.isoformat())

    return tick


SCHEDULES = [_schedule(slot) for slot in TIMED_SLOTS]
