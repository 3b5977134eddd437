"""`vibes report`: the page of a week."""

from __future__ import annotations

from pathlib import Path

import click

from vibes_pipeline.calendar import Slot, parse_cycle
from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import UsageError


@click.command(name="report")
@click.option("--cycle", metavar="DATE", help="The cycle, named by its Monday; else the latest.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="An .html file; by default the cycle's own under VIBES_HOME/reports.",
)
def command(cycle: str | None, out: Path | None) -> None:
    """Write the report of a week as one HTML page, from the ledger as it stands now."""
    from vibes_pipeline.lake import partition_folder, require_kept
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.reports.page import write_page, write_report
    from vibes_pipeline.reports.week import decided_cycles, read_week

    wanted = parse_cycle(cycle) if cycle else None
    settings, policy = settings_and_policy()
    ledger = Ledger.open(settings, policy.country)
    decided = [c.cycle for c in decided_cycles(ledger)]
    if not decided:
        raise UsageError("no cycle is decided yet; run `vibes run weekly-alert`")
    if wanted is not None and wanted not in decided:
        raise UsageError(f"cycle {wanted} is not decided; the latest that is, is {decided[0]}")
    cycle_shown = wanted or decided[0]
    require_kept(
        partition_folder(settings.lake, policy.country, Slot.WEEKLY_ALERT, cycle_shown), cycle_shown
    )
    now = WallClock().now()
    if out is None:
        _, out = write_report(ledger, settings, policy, cycle_shown, now)
    else:
        write_page(read_week(ledger, settings, policy, cycle_shown, now), out)
    console.print(
        f"the report of the week of {cycle_shown} is in {out}",
        soft_wrap=True,
        markup=False,
    )
