"""Days of one's own for each test: an empty ledger and an empty marketplace."""

from __future__ import annotations

from pathlib import Path

import pytest
from slots.late_orders.days import Days

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def days(ledger: Ledger, tmp_path: Path) -> Days:
    """One seller, S-1, with an address."""
    made = Days(ledger, tmp_path)
    made.seller("S-1")
    return made
