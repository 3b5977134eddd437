"""A run whose process was killed is noticed; without that no other would ever start (Design §3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, new_shell
from dagster._core.launcher import WorkerStatus
from dagster._daemon.monitoring.run_monitoring import monitor_started_run
from notices.mail_server import Post, serving
from patience import PATIENCE_SECONDS

from vibes_pipeline.dagster_host import home as dagster_home
from vibes_pipeline.dagster_host import run_launcher
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import only_sender
from vibes_pipeline.ledger.run_locks import is_running, running
from vibes_pipeline.settings import Settings


@dataclass
class Watched:
    """A slot's run that waits for its mail server, and the instance that knows of it."""

    shell: Shell
    post: Post
    instance: dg.DagsterInstance

    def health(self) -> WorkerStatus:
        launcher = self.instance.run_launcher
        assert launcher.supports_check_run_worker_health
        return launcher.check_run_worker_health(self.record().dagster_run).status

    def record(self) -> dg.RunRecord:
        (record,) = self.instance.get_run_records()
        return record


@pytest.fixture
def watched(
    administration: sa.Engine,
    with_dagster: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Watched]:
    for name in ("DAGSTER_HOME", dagster_home.STORAGE_VARIABLE):
        monkeypatch.setenv(name, "set anew by dagster_home")
    # As if the run had gone on for long.
    monkeypatch.setattr(run_launcher, "STARTS_WITHIN", timedelta())
    monkeypatch.setattr(run_launcher, "ENDS_WITHIN_SECONDS", 0.1)
    warehouse = troubles.market().write(tmp_path / "raw")
    with (
        serving(Post(default="block")) as post,
        new_shell(administration, with_dagster, warehouse, tmp_path) as opened,
    ):
        shell = opened.with_(VIBES_MAIL_CATCHER_URL=post.url)
        for name, value in shell.environment.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        with dagster_home.persistent_instance(Settings.from_environment()) as instance:
            yield Watched(shell, post, instance)


def test_a_run_lives_as_long_as_its_process_and_is_failed_once_that_is_killed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = watched.shell.start("run", "weekly-alert", "--at", troubles.ALERT_AT)
    assert watched.post.blocked.acquire(timeout=PATIENCE_SECONDS)
    assert watched.record().dagster_run.status is dg.DagsterRunStatus.STARTED
    assert watched.health() is WorkerStatus.RUNNING

    process.kill()
    process.communicate()
    monkeypatch.setattr(run_launcher, "STARTS_WITHIN", timedelta(hours=1))
    assert watched.health() is WorkerStatus.RUNNING, "one that just started is left alone"
    monkeypatch.setattr(run_launcher, "STARTS_WITHIN", timedelta())
    assert watched.health() is WorkerStatus.FAILED

    # What the daemon does with the answer.
    logger = logging.getLogger("monitoring")
    monitor_started_run(watched.instance, None, watched.record(), logger)  # type: ignore[arg-type]
    assert watched.record().dagster_run.status is dg.DagsterRunStatus.FAILURE
    (failure,) = watched.instance.all_logs(
        watched.record().dagster_run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE
    )
    assert "its process is gone: killed, or its machine went down" in (
        failure.get_dagster_event().message or ""
    )


def test_a_run_that_hears_no_interrupt_is_cut_off_and_its_locks_are_free(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watched.instance.run_monitoring_max_runtime_seconds == 2 * 60 * 60
    process = watched.shell.start("run", "weekly-alert", "--at", troubles.ALERT_AT)
    assert watched.post.blocked.acquire(timeout=PATIENCE_SECONDS)
    ledger = watched.shell.ledger()
    run_id = watched.record().dagster_run.run_id
    assert is_running(ledger, run_id)

    monkeypatch.setattr(run_launcher, "HEEDS_WITHIN_SECONDS", 0.1)
    watched.instance.run_launcher.terminate(run_id)
    assert not is_running(ledger, run_id)
    with only_sender(ledger):
        pass
    ledger.close()
    process.kill()
    process.communicate()


def test_only_the_run_that_holds_its_lock_is_running(ledger: Ledger) -> None:
    with running(ledger, "run-1"):
        assert is_running(ledger, "run-1")
        assert is_running(ledger, "run-1"), "asking takes nothing"
        assert not is_running(ledger, "run-2")
    assert not is_running(ledger, "run-1")
