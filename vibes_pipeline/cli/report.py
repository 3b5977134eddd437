"""`vibes report`: the page of a week."""

from __future__ import annotations

from pathlib import Path

import click

from vibes_pipeline.calendar import Slot, parse_cycle
from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock


@click.command(name="report")
@click.option(
    "--cycle", metavar="DATE", help="The cycle, named by its Monday. [default: the newest decided]"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="An .html file. [default: the cycle's own, under VIBES_HOME/reports]",
)
def command(cycle: str | None, out: Path | None) -> None:
    """Write the report of a week as one HTML page, from the ledger as it stands now."""
    from vibes_pipeline.exports.files import check_target
    from vibes_pipeline.lake import partition_folder, require_kept
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.ledger.proposals import decided
    from vibes_pipeline.reports.page import write_page, write_report
    from vibes_pipeline.reports.week import read_week

    if out is not None:
        check_target(out, (".html",))
    wanted = parse_cycle(cycle) if cycle else None
    settings, policy = settings_and_policy()
    ledger = Ledger.open_existing(settings, policy.country)
    week = decided(ledger, wanted)
    require_kept(partition_folder(settings.lake, policy.country, Slot.WEEKLY_ALERT, week), week)
    now = WallClock().now()
    if out is None:
        _, out = write_report(ledger, settings, policy, week, now)
    else:
        write_page(read_week(ledger, settings, policy, week, now), out)
    console.print(
        f"the report of the week of {week} is in {out}",
        soft_wrap=True,
        markup=False,
    )
