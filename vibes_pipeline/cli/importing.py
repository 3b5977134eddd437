"""`vibes import`: real marketplaces."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from vibes_pipeline.cli.common import console, print_rows
from vibes_pipeline.errors import UsageError


@click.group(name="import")
def command() -> None:
    """Import a real marketplace's orders as a warehouse."""


@command.command(short_help="The Olist dataset, a real marketplace of Brazil.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--country", default="NG", show_default=True, help="The country its sellers count to."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A .duckdb file, or a folder for Parquet files.",
)
@click.option("--rate", default="100", show_default=True, help="Naira per real.")
@click.option("--force", is_flag=True, help="Replace a warehouse that is there.")
def olist(source: Path, country: str, out: Path, rate: str, force: bool) -> None:
    """Map the Parquet files of the Olist dataset in SOURCE onto the raw tables.

    1,551 of its items were handed to the carrier before they were approved. They stay as they are:
    the pipeline sets them aside and counts them. They are more than 1% of some weeks, so run them
    with a policy of your own that raises warehouse.bad_row_limit_pct (see docs/olist.md).
    """
    from vibes_pipeline.importers.olist import import_olist

    try:
        naira_per_real = Decimal(rate)
    except InvalidOperation:
        raise UsageError(f"--rate {rate} is no number; write one such as 100") from None
    summary = import_olist(
        source, out, country=country.upper(), rate=naira_per_real, overwrite=force
    )
    console.print(f"imported {summary.path}", markup=False)
    print_rows(summary.rows)
    console.print(
        f"  {summary.handed_over_before_approval:,} items were handed over before their approval"
    )
