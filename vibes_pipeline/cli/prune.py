"""`vibes prune`: Dagster's record of old runs deleted; the ledger forgets nothing."""

from __future__ import annotations

from datetime import timedelta

import click

from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock

# What the UI shows of a week, and the sensors ask of failed runs, lies well within.
LEAST_DAYS = 31
BATCH = 100


@click.command(name="prune")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(min=LEAST_DAYS),
    required=True,
    metavar="DAYS",
    help=f"Days since the run was made, at least {LEAST_DAYS}.",
)
def command(days: int) -> None:
    """Delete finished runs and their events from Dagster's storage, which keeps them for good.

    What was decided, posted and sent is in the ledger and stays; rows of ended runs are all that
    goes.
    """
    settings, policy = settings_and_policy()

    import dagster as dg

    from vibes_pipeline.dagster_home import persistent_instance
    from vibes_pipeline.ledger.ledger import shared_ledger

    old = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.CANCELED,
        ],
        created_before=WallClock().now() - timedelta(days=days),
    )
    # Before Dagster, which tries for a while to reach its storage there and tells of each failure.
    shared_ledger(settings, policy.country)
    deleted = 0
    with persistent_instance(settings) as instance:
        while run_ids := instance.get_run_ids(old, limit=BATCH):
            for run_id in run_ids:
                instance.delete_run(run_id)
            deleted += len(run_ids)
    console.print(f"{deleted:,} runs of more than {days} days ago are deleted")
