"""What Dagster's record says of a slot: its last run, and when the daemon was last heard of.

The record is in the ledger's database. It is asked in SQL, because importing Dagster takes seconds;
so a test reads here what Dagster itself has written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import takewhile

import sqlalchemy as sa

from vibes_pipeline.calendar import Slot
from vibes_pipeline.notices.replies import without_addresses

FAILED = ("FAILURE", "CANCELED")
SUCCEEDED = "SUCCESS"
# More attempts than these need not be told apart.
RUNS_LOOKED_AT = 100
# Without them no slot starts by itself.
DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR")

IS_RECORDED = sa.text(
    "SELECT coalesce(has_table_privilege(to_regclass('public.runs'), 'SELECT'), FALSE)"
)
NEWEST_RUNS = sa.text("""
    SELECT r.run_id, r.status, r.end_time
    FROM public.runs AS r
    WHERE r.pipeline_name = :job AND (r.partition = :period OR CAST(:period AS TEXT) IS NULL)
    ORDER BY r.id DESC
    LIMIT :limit
""")
# An error that stopped a step, or one that caused it, if it is one of ours: `module.Class: words`.
CAUSE = sa.text("""
    SELECT jsonb_path_query_first(
        CAST(e.event AS JSONB),
        '$.dagster_event.event_specific_data.error.**.message ? (@ starts with "vibes_pipeline.")'
    ) #>> '{}'
    FROM public.event_logs AS e
    WHERE e.run_id = :run_id AND e.dagster_event_type = 'STEP_FAILURE'
    ORDER BY e.id
    LIMIT 1
""")
# All of them have been heard of since.
HEARD_AT = sa.text("""
    SELECT min(CAST(CAST(h.body AS JSONB) ->> 'timestamp' AS DOUBLE PRECISION))
    FROM public.daemon_heartbeats AS h
    WHERE h.daemon_type IN :daemons
""").bindparams(sa.bindparam("daemons", DAEMONS, expanding=True))


@dataclass(frozen=True)
class LastRun:
    """The last run of a slot that is not done.

    `ended_at` is None while it runs or waits for its turn. `failures` counts the runs in a row that
    failed. `why` is our own error that stopped the last one, None where something else did.
    """

    run_id: str
    ended_at: datetime | None
    failures: int
    why: str | None

    @property
    def has_failed(self) -> bool:
        return self.ended_at is not None


def is_recorded(connection: sa.Connection) -> bool:
    """Whether Dagster keeps its record in this database, and we may read it."""
    return bool(connection.execute(IS_RECORDED).scalar())


def last_run(connection: sa.Connection, slot: Slot, period: date | None) -> LastRun | None:
    """Of a slot's job and period, the newest run unless it succeeded; None without a run."""
    named = {"job": slot.replace("-", "_"), "period": period and period.isoformat()}
    runs = connection.execute(NEWEST_RUNS, {**named, "limit": RUNS_LOOKED_AT}).all()
    since = list(takewhile(lambda run: run.status != SUCCEEDED, runs))
    if not since:
        return None
    newest = since[0]
    if newest.status not in FAILED:
        return LastRun(newest.run_id, None, len(since) - 1, None)
    said = connection.execute(CAUSE, {"run_id": newest.run_id}).scalar()
    return LastRun(
        newest.run_id,
        datetime.fromtimestamp(newest.end_time or 0.0, UTC),
        len(since),
        without_addresses(said.partition(": ")[2]) if said else None,
    )


def daemon_heard_at(connection: sa.Connection) -> datetime | None:
    """Since when none of the daemons that start slots has been heard of; None if never."""
    at = connection.execute(HEARD_AT).scalar()
    return None if at is None else datetime.fromtimestamp(at, UTC)
