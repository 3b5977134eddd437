"""What several commands share: settings, policy, the console, a progress bar over slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.clock import WallClock
from vibes_pipeline.settings import Settings

if TYPE_CHECKING:
    from vibes_pipeline.policy import Policy

# Lines are not broken: paths and counts are to be found in what is printed.
console = Console(highlight=False, soft_wrap=True)


def settings_and_policy() -> tuple[Settings, Policy]:
    """The environment's settings and the policy they name."""
    from vibes_pipeline.policy import load_policy

    settings = Settings.from_environment()
    return settings, load_policy(settings.country, settings.policy)


def settings_and_policy_for_slots() -> tuple[Settings, Policy]:
    """Those of a command that begins slots: the engines must agree on the policy's time zone."""
    from vibes_pipeline.zones import require_agreement

    settings, policy = settings_and_policy()
    require_agreement(policy.calendar)
    return settings, policy


def print_rows(tables: Mapping[str, int]) -> None:
    """How many rows each table of a new warehouse has, below each other."""
    for table, rows in tables.items():
        console.print(f"  {table:<18} {rows:>12,} {'row' if rows == 1 else 'rows'}")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error, so that what is printed can be piped."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        yield progress


def latest_first_week(policy: Policy, weeks: int) -> date:
    """The Monday from which so many weeks end with the last cycle that is implemented by now."""
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
