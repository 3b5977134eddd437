"""Dagster's own state: its home under `VIBES_HOME`, its storage in the ledger's PostgreSQL.

Here belongs what makes the UI, the daemon and our commands see the same instance.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from vibes_pipeline.calendar import monday_of
from vibes_pipeline.ledger.database import database_url
from vibes_pipeline.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

# Read by dagster.yaml; holds a password, so it is handed on in the environment only.
STORAGE_VARIABLE = "VIBES_DAGSTER_STORAGE_URL"
# Read by `defs.partitions`: the first day that the UI shows partitions of.
SHOWN_FROM_VARIABLE = "VIBES_DAGSTER_SHOWN_FROM"

STATEMENT_TIMEOUT_MS = 60_000
POOL_RECYCLE_SECONDS = 3600

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
    "run_monitoring": {"enabled": True},
    "run_launcher": {
        "module": "vibes_pipeline.defs.run_launcher",
        "class": "WatchfulRunLauncher",
    },
    "freshness": {"enabled": True},
    "run_coordinator": {
        "module": "dagster.core.run_coordinator",
        "class": "QueuedRunCoordinator",
        # One slot at a time: the ledger's lock would make a second one wait anyway.
        "config": {"max_concurrent_runs": 1},
    },
}


def prepare(settings: Settings) -> Path:
    """Write `dagster.yaml`, start the embedded PostgreSQL if needed, set Dagster's environment."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    text = "# Written anew by vibes at each start.\n" + yaml.safe_dump(
        CONFIGURATION, sort_keys=False
    )
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    # Dagster's record is no promise to anybody: its many small commits need not wait for the disk.
    url = database_url(settings).update_query_dict({"options": "-c synchronous_commit=off"})
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[STORAGE_VARIABLE] = url.render_as_string(hide_password=False)
    return home


def show_since(opened_on: date) -> None:
    """Let the servers started from here on show no week before the ledger's first.

    That is the one before the day on which it was opened, whose alert may have been its first slot.
    Weeks of which nothing was decided look like failures, and squeeze the plots of the others.
    """
    first_week = monday_of(opened_on) - timedelta(weeks=1)
    os.environ[SHOWN_FROM_VARIABLE] = first_week.isoformat()


def persistent_instance(settings: Settings) -> AbstractContextManager[dg.DagsterInstance]:
    """The instance that the UI shows, in the ledger's PostgreSQL."""
    # A second to import, which what only prepares an instance for others does not need.
    import dagster as dg

    prepare(settings)
    instance = dg.DagsterInstance.get()
    # Its storage opens a connection for every event unless it is told to keep one, as a webserver
    # tells it; a slot records hundreds.
    instance.optimize_for_webserver(
        statement_timeout=STATEMENT_TIMEOUT_MS, pool_recycle=POOL_RECYCLE_SECONDS, max_overflow=20
    )
    return instance
