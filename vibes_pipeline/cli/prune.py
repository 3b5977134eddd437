"""`vibes prune`: delete old runs of Dagster's record and old partitions of the lake.

It deletes nothing of the ledger.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING

import click
from rich.filesize import decimal

from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import UsageError

if TYPE_CHECKING:
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.settings import Settings
    from vibes_pipeline.slots.old_partitions import OldPartitions

# The UI's view of a week and the sensors' search for failed runs need only newer runs.
LEAST_DAYS = 31


@click.command(name="prune")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=LEAST_DAYS),
    metavar="DAYS",
    help=f"Delete Dagster's record of runs made more than so many days ago, at least {LEAST_DAYS}.",
)
@click.option(
    "--lake",
    is_flag=True,
    help="Delete partitions of the lake that are older than the policy keeps them.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(days: int | None, lake: bool, yes: bool) -> None:
    """Delete what is old: finished runs and their events, or partitions, or both.

    What was decided, posted and sent is in the ledger and stays; rows of ended runs are all that
    goes of Dagster's. How long partitions are kept is the policy's lake_retention_weeks; those of a
    cycle stay for as long as a sales regulation of it stands, for a claim may be settled from them.
    """
    if days is None and not lake:
        raise UsageError("say what is to be deleted: --older-than DAYS, or --lake")
    settings, policy = settings_and_policy()
    if days is not None:
        _delete_runs(settings, policy, days)
    if lake:
        _delete_partitions(settings, policy, yes)


def _delete_partitions(settings: Settings, policy: Policy, yes: bool) -> None:
    from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
    from vibes_pipeline.slots.old_partitions import old_partitions, remove

    ledger = Ledger.open_existing(settings, policy.country)
    # On a simulated ledger the present is its newest event.
    simulated = ledger.newest_event_at() if ledger.mode() is LedgerMode.SIMULATED else None
    now = simulated or WallClock().now()
    old = old_partitions(settings.lake, ledger, policy, now)
    _show(old)
    if not old.folders:
        return
    if not yes:
        click.confirm("Delete them?", abort=True)
    remove(old, policy.local_date(now))
    console.print("they are deleted")


def _show(old: OldPartitions) -> None:
    """Print which partitions are to be deleted, by slot; their size; which old ones stay."""
    console.print(
        f"older than the {old.weeks} weeks that partitions are kept, before {old.kept_since}:"
    )
    by_slot: defaultdict[str, list[date]] = defaultdict(list)
    for slot, period, _ in old.folders:
        by_slot[slot].append(period)
    for name, periods in by_slot.items():
        console.print(f"{len(periods):>8,}  {name}, {min(periods)} to {max(periods)}")
    size = decimal(sum(file.stat().st_size for file in old.files))
    console.print(f"{len(old.files):>8,}  files, {size}")
    if old.needed:
        console.print(
            f"{len(old.needed):>8,}  weekly-alert, {min(old.needed)} to {max(old.needed)}, stay: "
            "claims may need them"
        )


def _delete_runs(settings: Settings, policy: Policy, days: int) -> None:
    from vibes_pipeline.dagster_host.home import delete_runs
    from vibes_pipeline.ledger.ledger import Ledger

    # If PostgreSQL is down, the ledger fails at once with one line; Dagster would retry and log
    # each failure.
    Ledger.open_existing(settings, policy.country).close()
    deleted = delete_runs(settings, created_before=WallClock().now() - timedelta(days=days))
    console.print(f"{deleted:,} runs of more than {days} days ago are deleted")
