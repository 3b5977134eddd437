"""Dagster's own state: its home under `VIBES_HOME`, its storage in the ledger's PostgreSQL.

Here belongs what makes the UI, the daemon and our commands see the same instance.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import psycopg2
import sqlalchemy as sa
import yaml
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from vibes_pipeline.files import put_into_place
from vibes_pipeline.ledger.database import PATIENCE, database_url
from vibes_pipeline.plain_paths import without_wildcards
from vibes_pipeline.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

# Read by dagster.yaml; holds a password, so it is handed on in the environment only.
STORAGE_VARIABLE = "VIBES_DAGSTER_STORAGE_URL"

# What Dagster's sessions need of the server, whatever the database or the role have as defaults.
SESSION = {
    # A crash may cost the last moments of Dagster's record, which binds nobody; it commits often.
    "synchronous_commit": "off",
    "search_path": "public",
    "default_transaction_isolation": r"read\ committed",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
# What PgBouncer answers to options that it does not take.
REFUSED_OPTIONS = "unsupported startup parameter"
STATEMENT_TIMEOUT_MS = 60_000
POOL_RECYCLE_SECONDS = 3600
# A connection is not asked again so soon whether it is alive: a slot takes it 1,500 times.
ALIVE_FOR_SECONDS = 1.0
RUNS_AT_A_TIME = 100
# A run that hangs holds up the others for this long at most. An alert of 06:00 has its notice until
# 11:00; a slot cut off in the middle goes on where it was when it is tried again.
LONGEST_RUN = timedelta(hours=2)

CONFIGURATION = {
    "storage": {"postgres": {"postgres_url": {"env": STORAGE_VARIABLE}}},
    # Capturing each step's output starts processes of its own; what we log goes to the event log.
    "compute_logs": {
        "module": "dagster.core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    },
    "python_logs": {"managed_python_loggers": ["vibes_pipeline"]},
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "run_monitoring": {
        "enabled": True,
        "max_runtime_seconds": int(LONGEST_RUN.total_seconds()),
    },
    "run_launcher": {
        "module": "vibes_pipeline.dagster_host.run_launcher",
        "class": "WatchfulRunLauncher",
    },
    "freshness": {"enabled": True},
    "run_coordinator": {
        "module": "dagster.core.run_coordinator",
        "class": "QueuedRunCoordinator",
        # One slot at a time: time goes forward in a ledger (Rulebook §2). One country has an
        # installation of its own, and so a queue of its own.
        "config": {"max_concurrent_runs": 1},
    },
}


def prepare(settings: Settings) -> Path:
    """Write `dagster.yaml`, start the embedded PostgreSQL if needed, set Dagster's environment."""
    home = settings.dagster_home
    file = home / "dagster.yaml"
    text = "# Written anew by vibes at each start.\n" + yaml.safe_dump(
        CONFIGURATION, sort_keys=False
    )
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        with put_into_place(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    url = _storage_url(database_url(settings))
    # Dagster finds its settings by a pattern; without any it would keep its record elsewhere.
    os.environ["DAGSTER_HOME"] = str(without_wildcards(home))
    os.environ[STORAGE_VARIABLE] = url.render_as_string(hide_password=False)
    return home


def _storage_url(url: sa.URL) -> sa.URL:
    """The address of the ledger's database, with the settings of Dagster's sessions.

    A pooler that refuses options gets none: there the role must have them (deploy/roles.sql).
    """
    given = {name: str(value) for name, value in PATIENCE.items() if name not in url.query}
    url = url.update_query_dict(given)
    own = url.query.get("options", "")
    set_up = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    with_options = url.update_query_dict({"options": f"{set_up} {own}".strip()})
    if own or _is_let_in(with_options):
        return with_options
    return url


def _is_let_in(url: sa.URL) -> bool:
    """False when the server refuses the options; other faults are told by who connects later."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect():
            return True
    except sa.exc.OperationalError as error:
        return REFUSED_OPTIONS not in str(error.orig)


def persistent_instance(settings: Settings) -> AbstractContextManager[dg.DagsterInstance]:
    """The instance that the UI shows, in the ledger's PostgreSQL."""
    # Its import takes a second; who only prepares an instance for others does without it.
    import dagster as dg

    prepare(settings)
    instance = dg.DagsterInstance.get()
    # Its storage opens a connection for every event unless it is told to keep one, as a webserver
    # tells it; a slot records hundreds.
    instance.optimize_for_webserver(
        statement_timeout=STATEMENT_TIMEOUT_MS, pool_recycle=POOL_RECYCLE_SECONDS, max_overflow=20
    )
    # A kept connection may have ended meanwhile: the server was started again, say.
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        engine: sa.Engine = storage._engine  # type: ignore[union-attr]
        sa.event.listen(engine.pool, "checkout", partial(_require_alive, engine.dialect))
    events = instance.event_log_storage
    # Its tables stay as they are; at each event of an asset it would look at them again.
    for looks in ("has_table", "has_asset_key_col"):
        setattr(events, looks, cache(getattr(events, looks)))
    return instance


def _require_alive(
    dialect: sa.Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, _: object
) -> None:
    """Let the pool open another connection in the place of a dead one."""
    asked_at = record.info.get(_require_alive)
    if asked_at is not None and monotonic() - asked_at < ALIVE_FOR_SECONDS:
        return
    record.info[_require_alive] = monotonic()
    try:
        dialect.do_ping(connection)
    except psycopg2.Error:
        raise sa.exc.DisconnectionError from None


def delete_runs(settings: Settings, *, created_before: datetime) -> int:
    """Delete the record of runs that have ended; give how many."""
    import dagster as dg

    old = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.CANCELED,
        ],
        created_before=created_before,
    )
    deleted = 0
    with persistent_instance(settings) as instance:
        while run_ids := instance.get_run_ids(old, limit=RUNS_AT_A_TIME):
            for run_id in run_ids:
                instance.delete_run(run_id)
            deleted += len(run_ids)
    return deleted
