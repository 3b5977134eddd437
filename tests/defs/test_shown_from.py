"""What our commands tell Dagster's servers by their environment."""

from __future__ import annotations

import os
from datetime import date

import pytest

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.shown_from import SHOWN_FROM_VARIABLE, shown_from, shown_since

ALERTED = {Slot.WEEKLY_ALERT: date(2026, 11, 16)}
CANCELLED = {Slot.LATE_CANCELLATION: date(2026, 11, 18)}


@pytest.mark.parametrize(
    ("opened_on", "first_periods", "shown"),
    [
        pytest.param(
            date(2026, 11, 18), {}, ("2026-11-09", "2026-11-18"), id="by an alert, a Wednesday"
        ),
        pytest.param(
            date(2026, 11, 16), {}, ("2026-11-09", "2026-11-16"), id="a Monday, its alert to come"
        ),
        pytest.param(
            date(2026, 11, 22), {}, ("2026-11-09", "2026-11-22"), id="a Sunday: may be caught up"
        ),
        pytest.param(
            date(2026, 11, 19), ALERTED, ("2026-11-16", "2026-11-19"), id="after its Wednesday"
        ),
        pytest.param(
            date(2026, 11, 18), CANCELLED, ("2026-11-09", "2026-11-18"), id="at noon, no late alert"
        ),
        pytest.param(
            date(2026, 11, 18),
            {**CANCELLED, Slot.LATE_ALERT: date(2026, 11, 19)},
            ("2026-11-09", "2026-11-19"),
            id="without the first day's late alert nothing was cancelled on it",
        ),
    ],
)
def test_the_ui_shows_no_week_and_no_day_before_the_first_that_was_to_run(
    opened_on: date,
    first_periods: dict[Slot, date],
    shown: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SHOWN_FROM_VARIABLE, "set by the servers started before")
    for name, value in shown_since(opened_on, first_periods).items():
        monkeypatch.setenv(name, value)
    assert shown_from(os.environ) == shown
