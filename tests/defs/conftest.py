"""A factory of one's own for each test, found by the environment as the daemon finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from defs.factory import Factory

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def factory(
    ledger: Ledger, ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Factory]:
    monkeypatch.setenv("VIBES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIBES_WAREHOUSE", str(tmp_path / "raw"))
    monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Factory(ledger, tmp_path, instance)
