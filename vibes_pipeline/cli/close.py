"""`vibes close`: the close of a statement period, and the proof that what is closed stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vibes_pipeline.calendar import WEEK, day_start, parse_cycle
from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import LedgerError, UsageError
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    from vibes_pipeline.ledger.closes import Close, Sums
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import Policy


@click.command(name="close")
@click.argument("period", required=False)
@click.option(
    "--verify", is_flag=True, help="Look at every closed period again; 1 if one has changed."
)
def command(period: str | None, verify: bool) -> None:
    """Close the statement period PERIOD, named by its Monday, once its week is over.

    The ledger keeps its totals by rule and the hash of its journal, and takes no posting into it
    any more. --verify reads the journal of every closed period again and says whether it still has
    that hash.
    """
    from vibes_pipeline.ledger.ledger import Ledger

    if verify == (period is not None):
        raise UsageError("name the period to close by its Monday, or ask for --verify alone")
    monday = parse_cycle(period) if period is not None else None
    settings, policy = settings_and_policy()
    ledger = Ledger.open_existing(settings, policy.country)
    if monday is not None:
        from vibes_pipeline.ledger.closes import close_period

        now = WallClock().now()
        close = close_period(
            ledger,
            monday,
            ends_at=day_start(monday + WEEK, policy.time_zone),
            accounts=policy.accounts_on(policy.local_date(now)),
            now=now,
        )
        _tell(close, policy)
    else:
        _verify(ledger)


def _tell(close: Close, policy: Policy) -> None:
    at = close.closed_at.astimezone(policy.time_zone)
    if not close.is_new:
        console.print(
            f"the statement period {close.period} was closed {at:%Y-%m-%d %H:%M}: nothing to do"
        )
        return
    console.print(f"the statement period {close.period} is closed: {_in_words(close.sums)}")
    for row in close.sums.totals:
        console.print(
            f"  {row['rule']:<24} {row['currency']} {row['debits']:>18,.2f} debits "
            f"{row['reversals']:>18,.2f} reversals {row['net']:>18,.2f} net",
            markup=False,
        )


def _verify(ledger: Ledger) -> None:
    from vibes_pipeline.ledger.closes import verify_closes

    changed = 0
    found = verify_closes(ledger)
    for close, now in found:
        if now == close.sums:
            console.print(f"{close.period}: as it was closed, {_in_words(now)}")
        else:
            changed += 1
            console.print(
                f"{close.period}: DIFFERS: closed with {_in_words(close.sums)}; now "
                f"{_in_words(now)}"
            )
    if not found:
        console.print("no statement period is closed yet")
    if changed:
        raise LedgerError(
            f"{counted(changed, 'closed period')} of {len(found)} changed since: compare with a "
            "backup of the ledger, and find out who could switch off its triggers"
        )


def _in_words(sums: Sums) -> str:
    return f"{counted(sums.postings, 'posting')}, sha256 {sums.sha256}"
