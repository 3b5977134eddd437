"""The days on which the fulfilment clock runs, and the working days (Rulebook §3).

Here belong what the policy says of days. The clock itself is `calendar`'s.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from vibes_pipeline.policy.parameter import Group, Parameter, References, Strict, problem
from vibes_pipeline.policy.scalars import Count, Day, NamedWeekday, NotEmpty, Text, Year


class PublicHolidays(Strict):
    """The public holidays of every listed year: `years[2016][date(2016, 1, 1)]` is a name."""

    description: Text
    unit: Text
    references: References = Field(alias="reference")
    years: Annotated[dict[Year, Annotated[dict[Day, Text], NotEmpty]], NotEmpty]

    @model_validator(mode="after")
    def _years_are_whole(self) -> Self:
        for year, days in self.years.items():
            for day in days:
                if day.year != year:
                    raise problem(f"{day} is not in {year}", "years", str(year), str(day))
        for before, after in pairwise(self.years):
            if after != before + 1:
                raise problem(
                    f"{after} follows {before}; list every year once, in order",
                    *("years", str(after)),
                )
        return self

    @property
    def names(self) -> dict[date, str]:
        return {day: name for days in self.years.values() for day, name in days.items()}


Weekdays = Annotated[tuple[NamedWeekday, ...], NotEmpty]


class Fulfilment(Group):
    """The fulfilment clock and the working days (Rulebook §3)."""

    hours: Parameter[Count]
    weekdays: Parameter[Weekdays]
    working_weekdays: Parameter[Weekdays]
    public_holidays: PublicHolidays

    @model_validator(mode="after")
    def _weekdays_hold_in_every_listed_year(self) -> Self:
        days = self.public_holidays.names
        first, last = date(min(days).year, 1, 1), date(max(days).year, 12, 31)
        if not self.weekdays.covers(first, last):
            raise problem(
                f"has no value for some day of the listed years {first.year} to {last.year}",
                "weekdays",
            )
        return self
