"""What the tests of answers share: an empty ledger and marketplace, with claims on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from slots.claims.cases import Desk

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path) -> Desk:
    return Desk(ledger, tmp_path)
