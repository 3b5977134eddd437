"""`vibes export`: the tables that others pull."""

from __future__ import annotations

from pathlib import Path

import click

from vibes_pipeline.calendar import parse_cycle
from vibes_pipeline.cli.common import console, settings_and_policy


@click.command(name="export")
@click.argument("table")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A .csv, .parquet or .xlsx file."
)
@click.option("--cycle", metavar="DATE", help="Only this cycle, named by its Monday.")
def command(table: str, out: Path, cycle: str | None) -> None:
    """Write TABLE to a file.

    Tables: actions, charges (finance's postings), notices, seller_week, order_regulations,
    sales_regulations, account_reviews, quarantine.
    """
    from vibes_pipeline.exports.files import check_target, write_table
    from vibes_pipeline.exports.tables import Source, read_table, require_table
    from vibes_pipeline.ledger.ledger import Ledger

    require_table(table)
    check_target(out)
    only = parse_cycle(cycle) if cycle else None
    settings, policy = settings_and_policy()
    ledger = Ledger.open(settings, policy.country)
    frame = read_table(table, Source(ledger, settings.lake, policy.time_zone, only))
    write_table(frame, out, table)
    console.print(f"{frame.height:,} rows of {table} in {out}")
