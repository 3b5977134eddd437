"""How long the weekly alert computes, beside the same SQL in DuckDB or dbt, and plain scripts.

Here belongs the weekly alert's compute: every model of the last cycle of a made marketplace, run by
the pipeline's engine and, in turn, by one bare DuckDB connection and as a dbt project, and the same
decisions by a plain script, in Polars and in pandas. The ledger is empty and no mail is written;
neither is measured. Whether all computed the same is checked, not assumed.

This module imports little by itself: each contender runs in a process of its own and imports there
what it needs, so that its peak memory is its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from measure import Stopwatch, Taken, in_fresh_process
from weekly_tables import contenders_table, gib, machine, models_table

if TYPE_CHECKING:
    import duckdb

    from vibes_pipeline.engine.protocol import Parameters
    from vibes_pipeline.settings import Settings
    from vibes_pipeline.slots.run import SlotRun

LAST_CYCLE = date(2026, 11, 9)

BARE = "DuckDB alone"
DBT = "dbt-duckdb"
ENGINE = "the pipeline's engine"
PANDAS = "plain pandas"
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
    dbt: Path | None = None

    @property
    def session(self) -> Mapping[str, object]:
        """What DuckDB's session is set to, as the engine's is."""
        return {"TimeZone": self.time_zone, "preserve_insertion_order": False}


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
    for name, value in inputs.session.items():
        connection.execute(f"SET {name} = $value", {"value": value})
    mount(connection, inputs)
    for query in inputs.queries:
        with watch.part(query.relation):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {query.relation.split('.')[0]}")
            connection.execute(f"CREATE TABLE {query.relation} AS {query.sql}", query.parameters)
    return outcome_of_tables(watch.stop(), connection, inputs)


def run_dbt(inputs: Inputs) -> Outcome:
    """The same SQL as the models of a dbt project, each a table of one DuckDB file."""
    import duckdb
    from weekly_dbt import Project

    assert inputs.dbt is not None
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        project = Project(Path(scratch))
        sources = {"raw": inputs.warehouse, "policy": inputs.policy, "ledger": inputs.ledger}
        project.write(inputs.queries, sources, inputs.session)
        taken = project.run(inputs.dbt)
        with duckdb.connect(project.database, read_only=True) as connection:
            connection.execute("SET TimeZone = $zone", {"zone": inputs.time_zone})
            return outcome_of_tables(taken, connection, inputs)


def outcome_of_tables(
    taken: Taken, connection: duckdb.DuckDBPyConnection, inputs: Inputs
) -> Outcome:
    """What the models made as tables of a database."""
    kept = [query.relation for query in inputs.queries if query.is_kept]
    made = {relation: connection.table(relation) for relation in kept}
    return Outcome(taken, decided(made), contents(made))


def run_polars(inputs: Inputs) -> Outcome:
    """The plain Polars script, its decisions written as Parquet files."""
    from weekly_polars import Script

    watch = Stopwatch.of_process()
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        frames = Script(raw=inputs.warehouse, policy=inputs.policy, **inputs.script).decisions()
        for relation, frame in frames.items():
            frame.write_parquet(Path(scratch) / f"{relation}.parquet")
        return outcome_of_files(watch.stop(), Path(scratch))


def run_pandas(inputs: Inputs) -> Outcome:
    """The plain pandas script, its decisions written as Parquet files."""
    from weekly_pandas import Script

    watch = Stopwatch.of_process()
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        frames = Script(raw=inputs.warehouse, policy=inputs.policy, **inputs.script).decisions()
        for relation, frame in frames.items():
            frame.to_parquet(Path(scratch) / f"{relation}.parquet", index=False)
        return outcome_of_files(watch.stop(), Path(scratch))


def outcome_of_files(taken: Taken, folder: Path) -> Outcome:
    """What a script decided, from its Parquet files."""
    import duckdb

    made = {file.stem: duckdb.read_parquet(str(file)) for file in folder.iterdir()}
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
    PANDAS: run_pandas,
    BARE: run_bare,
    DBT: run_dbt,
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
@click.option(
    "--dbt",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The command dbt of an environment with dbt-duckdb.  [default: dbt is left out]",
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
    dbt: Path | None,
    memory: str | None,
    keep: Path | None,
) -> None:
    """Measure the weekly alert's compute and print a Markdown table."""
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
        made = Marketplace((keep or Path(scratch)).resolve(), items, sellers, weeks)
        in_fresh_process(make_warehouse, made)
        inputs = in_fresh_process(prepare, made.warehouse, Path(scratch) / "home")
        names = contenders(only, dbt)
        turns = take_turns(replace(inputs, memory=memory, dbt=dbt), rounds, names)
        click.echo(report(made, turns))


def contenders(only: Sequence[str], dbt: Path | None) -> Sequence[str]:
    """Who takes part: those asked for, or all that are at hand."""
    absent = {PANDAS: find_spec("pandas") is None, DBT: dbt is None}
    if missing := [name for name in only if absent.get(name)]:
        raise click.UsageError(f"{missing[0]} is not at hand: install it, or name it with --dbt")
    return [name for name in CONTENDERS if name in (only or CONTENDERS) and not absent.get(name)]


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


def tell(line: str) -> None:
    """Progress, on standard error so that the table can be piped."""
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
