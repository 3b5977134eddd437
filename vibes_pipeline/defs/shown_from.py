"""Since when the UI shows partitions, handed on in the environment to what serves it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date

from vibes_pipeline.calendar import WEEK, Slot, monday_of

# The first week and the first day.
SHOWN_FROM_VARIABLE = "VIBES_DAGSTER_SHOWN_FROM"


def show_since(opened_on: date, first_periods: Mapping[Slot, date]) -> None:
    """Let the servers started from here on show no partition before the ledger's first.

    What was never to run looks like a failure, and squeezes the plots of the others. The first
    week is the one of the first weekly slot; until there is one, that before the day on which the
    ledger was opened, whose alert may be the first. The first day is the one of the first late
    alert, without which nothing is cancelled; until there is one, that on which it was opened.
    """
    weeks = [period for slot, period in first_periods.items() if slot.is_weekly]
    first_week = min(weeks, default=monday_of(opened_on) - WEEK)
    first_day = first_periods.get(Slot.LATE_ALERT, opened_on)
    os.environ[SHOWN_FROM_VARIABLE] = f"{first_week} {first_day}"


def shown_from() -> tuple[str, str] | None:
    """The first week and the first day to show partitions of; None for all of the calendar's."""
    given = os.environ.get(SHOWN_FROM_VARIABLE)
    if not given:
        return None
    first_week, first_day = given.split()
    return first_week, first_day
