"""`vibes run`: one slot's Dagster job, in this process."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from vibes_pipeline.calendar import Slot, parse_cycle, parse_local, parse_slot
from vibes_pipeline.cli.common import console, settings_and_policy_for_slots
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import UsageError

if TYPE_CHECKING:
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.settings import Settings


@click.command(name="run")
@click.argument("slot")
@click.option(
    "--at",
    metavar="LOCAL",
    help="Run as of this local time, such as 2026-11-18T07:00; the ledger is then a simulated one.",
)
@click.option(
    "--cycle",
    metavar="DATE",
    help="The weekly slot of this cycle, named by its Monday; by default the oldest missing one.",
)
@click.pass_context
def command(context: click.Context, slot: str, at: str | None, cycle: str | None) -> None:
    """Run SLOT once.

    \b
    weekly-alert, weekly-implementation,
    late-alert, late-cancellation, claims

    Weekly slots are run oldest first: without --cycle it is the oldest one missing, and one that is
    not the oldest is refused. If none is missing, and for the other slots, it is the latest one due
    by then. A slot run before changes nothing and sends only what has not been sent. The run shows
    in the UI.
    """
    settings, policy = settings_and_policy_for_slots()
    wanted = parse_slot(slot)
    instant = parse_local(at, policy.time_zone) if at else None
    named = parse_cycle(cycle) if cycle else None
    if named is not None and not wanted.is_weekly:
        raise UsageError(f"--cycle goes with the weekly slots; {wanted} is run for the present day")

    from vibes_pipeline.ledger.ledger import shared_ledger
    from vibes_pipeline.slots.order import period_to_begin

    # If PostgreSQL is down, the ledger fails at once with one line; Dagster would retry and log
    # each failure. And a slot that is refused before Dagster starts leaves no run behind.
    ledger = shared_ledger(settings, policy.country)
    period = period_to_begin(
        ledger,
        policy,
        wanted,
        named,
        now=instant or WallClock().now(),
        is_simulated=instant is not None,
    )
    if done_at := ledger.done_at(wanted, period):
        console.print(
            f"{wanted} of {period} was done already, at "
            f"{done_at.astimezone(policy.time_zone):%Y-%m-%d %H:%M}: only mail that was not sent "
            "goes out"
        )

    run_shown(wanted, period, settings, policy, at=instant, log_level=log_level_of(context))
    from vibes_pipeline.cli.outcome import print_actions, print_claims
    from vibes_pipeline.exports.tables import Source

    if wanted is Slot.CLAIMS:
        print_claims(Source(ledger, settings.lake, policy.time_zone))
    else:
        print_actions(Source(ledger, settings.lake, policy.time_zone, cycle=period), policy)


def run_shown(
    slot: Slot,
    period: date,
    settings: Settings,
    policy: Policy,
    *,
    at: datetime | None,
    log_level: str,
) -> None:
    """Run a slot's job to its end, and tell of it in the form in which `vibes up` tells of slots.

    With `at` it is a simulated one. Raises the `VibesError` that stopped it.
    """
    from vibes_pipeline.dagster_host import home as dagster_home
    from vibes_pipeline.dagster_host import in_process
    from vibes_pipeline.defs.run_outcome import how_it_ended

    def say(words: str) -> None:
        now = WallClock().now().astimezone(policy.time_zone)
        console.print(f"{now:%H:%M:%S} {slot} {period} {words}", markup=False)

    say("started")
    with dagster_home.persistent_instance(settings) as instance:
        record = in_process.run_slot(slot, period, instance, at=at, log_level=log_level)
        say(how_it_ended(instance, record))


def log_level_of(context: click.Context) -> str:
    """From which level on Dagster's events are shown."""
    return "DEBUG" if context.find_root().params["debug"] else "CRITICAL"
