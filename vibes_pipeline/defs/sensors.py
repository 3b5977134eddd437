"""What is done between the times of the slots; over a simulated ledger, nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import dropwhile, takewhile

import dagster as dg

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import JOBS, claims, notice_delivery
from vibes_pipeline.defs.record_decision import record_decision
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.defs.run_outcome import why_failed
from vibes_pipeline.defs.slot_assets import PARTITION_TAG
from vibes_pipeline.errors import LedgerError, VibesError, WarehouseError
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.notices.delivery import can_go_out
from vibes_pipeline.notices.operators import write_to_operators
from vibes_pipeline.notices.outbox import is_retry_due
from vibes_pipeline.slots.catch_up import PUNCTUAL, missing_slots, to_run_next
from vibes_pipeline.slots.claims.settle import is_waiting
from vibes_pipeline.slots.instant import Instant
from vibes_pipeline.slots.order import period_to_begin

# How often the warehouse is asked whether an address was mended.
MENDING_CHECKED_EVERY = timedelta(minutes=5)
# A notice that was planned less than this ago is still being sent by its own slot.
SETTLED_AFTER = timedelta(minutes=10)
# A tick must not hang while a loader holds the warehouse: the next one asks again.
SENSOR_PATIENCE_SECONDS = 5.0
# A slot that failed is tried again after growing pauses.
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=1)
WAYS_OUT = (
    "Each step of a slot is done as a whole or not at all. The slot is tried again with growing "
    "pauses; weekly slots run in order, so later ones wait for it.\n"
    "Once the cause is mended, the next attempt finishes it; `vibes run SLOT` runs the oldest "
    "missing slot of its kind at once. Nothing is done twice, however often a slot is run."
)
# Enough to know the longest pause.
RUNS_LOOKED_AT = 10
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
    context: dg.SensorEvaluationContext, country: dg.ResourceParam[Country]
) -> dg.SensorResult | dg.SkipReason:
    """Deferred notices after their pause, refused ones once their address is mended."""
    policy, settings, ledger = country.policy, country.settings, country.ledger
    if not_live := _why_not_live(ledger):
        return dg.SkipReason(not_live)
    now = WallClock().now()
    try:
        ledger.require_not_before(now.astimezone(policy.time_zone))
    except LedgerError as refused:
        return dg.SkipReason(f"{refused}")
    runs = _runs_since_success(context.instance, notice_delivery.name)
    if held := _held_back(runs, now, policy.time_zone):
        return dg.SkipReason(f"The delivery of notices {held}.")
    waiting = open_notices(ledger, now)
    # The cursor only paces the look at the warehouse; losing it costs one early look.
    checked_at = datetime.fromisoformat(context.cursor) if context.cursor else None
    if any(is_retry_due(n, now) and now - n.planned_at > SETTLED_AFTER for n in waiting):
        return dg.SensorResult(run_requests=[dg.RunRequest()])
    if not waiting:
        return dg.SkipReason("No notice is open.")
    none_due = dg.SkipReason(
        f"{len(waiting)} notices are open: none is due for another attempt, and no address of "
        "theirs is mended."
    )
    if checked_at and now - checked_at < MENDING_CHECKED_EVERY:
        return none_due
    try:
        can_go = can_go_out(waiting, policy, settings, SENSOR_PATIENCE_SECONDS)
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
def new_claims(
    context: dg.SensorEvaluationContext, country: dg.ResourceParam[Country]
) -> dg.RunRequest | dg.SkipReason:
    """Warehouse and ledger are asked what waits, so a failed run loses nothing."""
    policy, settings, ledger = country.policy, country.settings, country.ledger
    if not_live := _why_not_live(ledger):
        return dg.SkipReason(not_live)
    runs = context.instance.get_runs(dg.RunsFilter(job_name=claims.name, statuses=UNFINISHED))
    if runs:
        return dg.SkipReason(f"The claims slot {_stage(runs[0])}.")
    instant = Instant.take(settings, policy, ledger, WallClock())
    try:
        instant.period_to_begin(Slot.CLAIMS)
        run = instant.claims_run()
        waits = is_waiting(run, ledger, patience_seconds=SENSOR_PATIENCE_SECONDS)
    except VibesError as refused_or_busy:
        return dg.SkipReason(f"{refused_or_busy}")
    return dg.RunRequest() if waits else dg.SkipReason("No claim or decision waits.")


@dg.sensor(
    jobs=[JOBS[slot] for slot in TIMED_SLOTS],
    # Missed slots run one after the other: a tick requests the next one once the last has run.
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Runs what was due and is not done: slots missed while the system was down, oldest first, "
        "and slots that failed, after a pause."
    ),
)
def catch_up(
    context: dg.SensorEvaluationContext, country: dg.ResourceParam[Country]
) -> dg.SensorResult | dg.SkipReason:
    """The ledger says what was done; neither a cursor nor a run key is used."""
    policy, ledger = country.policy, country.ledger
    if not_live := _why_not_live(ledger):
        return dg.SkipReason(not_live)
    now = WallClock().now()
    missing = [due for due in missing_slots(ledger, policy, now) if now - due.due_at > PUNCTUAL]
    if not missing:
        return dg.SkipReason("Nothing is missing: what was due is done, or is for its schedule.")
    requests, reasons = [], []
    for due in to_run_next(missing):
        what = f"{due.slot} of {due.period}"
        job_name = JOBS[due.slot].name
        tags = {PARTITION_TAG: due.period.isoformat()}
        runs = context.instance.get_run_records(dg.RunsFilter(job_name=job_name, tags=tags))
        if held := _held_back(runs, now, policy.time_zone):
            reasons.append(f"{what} {held}.")
            continue
        try:
            period_to_begin(ledger, policy, due.slot, due.period, now=now, is_simulated=False)
        except VibesError as refused:
            reasons.append(f"{what} is refused: {refused}.")
            continue
        requests.append(dg.RunRequest(job_name=job_name, partition_key=due.period.isoformat()))
    if requests:
        return dg.SensorResult(run_requests=requests)
    behind = len(missing) - len(reasons)
    if behind:
        reasons.append(f"{behind} weekly slots wait for an older one.")
    return dg.SkipReason(f"Of {len(missing)} missing slots none may run now. {' '.join(reasons)}")


def _why_not_live(ledger: Ledger) -> str | None:
    """Why nothing may be started over this ledger; None if it is live."""
    match ledger.mode():
        case LedgerMode.EMPTY:
            return f"The ledger of {ledger.country} is not used yet: its first slot opens it."
        case LedgerMode.SIMULATED:
            return (
                f"The ledger of {ledger.country} is simulated: its slots run when they are "
                "replayed."
            )
        case LedgerMode.LIVE:
            return None


def _held_back(records: Sequence[dg.RunRecord], now: datetime, zone: tzinfo) -> str | None:
    """Why no other run may begin after these, newest first, none of which succeeded; or None."""
    for record in records:
        if record.dagster_run.status in UNFINISHED:
            return _stage(record.dagster_run)
    if not records:
        return None
    pause = min(FIRST_RETRY * (1 << min(len(records) - 1, 16)), LONGEST_RETRY)
    ended_at = datetime.fromtimestamp(records[0].end_time or 0.0, zone)
    if now >= ended_at + pause:
        return None
    return f"failed at {ended_at:%H:%M} and is tried again at {ended_at + pause:%H:%M}"


def _stage(run: dg.DagsterRun) -> str:
    """Whether a run that has not ended is running or still waits."""
    return "is running" if run.status is dg.DagsterRunStatus.STARTED else "waits for its run"


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
def failed_runs(
    context: dg.RunFailureSensorContext, country: dg.ResourceParam[Country]
) -> dg.SkipReason | None:
    """The mail gives the cause in its own words; of sellers it has only ids."""
    settings = country.settings
    if not settings.operators:
        return dg.SkipReason("VIBES_OPERATORS is not set: nobody is written to.")
    run = context.dagster_run
    if run.job_name == notice_delivery.name and _has_failed_before(context.instance, run):
        return dg.SkipReason("The delivery failed before: the operators were written to then.")
    if run.job_name == record_decision.name:
        return dg.SkipReason("Whoever recorded a decision sees in the UI why it was refused.")
    period = run.tags.get(PARTITION_TAG)
    what = f"{run.job_name} of {period}" if period else run.job_name
    is_simulated = country.ledger.mode() is LedgerMode.SIMULATED
    write_to_operators(
        settings,
        f"VIBES {country.policy.country}: {what} failed",
        f"The job {what} failed:\n\n{why_failed(context.instance, run.run_id)}\n\n"
        f"Run {run.run_id} in the Dagster UI.\n\n{WAYS_OUT}",
        at=WallClock().now(),
        is_simulated=is_simulated,
    )
    return None


def _has_failed_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the job's previous run failed too: operators are told once of a relay in trouble."""
    runs = instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=RUNS_LOOKED_AT)
    before = list(dropwhile(lambda r: r.run_id != run.run_id, runs))[1:2]
    return [r.status for r in before] == [dg.DagsterRunStatus.FAILURE]


SENSORS = [new_claims, undelivered_notices, catch_up, failed_runs]
