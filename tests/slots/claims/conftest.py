"""A desk of one's own for each test: an empty ledger and an empty marketplace."""

from __future__ import annotations

from pathlib import Path

import pytest
from slots.claims.cases import Desk

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path) -> Desk:
    """One seller, S-1, with an address."""
    made = Desk(ledger, tmp_path)
    made.seller("S-1")
    return made
