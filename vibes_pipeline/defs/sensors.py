"""What is noticed between the slots' times; over a simulated ledger, nothing is."""

from datetime import datetime, timedelta

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.claims.settle import is_waiting
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import claims, notice_delivery
from vibes_pipeline.defs.partitions import POLICY
from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.ledger.ledger import shared_ledger
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.notices.outbox import is_retry_due
from vibes_pipeline.settings import Settings
from vibes_pipeline.slot_run import SlotRun

# How often the warehouse is asked whether an address was mended.
MENDING_CHECKED_EVERY = timedelta(minutes=5)
# A slot's own sending is not to be overtaken: what is younger than this is being sent.
SETTLED_AFTER = timedelta(minutes=10)
# A tick must not hang while a loader holds the warehouse: the next one asks again.
SENSOR_PATIENCE_SECONDS = 5.0
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
    """Deferred notices after their pause; refused ones now and then, for mended addresses."""
    ledger = shared_ledger(Settings.from_environment(), POLICY.country)
    if ledger.is_simulated() is not False:
        return dg.SkipReason(f"The ledger of {POLICY.country} is simulated or not used yet.")
    now = WallClock().now()
    waiting = open_notices(ledger, now)
    # The cursor only paces the look at the warehouse; losing it costs one early look.
    checked_at = datetime.fromisoformat(context.cursor) if context.cursor else None
    if any(is_retry_due(n, now) and now - n.planned_at > SETTLED_AFTER for n in waiting):
        return dg.SensorResult(run_requests=[dg.RunRequest()])
    if waiting and (checked_at is None or now - checked_at >= MENDING_CHECKED_EVERY):
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=now.isoformat())
    return dg.SkipReason(f"{len(waiting)} notices are open, none is due.")


@dg.sensor(
    job=claims,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the claims slot once a claim, or a decision on a claim or account, appears.",
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
    run = SlotRun.begin(
        Slot.CLAIMS, POLICY.local_date(now), POLICY, settings, now=now, is_simulated=False
    )
    try:
        waits = is_waiting(run, ledger, patience_seconds=SENSOR_PATIENCE_SECONDS)
    except WarehouseError as busy:
        return dg.SkipReason(f"{busy}")
    return dg.RunRequest() if waits else dg.SkipReason("No claim or decision waits.")
