"""A factory, or a daemon, of one's own for each test, found by the environment as both find it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from defs.factory import Factory
from defs.sensed import OPERATORS, Daemon
from notices.mail_server import Post, serving

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def instance(
    ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance, in an environment that names the test's home, warehouse and ledger."""
    monkeypatch.setenv("VIBES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIBES_WAREHOUSE", str(tmp_path / "raw"))
    monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def factory(ledger: Ledger, tmp_path: Path, instance: dg.DagsterInstance) -> Factory:
    return Factory(ledger, tmp_path, instance)


@pytest.fixture
def daemon(ledger: Ledger, tmp_path: Path, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(ledger, tmp_path, instance)


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    """A mail server that sellers and operators are written to over."""
    with serving() as server:
        monkeypatch.setenv("VIBES_SMTP_URL", server.url)
        monkeypatch.setenv("VIBES_MAIL_FROM", "vibes@mail.example")
        monkeypatch.setenv("VIBES_OPERATORS", ", ".join(OPERATORS))
        yield server
