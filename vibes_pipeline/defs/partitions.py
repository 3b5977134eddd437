"""The partitions: a week, named by its Monday, or a day; never one per seller."""

import dagster as dg

from vibes_pipeline.defs.day_at_hand import DayAtHand
from vibes_pipeline.defs.shown_from import shown_from

# Schedules, freshness and texts are of the day on which the code location is loaded; the servers
# load it anew once they are no longer those of the day at hand.
TODAY = DayAtHand.today()
POLICY = TODAY.policy

# Commands run slots of any period that the calendar knows; the UI shows those since the first.
_FIRST_WEEK, _FIRST_DAY = shown_from() or [POLICY.calendar.first_day.isoformat()] * 2

WEEKLY = dg.WeeklyPartitionsDefinition(
    start_date=_FIRST_WEEK,
    day_offset=1,
    timezone=POLICY.time_zone.key,
)

DAILY = dg.DailyPartitionsDefinition(
    start_date=_FIRST_DAY,
    timezone=POLICY.time_zone.key,
    # The late slots look at the day that is not over yet.
    end_offset=1,
)
