"""Dagster's own run launcher, for runs whose process is gone and for runs that hang.

Without it a run whose process is gone would count as going on for ever: no other would start, and
its slot would not be tried again. Dagster's run monitoring asks it, marks the run as failed, and
the sensors do the rest. A run that takes too long, or that somebody ends in the UI, is interrupted.
One that hangs does not react, and would keep the locks that later slots need: its sessions in the
database are ended. `dagster.yaml` names this launcher.
"""

import time
from datetime import timedelta

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from vibes_pipeline.clock import WallClock
from vibes_pipeline.ledger.ledger import Ledger, shared_ledger
from vibes_pipeline.ledger.run_locks import cut_off, is_running
from vibes_pipeline.settings import Settings

# A run takes its lock shortly after it starts, and gives it back shortly before it is done.
STARTS_WITHIN = timedelta(minutes=1)
ENDS_WITHIN_SECONDS = 5.0
# A run that was interrupted ends within that time, unless it hangs.
HEEDS_WITHIN_SECONDS = 20.0
POLL_SECONDS = 0.2


class WatchfulRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as Dagster does by default; also knows which of them died."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True, so that run monitoring asks."""
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

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run; if it does not heed that, end its sessions in the database."""
        is_interrupted: bool = super().terminate(run_id)  # type: ignore[no-untyped-call]
        gives_up_at = time.monotonic() + HEEDS_WITHIN_SECONDS
        while _is_alive(run_id):
            if time.monotonic() > gives_up_at:
                cut_off(_ledger(), run_id)
                break
            time.sleep(POLL_SECONDS)
        return is_interrupted


def _is_alive(run_id: str) -> bool:
    return is_running(_ledger(), run_id)


def _ledger() -> Ledger:
    settings = Settings.from_environment()
    return shared_ledger(settings, settings.country.upper())
