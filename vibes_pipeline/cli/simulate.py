"""`vibes simulate`: what a draft policy would have decided of history, beside the one in force."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl
import polars.selectors as cs
from rich.progress import Progress
from rich.table import Table

from vibes_pipeline.calendar import parse_cycle
from vibes_pipeline.cli.common import console, progress_bar, settings_and_policy_for_slots
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import UsageError
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.reports.simulation import Simulation
    from vibes_pipeline.settings import Settings

NAIRA = ("in force", "draft", "more")


@click.command(name="simulate")
@click.argument("draft", type=click.Path(path_type=Path), metavar="DRAFT.yaml")
@click.option(
    "--from", "start", required=True, metavar="CYCLE", help="The first cycle, by its Monday."
)
@click.option(
    "--until", "end", required=True, metavar="CYCLE", help="The last cycle, by its Monday."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write differences.parquet and index.html there.",
)
@click.option("--late-orders", is_flag=True, help="Run the daily slots too, which takes longer.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the totals are printed.",
)
def command(
    draft: Path, start: str, end: str, out: Path | None, late_orders: bool, form: str
) -> None:
    """Decide past cycles by the policy in force and by a draft, and tell what differs.

    Each policy decides every cycle, from the first to the last, on a history of its own that starts
    empty. Every alert counts as accepted at once; claims and account decisions act as the warehouse
    has them, and as people recorded them in the ledger. No mail is sent and the ledger is not
    changed.
    """
    first, last = parse_cycle(start), parse_cycle(end)
    settings, policy = settings_and_policy_for_slots()

    from vibes_pipeline.answers.simulate import simulate
    from vibes_pipeline.policy import load_policy

    amended = load_policy(path=draft.resolve())
    if out is not None:
        _require_folder(out)
    with progress_bar() as progress:
        simulation = simulate(
            settings,
            policy,
            amended,
            first,
            last,
            now=WallClock().now(),
            with_late_orders=late_orders,
            decisions=_recorded_decisions(settings, policy),
            planned=partial(_begin, progress),
        )
    files = _write(simulation, out) if out is not None else {}
    if form == "json":
        _print_json(simulation, files)
    else:
        _print_text(simulation, files)


def _recorded_decisions(settings: Settings, policy: Policy) -> list[dict[str, Any]]:
    """What people recorded in the ledger; none where there is no ledger."""
    from vibes_pipeline.ledger import recorded
    from vibes_pipeline.ledger.embedded import is_made
    from vibes_pipeline.ledger.ledger import Ledger

    if not settings.postgres_url and not is_made(settings.home / "postgres"):
        return []
    ledger = Ledger.open_existing(settings, policy.country)
    try:
        return recorded.every(ledger)
    finally:
        ledger.close()


def _begin(progress: Progress, slots: int) -> Callable[[], None]:
    """Show the bar; gives what moves it on by one slot."""
    return partial(progress.advance, progress.add_task("simulating", total=slots))


def _require_folder(out: Path) -> None:
    """Make the folder before anything is computed; `UsageError` if it cannot be there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: no folder can be made there: {error.strerror}") from None


def _write(simulation: Simulation, out: Path) -> dict[str, Path]:
    from vibes_pipeline.files import put_into_place
    from vibes_pipeline.reports.simulation_page import write_page

    files = {"differences": out / "differences.parquet", "page": out / "index.html"}
    with put_into_place(files["differences"]) as temporary:
        simulation.differences.write_parquet(temporary)
    write_page(simulation, files["page"], WallClock().now())
    return files


def _print_json(simulation: Simulation, files: Mapping[str, Path]) -> None:
    """Money as text, as in all answers."""
    told = {
        "from": simulation.first.isoformat(),
        "until": simulation.last.isoformat(),
        "policy_before": simulation.before.version,
        "policy_after": simulation.after.version,
        "totals": simulation.totals.with_columns(cs.decimal().cast(pl.String)).to_dicts(),
        "differences": dict(simulation.changes),
        "sellers_affected": simulation.by_seller.height,
        "files": {name: str(file) for name, file in files.items()},
    }
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _print_text(simulation: Simulation, files: Mapping[str, Path]) -> None:
    from vibes_pipeline.reports.simulation import CHANGES

    money = simulation.before.money
    actions = Table(title="Actions, under the policy in force and the draft", title_justify="left")
    naira = Table(title="Charged", title_justify="left")
    for table, columns in ((actions, ("in force", "draft", *CHANGES)), (naira, NAIRA)):
        table.add_column("rule")
        for column in columns:
            table.add_column(column, justify="right")
    for row in simulation.totals.rows(named=True):
        rule, changes = row["rule"], simulation.by_rule[row["rule"]]
        counts = (row["actions_before"], row["actions_after"], *(changes[c] for c in CHANGES))
        actions.add_row(rule, *(f"{count:,}" for count in counts))
        before, after = row["amount_before"], row["amount_after"]
        if before or after:
            naira.add_row(rule, *map(money, (before, after, after - before)))
    console.print(actions)
    if naira.rows:
        console.print(naira)
    affected = counted(simulation.by_seller.height, "seller")
    console.print(
        f"{affected} of {simulation.sellers:,} treated otherwise; charged in all: "
        f"{money(abs(simulation.net))} {'less' if simulation.net < 0 else 'more'}"
    )
    for file in files.values():
        console.print(str(file), markup=False)
