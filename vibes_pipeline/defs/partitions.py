"""The partitions: a week, named by its Monday, or a day; never one per seller."""

import os

import dagster as dg

from vibes_pipeline.dagster_home import SHOWN_FROM_VARIABLE
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings


def _policy_of_location() -> Policy:
    settings = Settings.from_environment()
    return load_policy(settings.country, settings.policy)


# The code location's policy: schedules, time zone and texts are of the moment it was loaded.
POLICY = _policy_of_location()

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
