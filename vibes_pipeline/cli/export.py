"""`vibes export`: the tables that others pull."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from vibes_pipeline.calendar import parse_cycle, parse_day
from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.errors import UsageError


@click.command(name="export")
@click.argument("table")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A .csv, .parquet or .xlsx file."
)
@click.option("--cycle", metavar="DATE", help="Only this cycle, named by its Monday.")
@click.option("--day", metavar="DATE", help="Only this day's cancellations.")
def command(table: str, out: Path, cycle: str | None, day: str | None) -> None:
    """Write TABLE to a file.

    Tables: actions, charges (finance's postings), cancellations (the order system's feed),
    notices, seller_week, order_regulations, sales_regulations, account_reviews, quarantine.
    """
    from vibes_pipeline.exports.files import check_target, write_table
    from vibes_pipeline.exports.tables import Source, read_table, require_table
    from vibes_pipeline.ledger.ledger import Ledger

    require_table(table)
    check_target(out)
    only = _period(table, cycle, day)
    settings, policy = settings_and_policy()
    ledger = Ledger.open(settings, policy.country)
    frame = read_table(table, Source(ledger, settings.lake, policy.time_zone, only))
    write_table(frame, out, table)
    console.print(f"{frame.height:,} rows of {table} in {out}", markup=False)


def _period(table: str, cycle: str | None, day: str | None) -> date | None:
    """The one cycle, or the one day of the late slots' tables, that is asked for."""
    if day is None:
        return parse_cycle(cycle) if cycle else None
    if cycle is not None or table != "cancellations":
        raise UsageError("--day goes with the table cancellations alone; others take --cycle")
    return parse_day(day)
