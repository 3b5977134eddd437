"""Since when the UI shows partitions: `vibes up` tells the servers it starts, by a variable.

The code location cannot ask the ledger: it is also loaded where there is none, and the commands
that load it run slots of any period.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from vibes_pipeline.calendar import WEEK, Slot, monday_of

# The first week and the first day.
SHOWN_FROM_VARIABLE = "VIBES_DAGSTER_SHOWN_FROM"


def shown_since(opened_on: date, first_periods: Mapping[Slot, date]) -> dict[str, str]:
    """The variable by which servers show no partition before the ledger's first.

    A partition that was never to run would look like a failure, and would squeeze the plots of the
    others. The first week is the one of the first weekly slot; until there is one, that before the
    day on which the ledger was opened, whose alert may be the first. The first day is the one of
    the first late alert, without which nothing is cancelled; until there is one, that on which the
    ledger was opened.
    """
    weeks = [period for slot, period in first_periods.items() if slot.is_weekly]
    first_week = min(weeks, default=monday_of(opened_on) - WEEK)
    first_day = first_periods.get(Slot.LATE_ALERT, opened_on)
    return {SHOWN_FROM_VARIABLE: f"{first_week} {first_day}"}


def shown_from(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The first week and the first day to show partitions of; None for all of the calendar's."""
    given = environment.get(SHOWN_FROM_VARIABLE)
    if not given:
        return None
    first_week, first_day = given.split()
    return first_week, first_day
