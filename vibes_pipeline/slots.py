"""Running slots as Dagster jobs in this process: one now, or every one due in a span.

Imported only by the commands that start a job, for it brings Dagster along.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import AbstractContextManager
from datetime import date, datetime
from functools import cache
from uuid import uuid4

import dagster as dg
import sqlalchemy as sa
import yaml
from dagster_postgres.utils import DagsterPostgresException

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.claims.moments import claim_moments
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.errors import LedgerError, VibesError
from vibes_pipeline.files import disk_refusal
from vibes_pipeline.paths import workspace_file
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.source import Warehouse


def ephemeral_instance() -> AbstractContextManager[dg.DagsterInstance]:
    """An instance that forgets everything: replays of long spans need no event log."""
    return dg.DagsterInstance.ephemeral()


def run_slot(
    slot: Slot, period: date, instance: dg.DagsterInstance, *, at: datetime | None = None
) -> None:
    """Run a slot's job to its end; with `at`, simulated.

    Raises the `VibesError` that stopped it, or one that names the failed check.
    """
    from vibes_pipeline.definitions import definitions

    # Dagster logs every step; what a user needs is the outcome, and the UI keeps the rest.
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    run_id = str(uuid4())
    # Dagster knows the periods up to its own now, which must be the slot's.
    with warnings.catch_warnings(), dg.partition_loading_context(at):
        warnings.simplefilter("ignore")
        try:
            definitions.resolve_job_def(JOBS[slot].name).execute_in_process(
                run_config={
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    "resources": {"vibes": {"config": {"at": at.isoformat()} if at else {}}},
                },
                partition_key=None if slot is Slot.CLAIMS else period.isoformat(),
                instance=instance,
                run_id=run_id,
                tags=_location_tag(),
            )
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


@cache
def _location_tag() -> dict[str, str]:
    """By which the UI knows the runs of its jobs: those of the workspace's one code location."""
    workspace = yaml.safe_load(workspace_file().read_text(encoding="utf-8"))
    (location,) = workspace["load_from"]
    return {".dagster/repository": f"__repository__@{location['python_module']['location_name']}"}


def due_slots(policy: Policy, settings: Settings, start: datetime, end: datetime) -> list[DueSlot]:
    """Every slot due from start to end, both included, in order of time.

    A claims slot is due at each moment at which the warehouse has a claim raised or decided, or an
    account decided on, before any other slot of that moment.
    """
    moments = claim_moments(Warehouse(settings.warehouse), start, end)
    claims = [DueSlot(at, Slot.CLAIMS, policy.local_date(at)) for at in moments]
    timed = policy.slot_calendar.due_between(start, end)
    return sorted([*claims, *timed], key=lambda due: due.due_at.timestamp())


def _cause(error: BaseException, instance: dg.DagsterInstance, run_id: str) -> VibesError:
    """The error of ours that stopped the run, the check that did, or Dagster's own first line."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, VibesError):
            return inner
        if isinstance(inner, sa.exc.DBAPIError):
            return LedgerError(
                f"PostgreSQL went away: {str(inner.orig).strip().splitlines()[0]}; run the slot "
                "again, it goes on where it was"
            )
        if words := disk_refusal(inner):
            return VibesError(f"a disk took no more: {words}; make room and run the slot again")
        inner = inner.__cause__ or inner.__context__
    return VibesError(blocked_by(instance, run_id) or str(error).strip().splitlines()[0])


def blocked_by(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The words of the first check that stopped the run, if one did: one that warns stops none."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.get_dagster_event().asset_check_evaluation_data
        stops = check.blocking and check.severity is dg.AssetCheckSeverity.ERROR
        if not check.passed and stops and check.description:
            return check.description
    return None
