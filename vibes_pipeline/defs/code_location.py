"""What Dagster's code location is built of: the day at hand, its policy, the partitions shown.

`definitions` makes one when Dagster loads it, and hands it on to what builds assets and schedules.
So the environment is read in one place; no module here reads it when it is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from vibes_pipeline.defs.day_at_hand import DayAtHand
from vibes_pipeline.policy import Policy


@dataclass(frozen=True)
class CodeLocation:
    """The day on which it is loaded, and the first week and the first day that the UI shows.

    Schedules, freshness and texts are of that day; the servers load the location anew once they
    are no longer those of the day at hand. Without `shown_from` all partitions of the policy's
    calendar are shown.
    """

    today: DayAtHand
    shown_from: tuple[str, str] | None = None
    # What Dagster calls the engine that runs the weekly models.
    weekly_kind: str = "duckdb"

    @property
    def policy(self) -> Policy:
        """The policy that texts, times and partitions are taken from."""
        return self.today.policy

    @cached_property
    def weekly(self) -> dg.WeeklyPartitionsDefinition:
        """Observed weeks, each named by its Monday; never one partition per seller."""
        return dg.WeeklyPartitionsDefinition(
            start_date=self._first_shown[0],
            day_offset=1,
            timezone=self.policy.time_zone.key,
        )

    @cached_property
    def daily(self) -> dg.DailyPartitionsDefinition:
        """The days of the late slots."""
        return dg.DailyPartitionsDefinition(
            start_date=self._first_shown[1],
            timezone=self.policy.time_zone.key,
            # The late slots look at the day that is not over yet.
            end_offset=1,
        )

    def quoted(self, *words: str) -> str:
        """The programme's own words, as a description quotes them, and the policy's version."""
        quotes = "\n\n".join(f"> {sentence}" for sentence in words)
        return f"{quotes}\n\n(policy {self.policy.short_version})"

    @property
    def _first_shown(self) -> tuple[str, str]:
        first_day = self.policy.calendar.first_day.isoformat()
        return self.shown_from or (first_day, first_day)
