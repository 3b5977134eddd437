"""What our commands tell Dagster's servers by their environment."""

from __future__ import annotations

import os
from datetime import date

import pytest

from vibes_pipeline.dagster_home import SHOWN_FROM_VARIABLE, show_from


@pytest.mark.parametrize(
    ("first", "shown_from"),
    [
        pytest.param(date(2026, 11, 9), "2026-11-09", id="a cycle"),
        pytest.param(date(2026, 11, 15), "2026-11-09", id="a day of late orders, a Sunday"),
        pytest.param(None, None, id="a ledger not used yet"),
    ],
)
def test_the_ui_shows_whole_weeks_from_the_ledger_s_first_period_on(
    first: date | None, shown_from: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWN_FROM_VARIABLE, "before")
    monkeypatch.delenv(SHOWN_FROM_VARIABLE)
    show_from(first)
    assert os.environ.get(SHOWN_FROM_VARIABLE) == shown_from
