"""What is done between the times of the slots; over a simulated ledger, nothing."""

from datetime import datetime, timedelta

import dagster as dg

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import JOBS, claims, notice_delivery
from vibes_pipeline.defs.operators import failed_runs, undelivered_operators_mails
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.defs.runs import (
    UNFINISHED,
    held_back,
    runs_since_success,
    stage,
    why_not_live,
)
from vibes_pipeline.defs.slot_assets import PARTITION_TAG
from vibes_pipeline.errors import EngineError, LedgerError, VibesError, WarehouseError
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.delivery import can_go_out
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
    if not_live := why_not_live(ledger):
        return dg.SkipReason(not_live)
    now = WallClock().now()
    try:
        ledger.require_not_before(now.astimezone(policy.time_zone))
    except LedgerError as refused:
        return dg.SkipReason(f"{refused}")
    runs = runs_since_success(context.instance, notice_delivery.name)
    if held := held_back(runs, now, policy.time_zone):
        return dg.SkipReason(f"The delivery of notices {held}.")
    waiting = open_notices(ledger, now)
    # The cursor only paces the look at the warehouse; losing it costs one early look.
    checked_at = datetime.fromisoformat(context.cursor) if context.cursor else None
    if any(is_retry_due(n, now) and now - n.planned_at > SETTLED_AFTER for n in waiting):
        return dg.SensorResult(run_requests=[dg.RunRequest()])
    if not waiting:
        return dg.SkipReason("No notice is open.")
    none_due = dg.SkipReason(
        f"{counted(len(waiting), 'notice is', 'notices are')} open: none is due for another "
        "attempt, and no address of theirs is mended."
    )
    if checked_at and now - checked_at < MENDING_CHECKED_EVERY:
        return none_due
    try:
        can_go = can_go_out(waiting, policy, settings, SENSOR_PATIENCE_SECONDS)
    except (EngineError, WarehouseError) as busy:
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
    if not_live := why_not_live(ledger):
        return dg.SkipReason(not_live)
    runs = context.instance.get_runs(dg.RunsFilter(job_name=claims.name, statuses=UNFINISHED))
    if runs:
        return dg.SkipReason(f"The claims slot {stage(runs[0])}.")
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
    if not_live := why_not_live(ledger):
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
        if held := held_back(runs, now, policy.time_zone):
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


SENSORS = [new_claims, undelivered_notices, catch_up, failed_runs, undelivered_operators_mails]
