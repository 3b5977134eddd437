"""What several commands share: settings, policy, how an answer is printed, progress over slots."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

import click
from rich.console import Console

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.clock import WallClock
from vibes_pipeline.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress

    from vibes_pipeline.policy import Policy

# Printed lines are not wrapped, so that a search finds a path or a count in them.
console = Console(highlight=False, soft_wrap=True)

JSON = "json"
style_option = click.option(
    "--format",
    "style",
    type=click.Choice(["text", JSON]),
    default="text",
    show_default=True,
    help="For people, or one JSON document.",
)


def settings_and_policy() -> tuple[Settings, Policy]:
    """The environment's settings and the policy they name."""
    from vibes_pipeline.policy import load_policy

    settings = Settings.from_environment()
    return settings, load_policy(settings.country, settings.policy)


def settings_and_policy_for_slots() -> tuple[Settings, Policy]:
    """Settings and policy for a command that begins slots.

    Raises `TimeZoneError` unless the engines agree on the policy's time zone.
    """
    from vibes_pipeline.zones import require_agreement

    settings, policy = settings_and_policy()
    require_agreement(policy.calendar)
    return settings, policy


def printable(value: object) -> str:
    """A value as text without characters that control the terminal."""
    text = "" if value is None else str(value)
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def say(line: str) -> None:
    """Print a line; nothing in it moves the terminal's cursor."""
    click.echo(printable(line))


def say_all(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        say(line)


def say_json(answer: object) -> None:
    """Print one JSON document; in ASCII no character of a text can move a terminal's cursor."""
    click.echo(json.dumps(answer, indent=1))


def print_rows(tables: Mapping[str, int]) -> None:
    """Print how many rows each table of a new warehouse has, one table per line."""
    for table, rows in tables.items():
        console.print(f"  {table:<18} {rows:>12,} {'row' if rows == 1 else 'rows'}")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error, so that standard output can be piped."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        yield progress


def latest_first_week(policy: Policy, weeks: int) -> date:
    """The first of `weeks` Mondays, up to the newest cycle whose implementation is due by now."""
    last = policy.slot_calendar.period_of(Slot.WEEKLY_IMPLEMENTATION, WallClock().now())
    return last - timedelta(weeks=weeks - 1)


def replay_shown(due: Sequence[DueSlot], run: Callable[[DueSlot], object]) -> None:
    """Replay the slots behind a progress bar."""

    with progress_bar() as progress:
        task = progress.add_task("replaying", total=len(due))
        for slot in due:
            progress.update(task, description=f"{slot.slot} {slot.period}")
            run(slot)
            progress.advance(task)


def replay_into_ui(due: Sequence[DueSlot], settings: Settings) -> None:
    """Replay the slots as Dagster jobs whose runs the UI shows."""
    from vibes_pipeline.dagster_host import in_process
    from vibes_pipeline.dagster_host.home import persistent_instance

    with persistent_instance(settings) as instance:
        replay_shown(due, lambda d: in_process.run_slot(d.slot, d.period, instance, at=d.due_at))
