"""`vibes run`: one slot's Dagster job, in this process."""

from __future__ import annotations

import click

from vibes_pipeline.calendar import Slot, parse_local, parse_slot
from vibes_pipeline.cli.common import console, settings_and_policy_for_slots
from vibes_pipeline.clock import WallClock


@click.command(name="run")
@click.argument("slot")
@click.option(
    "--at",
    metavar="LOCAL",
    help="Run as of this local time, such as 2026-11-18T07:00; the ledger is then a simulated one.",
)
def command(slot: str, at: str | None) -> None:
    """Run SLOT once: weekly-alert, weekly-implementation, late-alert, late-cancellation or claims.

    The cycle, or the day, is the latest one whose slot is due by then. A slot run before changes
    nothing and sends only what has not been sent. The run shows in the UI.
    """
    settings, policy = settings_and_policy_for_slots()
    wanted = parse_slot(slot)
    instant = parse_local(at, policy.time_zone) if at else None

    from vibes_pipeline import dagster_home, slots
    from vibes_pipeline.cli.outcome import print_actions, print_claims
    from vibes_pipeline.exports.tables import Source
    from vibes_pipeline.ledger.ledger import shared_ledger

    period = policy.slot_calendar.period_of(wanted, instant or WallClock().now())
    # Before Dagster, which tries for a while to reach its storage there and tells of each failure.
    ledger = shared_ledger(settings, policy.country)
    with dagster_home.persistent_instance(settings) as instance:
        slots.run_slot(wanted, period, instance, at=instant)
    console.print(f"{wanted} of {period} is done")
    if wanted is Slot.CLAIMS:
        print_claims(Source(ledger, settings.lake, policy.time_zone))
    else:
        print_actions(Source(ledger, settings.lake, policy.time_zone, cycle=period), policy)
