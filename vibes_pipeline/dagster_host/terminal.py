"""What `vibes up` says on its terminal: where it is once it is ready, and each run's start and end.

It asks Dagster's storage, so it knows of every run, whoever started it, even if its process died.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from threading import Event

import click
import dagster as dg
import sqlalchemy as sa
from dagster._daemon.controller import get_daemon_statuses
from dagster_postgres.utils import DagsterPostgresException

from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.run_outcome import ENDED, how_it_ended
from vibes_pipeline.defs.slot_assets import PARTITION_TAG

LOOKED_AT_SECONDS = 1.0
ANSWERS_WITHIN_SECONDS = 10.0
# Changes may be stored in another order than that of their times.
OVERLAP = timedelta(seconds=10)


@dataclass
class Terminal:
    """`addresses` are those of the web server, by name; the first is asked whether it is up.

    They are empty when no web server is started.
    """

    instance: dg.DagsterInstance
    zone: tzinfo
    addresses: Mapping[str, str]
    has_daemon: bool
    started_at: datetime = field(default_factory=lambda: WallClock().now())
    _told: set[tuple[str, bool]] = field(default_factory=set)

    def tell(self, ending: Event) -> None:
        """Say what there is to say until the servers end."""
        is_ready, since = False, self.started_at
        while not ending.wait(LOOKED_AT_SECONDS):
            try:
                if not is_ready and self._is_ready():
                    is_ready = True
                    click.echo(self._ready(WallClock().now() - self.started_at))
                if self.has_daemon:
                    since = self._tell_runs(since)
            except (dg.DagsterError, sa.exc.SQLAlchemyError, DagsterPostgresException):
                # Dagster's storage does not answer: the next look tells what happened meanwhile.
                continue

    def _is_ready(self) -> bool:
        """Whether the web server answers and each of Dagster's daemons has been heard of."""
        for address in list(self.addresses.values())[:1]:
            try:
                with urllib.request.urlopen(address, timeout=ANSWERS_WITHIN_SECONDS):
                    pass
            except OSError:
                return False
        return not self.has_daemon or self._daemon_beats()

    def _daemon_beats(self) -> bool:
        kinds = self.instance.get_required_daemon_types()
        beats = [s.last_heartbeat for s in get_daemon_statuses(self.instance, kinds).values()]
        start = self.started_at.timestamp()
        return all(beat is not None and beat.timestamp >= start for beat in beats)

    def _ready(self, after: timedelta) -> str:
        parts = "the daemon ticks" if self.has_daemon else "nothing is started by itself"
        width = max(map(len, self.addresses), default=0)
        places = [f"  {name:<{width}}  {place}" for name, place in self.addresses.items()]
        return "\n".join(
            [f"ready after {after.total_seconds():.0f} s, {parts} (Ctrl-C stops it)", *places]
        )

    def _tell_runs(self, since: datetime) -> datetime:
        """Tell what changed since; from when on to look the next time."""
        changed = self.instance.get_run_records(
            dg.RunsFilter(updated_after=since - OVERLAP),
            order_by="update_timestamp",
            ascending=True,
        )
        for record in changed:
            run = record.dagster_run
            is_over = run.status in ENDED
            if record.start_time and self._is_news(run.run_id, is_over=False):
                self._say(record.start_time, run, "started")
            if is_over and self._is_news(run.run_id, is_over=True):
                ended_at = record.end_time or record.update_timestamp.timestamp()
                self._say(ended_at, run, how_it_ended(self.instance, record))
        return max([since, *(record.update_timestamp for record in changed)])

    def _say(self, at: float, run: dg.DagsterRun, words: str) -> None:
        """`07:00:04 weekly-alert 2026-11-09 started`, by job and partition."""
        clock = f"{datetime.fromtimestamp(at, self.zone):%H:%M:%S}"
        job = run.job_name.strip("_").lower().replace("_", "-")
        click.echo(" ".join(filter(None, (clock, job, run.tags.get(PARTITION_TAG), words))))

    def _is_news(self, run_id: str, *, is_over: bool) -> bool:
        if (run_id, is_over) in self._told:
            return False
        self._told.add((run_id, is_over))
        return True
