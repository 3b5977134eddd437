"""What sensors and schedules ask before they start a run: the ledger's mode, and earlier runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import takewhile

import dagster as dg

from vibes_pipeline.ledger.ledger import Ledger, LedgerMode

# A slot that failed is tried again after growing pauses.
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=1)
# Enough to know the longest pause.
RUNS_LOOKED_AT = 10
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def why_not_live(ledger: Ledger) -> str | None:
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


def held_back(records: Sequence[dg.RunRecord], now: datetime, zone: tzinfo) -> str | None:
    """Why no other run may begin after these, newest first, none of which succeeded; or None."""
    for record in records:
        if record.dagster_run.status in UNFINISHED:
            return stage(record.dagster_run)
    if not records:
        return None
    pause = min(FIRST_RETRY * (1 << min(len(records) - 1, 16)), LONGEST_RETRY)
    ended_at = datetime.fromtimestamp(records[0].end_time or 0.0, zone)
    if now >= ended_at + pause:
        return None
    return f"failed at {ended_at:%H:%M} and is tried again at {ended_at + pause:%H:%M}"


def stage(run: dg.DagsterRun) -> str:
    """Whether a run that has not ended is running or still waits."""
    return "is running" if run.status is dg.DagsterRunStatus.STARTED else "waits for its run"


def runs_since_success(instance: dg.DagsterInstance, job_name: str) -> list[dg.RunRecord]:
    """The newest runs of a job up to its last success, newest first."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=RUNS_LOOKED_AT)
    return list(
        takewhile(lambda r: r.dagster_run.status is not dg.DagsterRunStatus.SUCCESS, records)
    )
