"""`vibes standing`: where one seller stands."""

from __future__ import annotations

import click

from vibes_pipeline.cli.common import (
    JSON,
    say_all,
    say_json,
    settings_and_policy_for_slots,
    style_option,
)


@click.command(name="standing")
@click.argument("seller")
@click.option(
    "--at",
    metavar="LOCAL",
    help="Local time, such as 2026-11-18T07:00. [default: now; of a simulated ledger its own now]",
)
@style_option
def command(seller: str, at: str | None, style: str) -> None:
    """Say where SELLER (an id) would stand if the week ended now.

    The week's record so far with its band and limits, how far the next bands are, the charges of
    this week's events, items overdue or due within a day, and the rates of products. `vibes export
    standings` gives the records of all sellers.
    """
    from vibes_pipeline.answers.instant import asked_instant
    from vibes_pipeline.answers.standing import standing_of
    from vibes_pipeline.ledger.ledger import Ledger

    settings, policy = settings_and_policy_for_slots()
    ledger = Ledger.open_existing(settings, policy.country)
    now = asked_instant(at, ledger, policy)
    found = standing_of(seller, settings, policy, ledger, now)
    if style == JSON:
        say_json(found.document())
    else:
        say_all(found.lines())
