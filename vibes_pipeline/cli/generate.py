"""`vibes generate`: a made marketplace."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from vibes_pipeline.calendar import require_monday
from vibes_pipeline.cli.common import (
    console,
    latest_first_week,
    print_rows,
    progress_bar,
    settings_and_policy,
)


@click.command(name="generate")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A .duckdb file, or a folder for Parquet files. [default: VIBES_WAREHOUSE]",
)
@click.option(
    "--sellers", type=click.IntRange(min=20), default=150, show_default=True, help="Sellers."
)
@click.option(
    "--weeks", type=click.IntRange(min=1), default=8, show_default=True, help="Observed weeks."
)
@click.option(
    "--first-week",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The first week's Monday. [default: so that the last cycle ends before today]",
)
@click.option(
    "--items", type=click.IntRange(min=1), help="Order items. [default: by the number of sellers]"
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="The same seed makes the same rows."
)
@click.option("--force", is_flag=True, help="Replace a warehouse that is there.")
def command(
    out: Path | None,
    sellers: int,
    weeks: int,
    first_week: datetime | None,
    items: int | None,
    seed: int,
    force: bool,
) -> None:
    """Make a marketplace in which every rule fires, with all raw tables."""
    from vibes_pipeline.generate import generate_marketplace
    from vibes_pipeline.warehouse.file import check_target

    settings, policy = settings_and_policy()
    monday: date = (
        require_monday(first_week.date()) if first_week else latest_first_week(policy, weeks)
    )
    target = out or settings.made_warehouse
    check_target(target, overwrite=force)
    with progress_bar() as progress:
        task = progress.add_task("making items", total=None)
        made = generate_marketplace(
            target,
            sellers=sellers,
            weeks=weeks,
            first_week=monday,
            items=items,
            seed=seed,
            country=policy.country,
            time_zone=policy.time_zone.key,
            overwrite=force,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(f"made {made.path}: weeks {made.first_week} to {made.last_week}", markup=False)
    print_rows(made.rows)
