"""The partitions: a week, named by its Monday, or a day; never one per seller."""

import os

import dagster as dg

from vibes_pipeline.dagster_home import SHOWN_FROM_VARIABLE
from vibes_pipeline.day_at_hand import DayAtHand

# Schedules, freshness and texts are of the day on which the code location is loaded; the servers
# load it anew once they are no longer those of the day at hand.
TODAY = DayAtHand.today()
POLICY = TODAY.policy

# Commands run slots of any week that the calendar knows; the UI shows those since the first.
_FIRST_DAY = os.environ.get(SHOWN_FROM_VARIABLE) or POLICY.calendar.first_day.isoformat()

WEEKLY = dg.WeeklyPartitionsDefinition(
    start_date=_FIRST_DAY,
    day_offset=1,
    timezone=POLICY.time_zone.key,
)

DAILY = dg.DailyPartitionsDefinition(
    start_date=_FIRST_DAY,
    timezone=POLICY.time_zone.key,
    # The late slots look at the day that is not over yet.
    end_offset=1,
)
