"""What our commands tell Dagster's servers by their environment."""

from __future__ import annotations

import os
from datetime import date

import pytest

from vibes_pipeline.dagster_home import SHOWN_FROM_VARIABLE, show_since


@pytest.mark.parametrize(
    ("opened_on", "first_week"),
    [
        pytest.param(date(2026, 11, 18), "2026-11-09", id="by a weekly alert, a Wednesday"),
        pytest.param(date(2026, 11, 16), "2026-11-09", id="a Monday: that alert is yet to come"),
        pytest.param(date(2026, 11, 22), "2026-11-09", id="a Sunday: it may be caught up with"),
    ],
)
def test_the_ui_shows_the_weeks_since_that_before_the_ledger_was_opened(
    opened_on: date, first_week: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWN_FROM_VARIABLE, "set by the servers started before")
    show_since(opened_on)
    assert os.environ[SHOWN_FROM_VARIABLE] == first_week
