"""The partitions: a week, named by its Monday, or a day; never one per seller."""

import dagster as dg

from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings


def _policy_of_location() -> Policy:
    settings = Settings.from_environment()
    return load_policy(settings.country, settings.policy)


# The code location's policy: schedules, time zone and texts are of the moment it was loaded.
POLICY = _policy_of_location()

WEEKLY = dg.WeeklyPartitionsDefinition(
    start_date=POLICY.calendar.first_day.isoformat(),
    day_offset=1,
    timezone=POLICY.time_zone.key,
)

DAILY = dg.DailyPartitionsDefinition(
    start_date=POLICY.calendar.first_day.isoformat(),
    timezone=POLICY.time_zone.key,
    # The late slots look at the day that is not over yet.
    end_offset=1,
)
