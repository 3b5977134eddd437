"""How long the weekly alert computes, beside the same SQL in DuckDB alone and plain Polars.

Here belongs the weekly alert's compute: every model of the last cycle of a made marketplace, run by
the pipeline's engine and, in turn, by one bare DuckDB connection, and the same decisions by a plain
Polars script. The ledger is empty and no mail is written; neither is measured. Whether all computed
the same is checked, not assumed.

This module imports little by itself: each contender runs in a process of its own and imports there
what it needs, so that its peak memory is its own.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click
from measure import Stopwatch, Taken, in_fresh_process

if TYPE_CHECKING:
    import duckdb

    from vibes_pipeline.engine.protocol import Parameters
    from vibes_pipeline.settings import Settings
    from vibes_pipeline.slots.run import SlotRun

LAST_CYCLE = date(2026, 11, 9)
MODELS_SHOWN = 8

BARE = "DuckDB alone"
ENGINE = "the pipeline's engine"
POLARS = "plain Polars"


# --- what both are given --------------------------------------------------------------------------


# Of each decision what the script decides too; the pipeline adds the evidence.
DECIDED = {
    "decisions.order_regulations": "seller_id, band::BIGINT, daily_order_limit::BIGINT, "
    "pending_to_shipped_limit::BIGINT",
    "decisions.sales_regulations": "sku, grounds, occurrence::BIGINT",
} | {
    f"decisions.{charges}": "order_item_id, amount::DECIMAL(14, 2) AS amount"
    for charges in (
        "out_of_stock_charges",
        "late_fulfilment_charges",
        "returns_charges",
        "dropoff_qc_charges",
    )
}


@dataclass(frozen=True)
class Marketplace:
    """What is made: a folder of Parquet files named by what it holds."""

    folder: Path
    items: int
    sellers: int
    weeks: int

    @property
    def warehouse(self) -> Path:
        return self.folder / f"{self.sellers}-sellers-{self.weeks}-weeks-{self.items}-items"


@dataclass(frozen=True)
class Query:
    """One model's SELECT, the relation that it makes and the parameters that it takes."""

    relation: str
    sql: str
    parameters: Parameters
    is_kept: bool


@dataclass(frozen=True)
class Inputs:
    """The order warehouse, and beside it, as Parquet, the policy's tables and an empty history.

    `key` is the file of the key that customers are hashed with, the same in every run. `script` are
    the arguments of the plain Polars script, its folders aside.
    """

    warehouse: Path
    policy: Path
    script: Mapping[str, object]
    ledger: Path
    key: Path
    time_zone: str
    queries: tuple[Query, ...]
    memory: str | None = None


def make_warehouse(made: Marketplace) -> None:
    """Make the marketplace, unless an earlier run has."""
    from vibes_pipeline.generate import generate_marketplace

    if made.warehouse.exists():
        return
    generate_marketplace(
        made.warehouse,
        sellers=made.sellers,
        weeks=made.weeks,
        first_week=LAST_CYCLE - timedelta(weeks=made.weeks - 1),
        items=made.items,
        progress=lambda done, total: tell(f"made {done:,} of {total:,} items"),
    )


def prepare(warehouse: Path, home: Path) -> Inputs:
    """Write the policy's tables and what a ledger without a past gives as history."""
    from vibes_pipeline.engine.models import closure
    from vibes_pipeline.engine.weekly import weekly_models
    from vibes_pipeline.keys import home_key
    from vibes_pipeline.ledger import history
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.slots import weekly

    run = begin(warehouse, home)
    ledger = Ledger.open(settings(warehouse, home), run.policy.country)
    weekly.take_history(run, ledger)
    for name, rows in history.past(ledger, history.Keys([], [], [])).items():
        run.engine.write(f"ledger.{name}", rows)
    ledger.close()
    policy = home / "policy"
    policy.mkdir()
    for name, frame in run.engine.policy.items():
        frame.write_parquet(policy / f"{name}.parquet")
    parameters = run.parameters()
    return Inputs(
        warehouse=warehouse,
        policy=policy,
        ledger=run.engine.partition(weekly.FACTS).parent,
        key=home_key(home).file,
        time_zone=run.policy.time_zone.key,
        script={
            "country": run.policy.country,
            "cycle": run.period,
            "time_zone": run.policy.time_zone.key,
            "now": run.now.astimezone(UTC),
            "week_start": run.week.start.astimezone(UTC),
            "week_end": run.week.end.astimezone(UTC),
            "horizon": run.parameters()["horizon"].astimezone(UTC),
        },
        queries=tuple(
            Query(
                m.relation,
                m.sql,
                {name: parameters[name] for name in m.parameters},
                not m.is_ephemeral,
            )
            for m in closure(model.relation for model in weekly_models())
        ),
    )


def begin(warehouse: Path, home: Path, memory: str | None = None) -> SlotRun:
    """The last cycle's weekly alert, at the minute it is due."""
    from vibes_pipeline.calendar import Slot
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.slots.run import SlotRun

    policy = load_policy("ng")
    return SlotRun.begin(
        Slot.WEEKLY_ALERT,
        LAST_CYCLE,
        policy,
        settings(warehouse, home, memory),
        now=policy.slot_calendar.due_at(Slot.WEEKLY_ALERT, LAST_CYCLE),
        is_simulated=True,
    )


def settings(warehouse: Path, home: Path, memory: str | None = None) -> Settings:
    """A home of the benchmark's own, whatever the environment says."""
    from vibes_pipeline.settings import Settings

    given = {"VIBES_HOME": str(home), "VIBES_WAREHOUSE": str(warehouse)}
    return Settings.from_environment({**given, **({"VIBES_MEMORY": memory} if memory else {})})


# --- the contenders -------------------------------------------------------------------------------


class Content(NamedTuple):
    """What a relation holds: rows, naira if it has an `amount`, and a sum of its rows' hashes."""

    rows: int
    amount: Decimal | None
    checksum: int


@dataclass(frozen=True)
class Outcome:
    """What one process took, and what came of it, by relation.

    `contents` are whole relations, of those who make them; `decided` is what all contenders make.
    """

    taken: Taken
    decided: Mapping[str, Content]
    contents: Mapping[str, Content]


def run_engine(inputs: Inputs) -> Outcome:
    """The weekly alert's models as the pipeline runs them, into Parquet partitions."""
    import duckdb

    from vibes_pipeline.engine.weekly import weekly_models
    from vibes_pipeline.slots import weekly

    watch = Stopwatch.of_process()
    with tempfile.TemporaryDirectory(prefix="vibes-") as home:
        shutil.copy(inputs.key, home)
        run = begin(inputs.warehouse, Path(home), inputs.memory)
        shutil.copytree(inputs.ledger, run.engine.partition(weekly.FACTS).parent)
        parameters = run.parameters()
        for model in weekly_models():
            with watch.part(model.relation):
                run.engine.materialize(model, parameters)
        taken = watch.stop()
        made = {
            relation: duckdb.read_parquet(str(run.engine.partition(relation)))
            for relation in taken.seconds_of
        }
        return Outcome(taken, decided(made), contents(made))


def run_bare(inputs: Inputs) -> Outcome:
    """The same SQL as tables of one in-memory DuckDB, its session set like the engine's."""
    import duckdb

    watch = Stopwatch.of_process()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = $zone", {"zone": inputs.time_zone})
    connection.execute("SET preserve_insertion_order = false")
    mount(connection, inputs)
    for query in inputs.queries:
        with watch.part(query.relation):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {query.relation.split('.')[0]}")
            connection.execute(f"CREATE TABLE {query.relation} AS {query.sql}", query.parameters)
    taken = watch.stop()
    kept = [query.relation for query in inputs.queries if query.is_kept]
    made = {relation: connection.table(relation) for relation in kept}
    return Outcome(taken, decided(made), contents(made))


def run_polars(inputs: Inputs) -> Outcome:
    """The plain script, its decisions written as Parquet files."""
    from weekly_polars import Script

    watch = Stopwatch.of_process()
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        frames = Script(raw=inputs.warehouse, policy=inputs.policy, **inputs.script).decisions()
        files = {relation: Path(scratch) / f"{relation}.parquet" for relation in frames}
        for relation, file in files.items():
            frames[relation].write_parquet(file)
        taken = watch.stop()
        import duckdb

        made = {relation: duckdb.read_parquet(str(file)) for relation, file in files.items()}
        return Outcome(taken, decided(made), {})


def mount(connection: duckdb.DuckDBPyConnection, inputs: Inputs) -> None:
    """Give a connection the schemas `raw`, `policy` and `ledger`."""
    from vibes_pipeline import parquet

    connection.execute("CREATE SCHEMA raw")
    for table in inputs.warehouse.glob("*.parquet"):
        rows = parquet.sql_rows([table])
        connection.execute(f"CREATE VIEW raw.{table.stem} AS FROM {rows}")
    for schema, folder in (("policy", inputs.policy), ("ledger", inputs.ledger)):
        connection.execute(f"CREATE SCHEMA {schema}")
        for table in folder.glob("*.parquet"):
            connection.read_parquet(str(table)).create(f"{schema}.{table.stem}")


def contents(made: Mapping[str, duckdb.DuckDBPyRelation]) -> Mapping[str, Content]:
    """What whole relations hold."""
    return {relation: content(rows) for relation, rows in made.items()}


def decided(made: Mapping[str, duckdb.DuckDBPyRelation]) -> Mapping[str, Content]:
    """What the decisions hold, as far as the plain script makes them."""
    return {relation: content(made[relation].select(cols)) for relation, cols in DECIDED.items()}


def content(relation: duckdb.DuckDBPyRelation) -> Content:
    """What a relation holds, in whatever order."""
    amount = "sum(amount)" if "amount" in relation.columns else "NULL"
    sums = relation.set_alias("row").aggregate(f"count(*), {amount}, sum(hash(row))")
    return Content(*sums.fetchall()[0])


CONTENDERS: Mapping[str, Callable[[Inputs], Outcome]] = {
    POLARS: run_polars,
    BARE: run_bare,
    ENGINE: run_engine,
}


# --- the rounds and their report ------------------------------------------------------------------


@click.command()
@click.option("--items", type=click.IntRange(min=1), default=5_000_000, show_default=True)
@click.option("--sellers", type=click.IntRange(min=20), default=3_000, show_default=True)
@click.option("--weeks", type=click.IntRange(min=5), default=12, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--only", type=click.Choice(list(CONTENDERS)), multiple=True, help="Leave the others out."
)
@click.option("--memory", help="The engine's VIBES_MEMORY.  [default: its own]")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the made warehouse, used again by later runs.  [default: a temporary one]",
)
def main(
    items: int,
    sellers: int,
    weeks: int,
    rounds: int,
    only: Sequence[str],
    memory: str | None,
    keep: Path | None,
) -> None:
    """Measure the weekly alert's compute and print a Markdown table."""
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        made = Marketplace((keep or Path(scratch)).resolve(), items, sellers, weeks)
        in_fresh_process(make_warehouse, made)
        inputs = in_fresh_process(prepare, made.warehouse, Path(scratch) / "home")
        names = [name for name in CONTENDERS if name in (only or CONTENDERS)]
        turns = take_turns(replace(inputs, memory=memory), rounds, names)
        click.echo(report(made, turns))


@dataclass(frozen=True)
class Turns:
    """What every contender took, round by round, and what all of them made."""

    taken: Mapping[str, Sequence[Taken]]
    decided: Mapping[str, Content]
    contents: Mapping[str, Content]


def take_turns(inputs: Inputs, rounds: int, names: Sequence[str]) -> Turns:
    """Run the contenders round by round, each round in the opposite order of the last.

    Fails, naming the relations at fault, unless all of them make the same.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in names}
    expected_decisions: Mapping[str, Content] = {}
    expected: Mapping[str, Content] = {}
    for number in range(rounds):
        for name in names[:: -1 if number % 2 else 1]:
            outcome = in_fresh_process(CONTENDERS[name], inputs)
            taken[name].append(outcome.taken)
            tell(f"round {number + 1}, {name}: {outcome.taken.seconds:.2f} s")
            expected_decisions = expected_decisions or outcome.decided
            expected = expected or outcome.contents
            require_equal(expected_decisions, outcome.decided)
            require_equal(expected, outcome.contents or expected)
    return Turns(taken, expected_decisions, expected)


def require_equal(expected: Mapping[str, Content], made: Mapping[str, Content]) -> None:
    """`ClickException` that names the relations in which two contenders differ."""
    relations = expected.keys() | made.keys()
    if differing := sorted(r for r in relations if expected.get(r) != made.get(r)):
        raise click.ClickException(
            "the contenders differ: "
            + "; ".join(f"{r}: {expected.get(r)} and {made.get(r)}" for r in differing)
        )


def report(made: Marketplace, turns: Turns) -> str:
    """The Markdown that README.md carries."""
    size = sum(file.stat().st_size for file in made.warehouse.iterdir())
    rows = sum(c.rows for c in turns.contents.values())
    decisions = sum(c.rows for c in turns.decided.values())
    charged = sum(c.amount or 0 for c in turns.decided.values())
    return "\n".join(
        [
            f"{made.items:,} order items of {made.sellers:,} sellers in {made.weeks} weeks and a "
            f"running one, Parquet files of {gib(size)}; weekly alert of {LAST_CYCLE}; "
            f"{machine()}.",
            "",
            *contenders_table(turns),
            "",
            *models_table(turns),
            "",
            f"All decided the same: {decisions:,} actions, ₦{charged:,.2f} of charges. The SQL "
            f"made the same {len(turns.contents)} relations of {rows:,} rows.",
        ]
    )


def contenders_table(turns: Turns) -> list[str]:
    """Per contender medians, their ratios to the first's, each round's seconds, the peak."""
    lines = [
        "| | seconds | each round | ratio | processor seconds | ratio | peak memory |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    first = next(iter(turns.taken.values()))
    for name, runs in turns.taken.items():
        seconds, cpu_seconds = median_seconds(runs), median_cpu_seconds(runs)
        cells = (
            name,
            f"{seconds:.2f}",
            " · ".join(f"{run.seconds:.2f}" for run in runs),
            f"{seconds / median_seconds(first):.2f}",
            f"{cpu_seconds:.2f}",
            f"{cpu_seconds / median_cpu_seconds(first):.2f}",
            gib(max(run.peak_bytes for run in runs)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def models_table(turns: Turns) -> list[str]:
    """The models that take the engine longest, with their median seconds in each contender."""
    by_sql = {name: runs for name, runs in turns.taken.items() if name != POLARS}
    last = list(by_sql.values())[-1:]
    slowest = sorted(turns.contents, key=lambda r: -sum(median_seconds(runs, r) for runs in last))
    lines = [
        f"| model, seconds | rows | {' | '.join(by_sql)} |",
        f"| --- | ---: |{' ---: |' * len(by_sql)}",
    ]
    for relation in slowest[:MODELS_SHOWN]:
        seconds = " | ".join(f"{median_seconds(runs, relation):.2f}" for runs in by_sql.values())
        lines.append(f"| `{relation}` | {turns.contents[relation].rows:,} | {seconds} |")
    return lines


def median_seconds(runs: Sequence[Taken], relation: str | None = None) -> float:
    """Of whole runs, or of one relation's part in them."""
    return median(run.seconds_of[relation] if relation else run.seconds for run in runs)


def median_cpu_seconds(runs: Sequence[Taken]) -> float:
    """Of whole runs, all cores together."""
    return median(run.cpu_seconds for run in runs)


def gib(size: int) -> str:
    """Bytes, to be read."""
    return f"{size / 2**30:.2f} GiB"


def machine() -> str:
    """Processors, memory and versions that the numbers depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars"))
    return (
        f"{os.cpu_count()} cores, {gib(memory)}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {libraries}"
    )


def tell(line: str) -> None:
    """Progress, on standard error so that the table can be piped."""
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
