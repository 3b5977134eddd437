"""The options that name a span of local days, and what they mean together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from vibes_pipeline.calendar import Days, parse_day, parse_month
from vibes_pipeline.errors import UsageError


def days_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--from`, `--until` and `--month`, as `from_`, `until` and `month`."""
    for option in (
        click.option("--month", metavar="MONTH", help="Only this month's, such as 2026-11."),
        click.option("--until", metavar="DATE", help="Nothing after this local date."),
        click.option("--from", "from_", metavar="DATE", help="Nothing before this local date."),
    ):
        command = option(command)
    return command


def asked_days(from_: str | None, until: str | None, month: str | None) -> Days:
    """The days that the options name, both ends included; `UsageError` where they make no span."""
    if month is not None:
        if from_ is not None or until is not None:
            raise UsageError("--month names its first and last day: leave out --from and --until")
        return Days(*parse_month(month))
    days = Days(
        parse_day(from_) if from_ is not None else None,
        parse_day(until) if until is not None else None,
    )
    if days.first and days.last and days.last < days.first:
        raise UsageError(f"--until {days.last} lies before --from {days.first}; name a later date")
    return days
