"""What the tests of answers share: a ledger and marketplace with claims on it, and a past one."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import troubles
from slots.claims.cases import Desk

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path) -> Desk:
    return Desk(ledger, tmp_path)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marketplace of troubles, in a week that is past whenever this is run."""
    return troubles.market("2023-11-13").write(tmp_path_factory.mktemp("past"))
