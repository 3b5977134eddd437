"""What is noticed between the slots' times; over a simulated ledger, nothing is."""

from datetime import datetime, timedelta

import dagster as dg

from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import notice_delivery
from vibes_pipeline.defs.partitions import POLICY
from vibes_pipeline.ledger.ledger import shared_ledger
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.notices.outbox import is_retry_due
from vibes_pipeline.settings import Settings

# How often the warehouse is asked whether an address was mended.
MENDING_CHECKED_EVERY = timedelta(minutes=5)
# A slot's own sending is not to be overtaken: what is younger than this is being sent.
SETTLED_AFTER = timedelta(minutes=10)


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
