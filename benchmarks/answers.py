"""How long a person waits for an answer, beside plain Polars where Polars could give it.

Here belong `vibes explain`, `vibes standing`, `vibes export standings` and `vibes simulate` as they
are typed, from the command's start to its end, over a made marketplace; for questions the ledger
has a frozen cycle. The rival of the standings counts, in plain Polars, what each seller shipped and
cancelled in the running week; whether both counted the same is checked, not assumed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter
from typing import NamedTuple

import click
from measure import Stopwatch, Taken, in_fresh_process
from weekly_compute import LAST_CYCLE, Marketplace, machine, make_warehouse, tell

VIBES = Path(sys.executable).with_name("vibes")
# When the last cycle is frozen, and the morning after it, of which the standings are asked.
FROZEN_AT = f"{LAST_CYCLE + timedelta(days=9)}T07:00"
ASKED_AT = f"{LAST_CYCLE + timedelta(days=10)}T06:00"
HOUR_FROM_UTC = timedelta(hours=1)
ASKED_ABOUT = """
SELECT reference, order_item_id, seller_id
FROM ledger.actions
WHERE rule = 'out_of_stock_charge'
ORDER BY action_id
LIMIT 1
"""
# What a draft changes: the cap of commission charges, the share of the second band.
CHANGES = {"value: 2500": "value: 2000", "daily_share_pct: 75": "daily_share_pct: 60"}
KEPT = click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of what is made, used again by later runs.  [default: a temporary one]",
)


class Timed(NamedTuple):
    """What a command took: seconds, and seconds of the processors of all its processes."""

    seconds: float
    cpu_seconds: float
    out: str


@click.group()
def main() -> None:
    """Measure answers and print a Markdown table."""


@main.command()
@click.option("--items", type=click.IntRange(min=1), default=20_000_000, show_default=True)
@click.option("--sellers", type=click.IntRange(min=20), default=30_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@KEPT
def questions(items: int, sellers: int, rounds: int, keep: Path | None) -> None:
    """Ask about one action, one item, one seller, all sellers."""
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        made = Marketplace((keep or Path(scratch)).resolve(), items, sellers, 12)
        in_fresh_process(make_warehouse, made)
        home = made.folder / f"home-{made.warehouse.name}"
        environment = of(home, made.warehouse)
        if not home.exists():
            run("run", "weekly-alert", "--at", FROZEN_AT, environment=environment)
        reference, item, seller = in_fresh_process(asked_about, environment)
        out, policy = Path(scratch) / "standings.parquet", Path(scratch) / "policy"
        horizon = in_fresh_process(write_terms, policy, environment)
        asked = {
            "`vibes explain REFERENCE`": ("explain", reference),
            "`vibes explain item ID`": ("explain", "item", item),
            "`vibes standing SELLER`": ("standing", seller, "--at", ASKED_AT),
            "`vibes export standings`": ("export", "standings", "--at", ASKED_AT, "--out", out),
        }
        taken: dict[str, list[Timed | Taken]] = {name: [] for name in (*asked, "plain Polars")}
        for _ in range(rounds):
            for name, arguments in asked.items():
                taken[name].append(run(*map(str, arguments), environment=environment))
                tell(f"{name}: {taken[name][-1].seconds:.2f} s")
            taken["plain Polars"].append(
                in_fresh_process(count, made.warehouse, policy, horizon, out)
            )
        click.echo(
            f"{items:,} order items of {sellers:,} sellers in 12 weeks and a running one; a ledger "
            f"with cycle {LAST_CYCLE}; standings as of {ASKED_AT}; {machine()}.\n\n"
            "| | seconds | each round | processor seconds |\n| --- | ---: | --- | ---: |"
        )
        for name, runs in taken.items():
            each = " · ".join(f"{one.seconds:.2f}" for one in runs)
            seconds = median(one.seconds for one in runs)
            cpu_seconds = median(one.cpu_seconds for one in runs)
            click.echo(f"| {name} | {seconds:.2f} | {each} | {cpu_seconds:.2f} |")


@main.command()
@click.option("--items", type=click.IntRange(min=1), default=5_000_000, show_default=True)
@click.option("--sellers", type=click.IntRange(min=20), default=7_500, show_default=True)
@click.option("--weeks", type=click.IntRange(min=5), default=26, show_default=True)
@click.option("--cycles", type=click.IntRange(min=1), help="Only the last ones.  [default: all]")
@KEPT
def simulation(items: int, sellers: int, weeks: int, cycles: int | None, keep: Path | None) -> None:
    """Decide every cycle under the policy in force and under a draft."""
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        made = Marketplace((keep or Path(scratch)).resolve(), items, sellers, weeks)
        in_fresh_process(make_warehouse, made)
        draft = Path(scratch) / "draft.yaml"
        in_fresh_process(write_draft, draft)
        first = LAST_CYCLE - timedelta(weeks=(cycles or weeks) - 1)
        span = ("--from", str(first), "--until", str(LAST_CYCLE))
        done = run(
            *("simulate", str(draft), *span, "--format", "json"),
            environment=of(Path(scratch) / "home", made.warehouse),
        )
        told = json.loads(done.out)
        actions = sum(row["actions_before"] + row["actions_after"] for row in told["totals"])
        click.echo(
            f"{items:,} order items of {sellers:,} sellers in {weeks} weeks; cycles {first} to "
            f"{LAST_CYCLE} under two policies, {actions:,} actions in all, {told['differences']}: "
            f"{done.seconds:.1f} seconds; {machine()}."
        )


def of(home: Path, warehouse: Path) -> Mapping[str, str]:
    """The environment of a command."""
    return {**os.environ, "VIBES_HOME": str(home), "VIBES_WAREHOUSE": str(warehouse)}


def run(*arguments: str, environment: Mapping[str, str]) -> Timed:
    """Run a command of the pipeline; its error ends the benchmark."""
    before, started = getrusage(RUSAGE_CHILDREN), perf_counter()
    done = subprocess.run([VIBES, *arguments], env=environment, capture_output=True, text=True)
    seconds, usage = perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        raise click.ClickException(f"vibes {' '.join(arguments)}: {done.stderr}")
    cpu_seconds = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    return Timed(seconds, cpu_seconds, done.stdout)


def asked_about(environment: Mapping[str, str]) -> tuple[str, str, str]:
    """A charge's reference, its item and its seller."""
    import sqlalchemy as sa

    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.settings import Settings

    ledger = Ledger.open_existing(Settings.from_environment(environment), "NG")
    with ledger.reading() as connection:
        reference, item, seller = connection.execute(sa.text(ASKED_ABOUT)).one()
    return reference, item, seller


def write_draft(file: Path) -> None:
    """Nigeria's policy with some amounts changed."""
    from vibes_pipeline.policy import load_policy

    text = load_policy("ng").text
    for old, new in CHANGES.items():
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def count(warehouse: Path, policy: Path, horizon: datetime, exported: Path) -> Taken:
    """Count in plain Polars what each seller shipped and cancelled; fail if the export differs.

    The rival reads no claims: sellers of an upheld one may differ.
    """
    import polars as pl
    from weekly_polars import Script

    watch = Stopwatch.of_process()
    week = LAST_CYCLE + timedelta(weeks=1)
    now = (datetime.fromisoformat(ASKED_AT) - HOUR_FROM_UTC).replace(tzinfo=UTC)
    script = Script(
        raw=warehouse,
        policy=policy,
        country="NG",
        time_zone="Africa/Lagos",
        cycle=week,
        now=now,
        week_start=local_start(week),
        week_end=now,
        horizon=horizon,
    )
    found = script.record().collect()
    taken = watch.stop()
    columns = ["seller_id", "shipped_items", "shipped_orders", "cancelled_items"]
    theirs = pl.read_parquet(exported).select(columns).filter(pl.sum_horizontal(columns[1:]) > 0)
    upheld = pl.scan_parquet(warehouse / "claims.parquet").filter(decision="upheld")
    excused = upheld.select("seller_id").unique().collect()
    alike = [
        frame.select(columns).cast(dict.fromkeys(columns[1:], pl.Int64))
        .join(excused, on="seller_id", how="anti").sort("seller_id")
        for frame in (found, theirs)
    ]  # fmt: skip
    if not alike[0].equals(alike[1]):
        raise click.ClickException("the standings and the plain script differ")
    return taken


def write_terms(folder: Path, environment: Mapping[str, str]) -> datetime:
    """Write the policy's tables, as the plain script reads them; since when rows are judged."""
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.settings import Settings
    from vibes_pipeline.slots.standings import PartWeek

    policy = load_policy("ng")
    at = datetime.fromisoformat(ASKED_AT).replace(tzinfo=policy.time_zone)
    run = PartWeek.before(at, policy, Settings.from_environment(environment)).run
    folder.mkdir()
    for name, frame in run.engine.policy.items():
        frame.write_parquet(folder / f"{name}.parquet")
    horizon: datetime = run.parameters()["horizon"]
    return horizon.astimezone(UTC)


def local_start(day: date) -> datetime:
    """Local 00:00 of a day; Nigeria has one offset."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - HOUR_FROM_UTC


if __name__ == "__main__":
    main()
