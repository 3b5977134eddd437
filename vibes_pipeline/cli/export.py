"""`vibes export`: the tables that others pull."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vibes_pipeline.calendar import parse_cycle, parse_day
from vibes_pipeline.cli.common import console, progress_bar, settings_and_policy
from vibes_pipeline.cli.days import asked_days, days_options
from vibes_pipeline.errors import UsageError
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    import polars as pl

    from vibes_pipeline.exports.rows import Progress, Rows
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.settings import Settings

FINANCES_OPTIONS = {"--statement-period", "--from", "--until", "--month", "--seller"}


@click.command(name="export")
@click.argument("table")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A .csv, .parquet or .xlsx file."
)
@click.option("--cycle", metavar="DATE", help="Only this cycle, named by its Monday.")
@click.option("--day", metavar="DATE", help="Only this day's cancellations.")
@click.option("--statement-period", metavar="DATE", help="Only postings of this Monday's week.")
@days_options
@click.option("--seller", metavar="ID", help="Only this seller's.")
@click.option("--at", metavar="LOCAL", help="Standings at this local time. [default: now]")
def command(
    table: str,
    out: Path,
    cycle: str | None,
    day: str | None,
    statement_period: str | None,
    from_: str | None,
    until: str | None,
    month: str | None,
    seller: str | None,
    at: str | None,
) -> None:
    """Write TABLE to a file.

    Finance's: charges (the postings; as .xlsx a workbook with statements and totals), journal (the
    postings in double entry), seller_statement_lines (by seller and rule), seller_statements,
    charge_totals; period_closes, period_close_totals.

    Of these --from and --until keep what is of the days between, both included: of charges and
    journal what was posted on them, of the others the whole statement periods whose Monday is
    among them. --month is short for its first and last day.

    In force now: order_regulations_in_force, sales_regulations_in_force, delistings;
    cancellations (the order system's feed).

    Others: actions, claims, held_counterfeit_cases, notices, seller_week, order_regulations,
    sales_regulations, account_reviews, quarantine; standings (of every seller: if the week ended
    now, or at --at).

    Times are those of the policy's time zone.
    """
    from vibes_pipeline.exports.files import check_target, write_rows
    from vibes_pipeline.exports.tables import (
        OF_UNDECIDED_CYCLES,
        Source,
        charges,
        open_table,
        require_seller,
        require_table,
    )
    from vibes_pipeline.exports.workbook import write_charges
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.ledger.proposals import decided

    require_table(table)
    check_target(out)
    given = {
        "--cycle": cycle,
        "--day": day,
        "--statement-period": statement_period,
        "--from": from_,
        "--until": until,
        "--month": month,
        "--seller": seller,
        "--at": at,
    }
    _require_fitting(table, {name for name, text in given.items() if text is not None})
    days = asked_days(from_, until, month)
    only = parse_day(day) if day else parse_cycle(cycle) if cycle else None
    period = parse_cycle(statement_period) if statement_period else None
    settings, policy = settings_and_policy()
    ledger = Ledger.open_existing(settings, policy.country)
    if cycle and table not in OF_UNDECIDED_CYCLES:
        decided(ledger, only)
    if seller is not None:
        require_seller(ledger, seller)
    source = Source(
        ledger,
        settings.lake,
        policy.time_zone,
        only,
        period,
        days,
        seller,
        standings=partial(_standings, settings, policy, ledger, at),
    )
    if table == "charges" and out.suffix == ".xlsx" and source.has_whole_statements:
        with _shown_progress(table, charges(source)) as progress:
            written = write_charges(source, out, progress)
    else:
        with open_table(table, source) as rows, _shown_progress(table, rows) as progress:
            written = write_rows(rows, out, table, progress)
    console.print(f"{counted(written, 'row')} of {table} in {out}", markup=False)


def _standings(settings: Settings, policy: Policy, ledger: Ledger, at: str | None) -> pl.DataFrame:
    """Every seller's record, at a local time or now."""
    from vibes_pipeline.answers.instant import asked_instant
    from vibes_pipeline.slots.standings import STANDINGS, PartWeek

    part = PartWeek.before(asked_instant(at, ledger, policy), policy, settings)
    return part.standings(ledger, [STANDINGS])[STANDINGS]


@contextmanager
def _shown_progress(table: str, rows: Rows) -> Iterator[Progress]:
    """What is to be told how many more rows are written: a progress bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    with progress_bar() as bar:
        task = bar.add_task(f"writing {table}", total=rows.count())
        yield lambda more: bar.advance(task, more)


def _require_fitting(table: str, given: set[str]) -> None:
    """`UsageError` for an option that the table does not take, or two that exclude each other."""
    from vibes_pipeline.exports.tables import BY_SELLER, BY_STATEMENT_PERIOD

    if table == "standings" and given - {"--at"}:
        raise UsageError("standings are of one instant: ask for them with --at alone")
    if "--at" in given and table != "standings":
        raise UsageError("--at goes with the table standings alone; others take --cycle")
    if "--day" in given and (given != {"--day"} or table != "cancellations"):
        raise UsageError("--day goes with the table cancellations alone; others take --cycle")
    of_finance = given & FINANCES_OPTIONS
    if of_finance and table not in BY_STATEMENT_PERIOD:
        raise UsageError(
            f"{min(of_finance)} goes with {', '.join(BY_STATEMENT_PERIOD)}; others take --cycle"
        )
    if "--seller" in given and table not in BY_SELLER:
        raise UsageError(f"{table} are of all sellers; --seller goes with {', '.join(BY_SELLER)}")
    if "--cycle" in given and (of_finance - {"--seller"} or table in BY_STATEMENT_PERIOD[1:]):
        raise UsageError(
            "a statement sums what several cycles decided: ask for --statement-period alone, or "
            "for charges with --cycle"
        )
    if "--statement-period" in given and of_finance - {"--statement-period", "--seller"}:
        raise UsageError(
            "--statement-period names a week: leave out --from, --until and --month, or ask for "
            "them alone"
        )
