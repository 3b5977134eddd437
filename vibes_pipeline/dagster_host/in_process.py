"""Running a slot as a Dagster job in this process.

Only the commands that start a job import this module, because it imports Dagster.
"""

from __future__ import annotations

import logging
import warnings
from datetime import date, datetime
from functools import cache

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_postgres.utils import DagsterPostgresException

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.defs.run_outcome import blocked_by
from vibes_pipeline.defs.slot_assets import PARTITION_TAG
from vibes_pipeline.errors import VibesError, first_line
from vibes_pipeline.paths import workspace_file
from vibes_pipeline.slots.faults import fault_of


def run_slot(
    slot: Slot,
    period: date,
    instance: dg.DagsterInstance,
    *,
    at: datetime | None = None,
    log_level: str = "CRITICAL",
) -> dg.RunRecord:
    """Run a slot's job to its end; with `at`, simulated. Gives Dagster's record of the run.

    Dagster logs every step on standard error, from `log_level` on; what a user needs is the
    outcome, and the UI keeps the rest. Raises the `VibesError` that stopped the run, or one that
    names the failed check.
    """
    from vibes_pipeline.definitions import definitions

    logging.getLogger("dagster").setLevel(log_level)
    job = definitions.resolve_job_def(JOBS[slot].name)
    # Dagster knows the partitions up to its present, which must be the slot's instant.
    with warnings.catch_warnings(), dg.partition_loading_context(at):
        warnings.simplefilter("ignore")
        run_id = make_new_run_id()
        try:
            run = instance.create_run_for_job(
                job,
                run_id=run_id,
                run_config={
                    "loggers": {"console": {"config": {"log_level": log_level}}},
                    "resources": {"vibes": {"config": {"at": at.isoformat()} if at else {}}},
                },
                tags={} if slot is Slot.CLAIMS else {PARTITION_TAG: period.isoformat()},
                remote_job_origin=RemoteJobOrigin(_repository(), job.name),
            )
            execute_run(InMemoryJob(job), run, instance, raise_on_error=True)
        except dg.DagsterExecutionInterruptedError:
            # Dagster's name for Ctrl-C, which the command line does not know.
            raise KeyboardInterrupt from None
        except (
            dg.DagsterError,
            # What Dagster's storage raises where it cannot record any more.
            sa.exc.DBAPIError,
            DagsterPostgresException,
        ) as error:
            raise _cause(error, instance, run_id) from error
    (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
    return record


@cache
def _repository() -> RemoteRepositoryOrigin:
    """Where the servers find our jobs: without it the UI's timeline does not show a run of them."""
    (location,) = WorkspaceFileTarget(paths=[str(workspace_file())]).create_origins()
    return RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)


def _cause(error: BaseException, instance: dg.DagsterInstance, run_id: str) -> VibesError:
    """Our error that stopped the run, else the check that did, else Dagster's first line."""
    return fault_of(error) or VibesError(blocked_by(instance, run_id) or first_line(error))
