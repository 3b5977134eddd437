"""A programme of one's own for each test: an empty ledger and an empty marketplace."""

from __future__ import annotations

from pathlib import Path

import pytest
from slots.weekly.programme import Programme

from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def programme(ledger: Ledger, tmp_path: Path) -> Programme:
    return Programme(ledger, tmp_path)
