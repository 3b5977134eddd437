"""Dagster's own run launcher, which also notices a run whose process is gone.

Without it such a run would count as going on for ever: no other would start, and its slot would
not be tried again. Dagster's run monitoring asks it, marks the run as failed, and the sensors do
the rest. Named in `dagster.yaml`.
"""

import time
from datetime import timedelta

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from vibes_pipeline.clock import WallClock
from vibes_pipeline.ledger.ledger import shared_ledger
from vibes_pipeline.ledger.signs_of_life import is_running
from vibes_pipeline.settings import Settings

# A run takes its lock shortly after it starts, and lets go of it shortly before its end is known.
STARTS_WITHIN = timedelta(minutes=1)
ENDS_WITHIN_SECONDS = 5.0


class WatchfulRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as Dagster does by default; tells those that died."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """What makes run monitoring ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives; asked twice, for it may be about to end."""
        record = self._instance.get_run_record_by_id(run.run_id)
        started_at = record.start_time if record else None
        age_seconds = WallClock().now().timestamp() - (started_at or 0.0)
        if age_seconds < STARTS_WITHIN.total_seconds() or _is_alive(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        time.sleep(ENDS_WITHIN_SECONDS)
        if _is_alive(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "its process is gone: killed, or its machine went down"
        )


def _is_alive(run_id: str) -> bool:
    settings = Settings.from_environment()
    return is_running(shared_ledger(settings, settings.country.upper()), run_id)
