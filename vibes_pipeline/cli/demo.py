"""`vibes demo`: a marketplace, its weeks replayed, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl
from rich.markup import escape

from vibes_pipeline.calendar import DueSlot, Slot, day_start
from vibes_pipeline.cli.common import (
    console,
    latest_first_week,
    replay_into_ui,
    settings_and_policy_for_slots,
)
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.states import State, Status

if TYPE_CHECKING:
    from vibes_pipeline.exports.tables import Source
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.settings import Settings

# A demo writes this file into its home. In a used home without it, a demo would harm real data.
MARKER = "demo.json"
RULES_IN_MAIL_SHOWN = 3


@click.command(name="demo")
@click.option(
    "--sellers", type=click.IntRange(min=20), default=150, show_default=True, help="Sellers."
)
@click.option(
    "--weeks", type=click.IntRange(min=1), default=8, show_default=True, help="Observed weeks."
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="The same seed makes the same rows."
)
def command(sellers: int, weeks: int, seed: int) -> None:
    """Make a marketplace in which every rule fires; replay its cycles and a day of late orders.

    Everything is kept under VIBES_HOME, on a simulated ledger; run again, it shows the same.
    """
    settings, policy = settings_and_policy_for_slots()

    from vibes_pipeline.exports.tables import Source
    from vibes_pipeline.ledger.ledger import shared_ledger
    from vibes_pipeline.slots.replay import due_slots, still_to_replay

    console.print("starting PostgreSQL" if settings.postgres_url is None else "connecting")
    ledger = shared_ledger(settings, policy.country)
    first_week = _marketplace(settings, policy, ledger, sellers, weeks, seed)
    start, end = _span(policy, first_week, weeks)
    due = _due(policy, due_slots(policy, settings, start, end))
    replay_into_ui(still_to_replay(ledger, policy, due), settings)
    _show(Source(ledger, settings.lake, policy.time_zone), settings, policy)


def _marketplace(
    settings: Settings, policy: Policy, ledger: Ledger, sellers: int, weeks: int, seed: int
) -> date:
    """Make the warehouse, or take the one that an earlier demo of the same shape made."""
    from vibes_pipeline.generate import generate_marketplace
    from vibes_pipeline.ledger.ledger import LedgerMode

    marker, target = settings.home / MARKER, settings.made_warehouse
    shape = {"sellers": sellers, "weeks": weeks, "seed": seed, "warehouse": str(target)}
    made = json.loads(marker.read_text()) if marker.exists() else None
    if made and made["shape"] == shape and target.exists():
        return date.fromisoformat(made["first_week"])
    if ledger.mode() is not LedgerMode.EMPTY or target.exists():
        raise UsageError(
            f"{settings.home} is in use already; give the demo a place of its own, such as "
            "VIBES_HOME=./demo"
        )
    first_week = latest_first_week(policy, weeks)
    with console.status("making a marketplace"):
        generate_marketplace(
            target,
            sellers=sellers,
            weeks=weeks,
            first_week=first_week,
            seed=seed,
            country=policy.country,
            time_zone=policy.time_zone.key,
        )
    marker.write_text(json.dumps({"first_week": first_week.isoformat(), "shape": shape}))
    return first_week


def _span(policy: Policy, first_week: date, weeks: int) -> tuple[datetime, datetime]:
    """From the Monday of the first cycle's alert to the last cycle's implementation."""
    last = first_week + timedelta(weeks=weeks - 1)
    return (
        day_start(first_week + timedelta(weeks=1), policy.time_zone),
        policy.slot_calendar.due_at(Slot.WEEKLY_IMPLEMENTATION, last),
    )


def _due(policy: Policy, due: Sequence[DueSlot]) -> list[DueSlot]:
    """Weekly and claims slots, and the late slots of the last whole day, as an example."""
    last_day = policy.local_date(due[-1].due_at) - timedelta(days=1)
    return [d for d in due if d.slot.is_weekly or d.slot is Slot.CLAIMS or d.period == last_day]


def _show(source: Source, settings: Settings, policy: Policy) -> None:
    from vibes_pipeline.cli import outcome

    outcome.print_actions(source, policy)
    outcome.print_notices(source)
    _show_a_mail(source, settings.maildir)
    outcome.print_postings(source, policy)
    outcome.print_cancellations(source)
    outcome.print_claims(source)
    _show_a_claim(source, settings.maildir, policy)
    console.print(
        f"Every mail lies in [bold]{escape(str(settings.maildir))}[/bold]; finance's table is "
        "[bold]vibes export charges --out charges.xlsx[/bold].\n"
        f"The weeks' reports: [bold]{settings.reports / policy.country / 'index.html'}[/bold].\n"
        "Next: [bold]vibes up[/bold] shows all of it in the Dagster UI."
    )


def _show_a_claim(source: Source, maildir: Path, policy: Policy) -> None:
    """Print one charge that an upheld claim reversed: both postings, and the claim's mail."""
    from vibes_pipeline.cli import outcome
    from vibes_pipeline.exports import tables

    postings = tables.read_table("charges", source)
    credits = postings.filter(pl.col("kind") == "reversal").sort("posted_at")
    if credits.is_empty():
        return
    credit = credits.row(-1, named=True)
    outcome.print_charge(postings.filter(pl.col("action_id") == credit["action_id"]), policy)
    told = tables.read_table("notices", source).filter(
        (pl.col("kind") == NoticeKind.CLAIM_OUTCOME)
        & (pl.col("seller_id") == credit["seller_id"])
        & (pl.col("planned_at") == credit["posted_at"])
    )
    if told.height and (mail := outcome.read_mail(maildir, told["notice_id"][0])):
        outcome.print_mail(mail)


def _show_a_mail(source: Source, maildir: Path) -> None:
    """Print the shortest implementation mail that lists actions of several rules."""
    from vibes_pipeline.cli import outcome
    from vibes_pipeline.exports import tables

    struck = (
        tables.read_table("actions", source)
        .filter(pl.col("state") == State.IMPLEMENTED)
        .group_by("cycle", "seller_id")
        .agg(pl.col("rule").n_unique().alias("rules"), pl.len().alias("lines"))
        .filter(pl.col("rules") >= RULES_IN_MAIL_SHOWN)
        .sort("lines", "cycle", "seller_id")
    )
    sent = tables.read_table("notices", source).filter(
        (pl.col("kind") == NoticeKind.WEEKLY_IMPLEMENTATION) & (pl.col("status") == Status.SENT)
    )
    for cycle, seller_id, *_ in struck.head(20).iter_rows():
        found = sent.filter((pl.col("period") == cycle) & (pl.col("seller_id") == seller_id))
        if found.height and (mail := outcome.read_mail(maildir, found["notice_id"][0])):
            outcome.print_mail(mail)
            return
