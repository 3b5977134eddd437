"""What is noticed between the slots' times; over a simulated ledger, nothing is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import dropwhile, takewhile

import dagster as dg
from dagster._core.events import JobFailureData
from dagster_shared.error import SerializableErrorInfo

from vibes_pipeline.calendar import TIMED_SLOTS, DueSlot, Slot
from vibes_pipeline.catch_up import PUNCTUAL, missing_slots, to_run_next
from vibes_pipeline.claims.settle import is_waiting
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import JOBS, claims, notice_delivery
from vibes_pipeline.defs.partitions import POLICY
from vibes_pipeline.defs.slot_assets import PARTITION_TAG
from vibes_pipeline.errors import LedgerError, VibesError, WarehouseError
from vibes_pipeline.ledger.ledger import shared_ledger
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.notices.delivery import can_go_out
from vibes_pipeline.notices.operators import write_to_operators
from vibes_pipeline.notices.outbox import is_retry_due
from vibes_pipeline.settings import Settings
from vibes_pipeline.slot_order import period_to_begin
from vibes_pipeline.slot_run import SlotRun
from vibes_pipeline.slots import blocked_by

# How often the warehouse is asked whether an address was mended.
MENDING_CHECKED_EVERY = timedelta(minutes=5)
# A slot's own sending is not to be overtaken: what is younger than this is being sent.
SETTLED_AFTER = timedelta(minutes=10)
# A tick must not hang while a loader holds the warehouse: the next one asks again.
SENSOR_PATIENCE_SECONDS = 5.0
# A slot that failed is tried again after growing pauses.
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=1)
WAYS_OUT = (
    "A slot that fails has done nothing or all of a step. It is tried again by itself with growing "
    "pauses; weekly slots run in order, so later ones wait for it.\n"
    "Once the cause is mended, its next try ends it; `vibes run SLOT` runs the oldest missing "
    "slot of its kind at once. Whatever is run again changes nothing twice."
)
# Enough to know the longest pause.
RUNS_LOOKED_AT = 10
# How a recorded error begins that has words of ours.
OURS = "vibes_pipeline."
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dg.sensor(
    job=notice_delivery,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests another attempt of notices that a slot could not deliver.",
)
def undelivered_notices(
    context: dg.SensorEvaluationContext,
) -> dg.SensorResult | dg.SkipReason:
    """Deferred notices after their pause, refused ones once their address is mended."""
    settings = Settings.from_environment()
    ledger = shared_ledger(settings, POLICY.country)
    if ledger.is_simulated() is not False:
        return dg.SkipReason(f"The ledger of {POLICY.country} is simulated or not used yet.")
    now = WallClock().now()
    try:
        ledger.require_not_before(now.astimezone(POLICY.time_zone))
    except LedgerError as refused:
        return dg.SkipReason(f"{refused}")
    if not _may_start(_runs_since_success(context.instance, notice_delivery.name), now):
        return dg.SkipReason("Notices are being delivered, or could not be a short while ago.")
    waiting = open_notices(ledger, now)
    # The cursor only paces the look at the warehouse; losing it costs one early look.
    checked_at = datetime.fromisoformat(context.cursor) if context.cursor else None
    if any(is_retry_due(n, now) and now - n.planned_at > SETTLED_AFTER for n in waiting):
        return dg.SensorResult(run_requests=[dg.RunRequest()])
    none_due = dg.SkipReason(f"{len(waiting)} notices are open, none is due.")
    if not waiting or (checked_at and now - checked_at < MENDING_CHECKED_EVERY):
        return none_due
    try:
        can_go = can_go_out(waiting, POLICY, settings, SENSOR_PATIENCE_SECONDS)
    except WarehouseError as busy:
        return dg.SkipReason(f"{busy}")
    if can_go:
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=now.isoformat())
    return dg.SensorResult(skip_reason=none_due, cursor=now.isoformat())


@dg.sensor(
    job=claims,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Runs the claims slot once a claim, or a decision on a claim or account, appears, be it "
        "one that cannot be read, and once that is corrected."
    ),
)
def new_claims(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """What waits is asked of warehouse and ledger, so a failed run loses nothing."""
    settings = Settings.from_environment()
    ledger = shared_ledger(settings, POLICY.country)
    if ledger.is_simulated() is not False:
        return dg.SkipReason(f"The ledger of {POLICY.country} is simulated or not used yet.")
    if context.instance.get_run_ids(dg.RunsFilter(job_name=claims.name, statuses=UNFINISHED)):
        return dg.SkipReason("The claims slot is running or queued.")
    now = WallClock().now()
    try:
        today = period_to_begin(ledger, POLICY, Slot.CLAIMS, None, now=now, is_simulated=False)
        run = SlotRun.begin(Slot.CLAIMS, today, POLICY, settings, now=now, is_simulated=False)
        waits = is_waiting(run, ledger, patience_seconds=SENSOR_PATIENCE_SECONDS)
    except VibesError as refused_or_busy:
        return dg.SkipReason(f"{refused_or_busy}")
    return dg.RunRequest() if waits else dg.SkipReason("No claim or decision waits.")


@dg.sensor(
    jobs=[JOBS[slot] for slot in TIMED_SLOTS],
    # Of several missed slots each waits for the next look after the one before it.
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Runs what was due and is not done: slots missed while the system was down, oldest first, "
        "and slots that failed, after a pause."
    ),
)
def catch_up(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The ledger's slots are the truth of what was done; no cursor, no run key."""
    ledger = shared_ledger(Settings.from_environment(), POLICY.country)
    if ledger.is_simulated() is not False:
        return dg.SkipReason(f"The ledger of {POLICY.country} is simulated or not used yet.")
    now = WallClock().now()
    missing = [due for due in missing_slots(ledger, POLICY, now) if now - due.due_at > PUNCTUAL]
    requests, refusals = [], []
    for due in to_run_next(missing):
        if not _may_run(context.instance, due, now):
            continue
        try:
            period_to_begin(ledger, POLICY, due.slot, due.period, now=now, is_simulated=False)
        except VibesError as refused:
            refusals.append(f" {refused}")
            continue
        requests.append(
            dg.RunRequest(job_name=JOBS[due.slot].name, partition_key=due.period.isoformat())
        )
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SkipReason(f"{len(missing)} slots are missing, none may run now.{''.join(refusals)}")


def _may_run(instance: dg.DagsterInstance, due: DueSlot, now: datetime) -> bool:
    """Whether no run of the slot is on its way, nor one that failed too short a while ago."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=JOBS[due.slot].name, tags={PARTITION_TAG: due.period.isoformat()})
    )
    return _may_start(records, now)


def _may_start(records: Sequence[dg.RunRecord], now: datetime) -> bool:
    """Whether these runs, newest first, none of which did it, let another one begin."""
    if any(record.dagster_run.status in UNFINISHED for record in records):
        return False
    if not records:
        return True
    pause = min(FIRST_RETRY * (1 << min(len(records) - 1, 16)), LONGEST_RETRY)
    ended_at = records[0].end_time or 0.0
    return now.timestamp() >= ended_at + pause.total_seconds()


def _runs_since_success(instance: dg.DagsterInstance, job_name: str) -> list[dg.RunRecord]:
    """The newest runs of a job up to its last success, newest first."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=RUNS_LOOKED_AT)
    return list(
        takewhile(lambda r: r.dagster_run.status is not dg.DagsterRunStatus.SUCCESS, records)
    )


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Mails VIBES_OPERATORS of a run that failed: which, why, what to do.",
)
def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """The cause in its own words; nothing of any seller is in it but ids."""
    settings = Settings.from_environment()
    if not settings.operators:
        return dg.SkipReason("VIBES_OPERATORS is not set: nobody is written to.")
    run = context.dagster_run
    if run.job_name == notice_delivery.name and _has_failed_before(context.instance, run):
        return dg.SkipReason("The delivery failed before: the operators were written to then.")
    period = run.tags.get(PARTITION_TAG)
    what = f"{run.job_name} of {period}" if period else run.job_name
    is_simulated = shared_ledger(settings, POLICY.country).is_simulated() is True
    write_to_operators(
        settings,
        f"VIBES {POLICY.country}: {what} failed",
        f"The job {what} failed:\n\n{_cause(context)}\n\nRun {run.run_id} in the Dagster UI.\n\n"
        f"{WAYS_OUT}",
        at=WallClock().now(),
        is_simulated=is_simulated,
    )
    return None


def _has_failed_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the run before it of the same job failed too: a relay in trouble is told of once."""
    runs = instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=RUNS_LOOKED_AT)
    before = list(dropwhile(lambda r: r.run_id != run.run_id, runs))[1:2]
    return [r.status for r in before] == [dg.DagsterRunStatus.FAILURE]


def _cause(context: dg.RunFailureSensorContext) -> str:
    """Our own error that stopped the run, the check that did, or the first line of another's."""
    of_steps = [event.step_failure_data.error for event in context.get_step_failure_events()]
    of_run = context.failure_event.event_specific_data
    if isinstance(of_run, JobFailureData):
        of_steps.append(of_run.error)
    errors = [error for error in of_steps if error]
    for error in errors:
        for link in _chain(error):
            if link.message.startswith(OURS):
                return " ".join(link.message.partition(": ")[2].split())
    if why := blocked_by(context.instance, context.dagster_run.run_id):
        return why
    words = _chain(errors[0])[-1].message if errors else context.failure_event.message
    # What is not ours may go on to say what it stumbled over, which may be somebody's.
    return (words or "no cause was recorded").strip().splitlines()[0]


def _chain(error: SerializableErrorInfo) -> list[SerializableErrorInfo]:
    """An error, its cause, the cause of that."""
    return [error, *(_chain(error.cause) if error.cause else [])]


SENSORS = [new_claims, undelivered_notices, catch_up, failed_runs]
