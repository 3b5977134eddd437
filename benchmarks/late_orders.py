"""Whether a day's late alert costs more as the order warehouse grows older.

Here belongs the late alert's compute of one day, on two made marketplaces that sell as much a day,
one of which has been open twenty times as long; beside it, one plain query over the whole table.
The ledger is a real one without actions; no mail is written. Whether both found the same items is
checked, not assumed.

This module imports little by itself: each contender runs in a process of its own and imports there
what it needs, so that its peak memory is its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click
from measure import Stopwatch, Taken, in_fresh_process
from weekly_compute import gib, machine, settings, tell

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

    from vibes_pipeline.policy import Policy
    from vibes_pipeline.slots.run import SlotRun

DAY = date(2026, 11, 20)
# The day is the Friday of the made marketplaces' last, running week.
LAST_OBSERVED_WEEK = date(2026, 11, 9)
FIRST_LATE_DAY = date(2026, 10, 1)
SELLERS = 3_000
YOUNG_ITEMS = 1_000_000
YOUNG_WEEKS = 7
OLDER_BY = 20

PIPELINE = "the pipeline's late alert"
PLAIN = "one plain query"
FILE = "DuckDB file"
FOLDER = "Parquet folder"


# Of all rows those that are good, as they stood at $now and open then, whatever their age. Beyond
# what is asked of a row here, the rulebook asks what a made marketplace never breaks.
PLAIN_QUERY = """
WITH open AS (
    SELECT
        i.order_item_id,
        CASE WHEN i.ready_to_ship_at <= $now THEN 'ready_to_ship' ELSE 'pending' END AS state,
        CASE WHEN i.ready_to_ship_at <= $now THEN i.ready_to_ship_at ELSE i.pending_at END AS since
    FROM raw.order_items AS i
    INNER JOIN raw.sellers AS s ON i.seller_id = s.seller_id AND s.country = $country
    INNER JOIN raw.products AS p ON i.sku = p.sku AND i.seller_id = p.seller_id
    WHERE
        i.pending_at <= $now
        AND COALESCE(i.cancelled_at > $now, TRUE)
        AND COALESCE(LEAST(i.shipped_at, i.delivered_at, i.rejected_at) > $now, TRUE)
        AND i.item_price >= 0
        AND i.commission >= 0
        AND COALESCE(
            i.pending_at <= LEAST(
                i.ready_to_ship_at, i.shipped_at, i.delivered_at,
                i.cancelled_at, i.rejected_at, i.returned_at
            ),
            TRUE
        )
        AND (i.delivered_at IS NULL OR i.rejected_at IS NULL)
        AND (i.cancelled_at IS NULL OR COALESCE(i.cancel_reason IN $cancel_reasons, FALSE))
        AND (i.returned_at IS NULL OR COALESCE(i.return_reason IN $return_reasons, FALSE))
),

full_at AS (
    SELECT
        o.*,
        c.clock_before + $hours * 3600
        + CASE WHEN c.is_fulfilment_day THEN EPOCH(o.since - c.starts_at) ELSE 0 END AS clock
    FROM open AS o
    INNER JOIN calendar AS c ON c.day = CAST(o.since AS DATE)
),

overdue AS (
    SELECT
        f.order_item_id,
        f.state,
        c.starts_at + TO_SECONDS(f.clock - c.clock_before) AS deadline_at
    FROM full_at AS f
    INNER JOIN calendar AS c
        ON c.is_fulfilment_day AND f.clock > c.clock_before AND f.clock <= c.clock_after
    WHERE
        c.starts_at + TO_SECONDS(f.clock - c.clock_before) <= $cancels_at
        AND CAST(c.starts_at + TO_SECONDS(f.clock - c.clock_before) AS DATE) >= $looks_back_to
)

SELECT order_item_id, state, deadline_at
FROM overdue
WHERE
    order_item_id IN (
        SELECT order_item_id
        FROM raw.order_items
        WHERE order_item_id IN (SELECT order_item_id FROM overdue)
        GROUP BY order_item_id
        HAVING COUNT(*) = 1
    )
"""


# --- what both are given --------------------------------------------------------------------------


class Source(NamedTuple):
    """One of the order warehouses: how it is stored, and for how many weeks it goes back."""

    storage: str
    weeks: int


def make_warehouses(folder: Path) -> Mapping[Source, Path]:
    """Make both marketplaces, each as a DuckDB file and as Parquet, unless an earlier run has."""
    from vibes_pipeline.generate import generate_marketplace

    made = {}
    for weeks in (YOUNG_WEEKS, YOUNG_WEEKS * OLDER_BY):
        # The last week is the running one, which the generator does not count.
        observed = weeks - 1
        file = folder / f"{SELLERS}-sellers-{weeks}-weeks-{items_of(weeks)}-items.duckdb"
        if not file.exists():
            generate_marketplace(
                file,
                sellers=SELLERS,
                weeks=observed,
                first_week=LAST_OBSERVED_WEEK - timedelta(weeks=observed - 1),
                items=items_of(weeks),
                progress=lambda done, total: tell(f"made {done:,} of {total:,} items"),
            )
        made[Source(FILE, weeks)] = file
        made[Source(FOLDER, weeks)] = as_parquet(file)
    return made


def items_of(weeks: int) -> int:
    """How many order items are made in so many weeks."""
    return YOUNG_ITEMS * weeks // YOUNG_WEEKS


def as_parquet(file: Path) -> Path:
    """The same warehouse as a folder with one Parquet file per table, rows in the same order."""
    import duckdb

    folder = file.with_suffix("")
    if not folder.exists():
        unfinished = folder.with_suffix(".tmp")
        unfinished.mkdir(exist_ok=True)
        with duckdb.connect(str(file), read_only=True) as connection:
            for (name,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'"
            ).fetchall():
                tell(f"writing {name} of {file.stem} as Parquet")
                table = connection.table(f"raw.{name}")
                table.write_parquet(str(unfinished / f"{name}.parquet"), compression="zstd")
        unfinished.rename(folder)
    return folder


def begin(warehouse: Path, home: Path, day: date = DAY) -> SlotRun:
    """The late alert of a day, at the minute it is due."""
    from vibes_pipeline.calendar import Slot
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.slots.run import SlotRun

    policy = load_policy("ng")
    return SlotRun.begin(
        Slot.LATE_ALERT,
        day,
        policy,
        settings(warehouse, home),
        now=policy.slot_calendar.due_at(Slot.LATE_ALERT, day),
        is_simulated=True,
    )


def begin_ledger(warehouse: Path, home: Path) -> None:
    """Give the home a ledger with an old late alert, so that the rule looks back in full."""
    from vibes_pipeline.ledger.ledger import Ledger

    run = begin(warehouse, home, FIRST_LATE_DAY)
    ledger = Ledger.open(settings(warehouse, home), run.policy.country)
    with ledger.writing(is_simulated=True, now=run.now) as connection:
        ledger.record_effects(connection, run.slot, run.period, run.due_at, run.now)
    ledger.close()


# --- the contenders -------------------------------------------------------------------------------


class Overdue(NamedTuple):
    """An item to be cancelled tonight unless it is updated: in which state, and by when."""

    order_item_id: str
    entered_state: str
    deadline_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What one run took, its imports and the ledger's start aside, and what it found."""

    taken: Taken
    found: frozenset[Overdue]


def run_pipeline(warehouse: Path, home: Path) -> Outcome:
    """The late alert as the pipeline computes it, up to the actions that it would propose."""
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.slots import late_orders

    ledger = Ledger.open(settings(warehouse, home), "NG")
    watch = Stopwatch()
    run = begin(warehouse, home)
    late_orders.find_overdue(run, ledger)
    decided = late_orders.decide(run, ledger)
    taken = watch.stop()
    ledger.close()
    rows = decided.select(Overdue._fields).iter_rows()
    return Outcome(taken, frozenset(map(Overdue._make, rows)))


def run_plain(warehouse: Path, _home: Path) -> Outcome:
    """What one would type: a single query over the whole table, whose rows are fetched."""
    import duckdb

    from vibes_pipeline.calendar import Slot
    from vibes_pipeline.policy import load_policy

    policy = load_policy("ng")
    lookback_days = policy.late_orders.late_lookback_days.on(DAY)
    watch = Stopwatch()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = $zone", {"zone": policy.time_zone.key})
    mount(connection, warehouse, policy)
    rows = connection.execute(
        PLAIN_QUERY,
        {
            "country": policy.country,
            "now": policy.slot_calendar.due_at(Slot.LATE_ALERT, DAY),
            "cancels_at": policy.slot_calendar.due_at(Slot.LATE_CANCELLATION, DAY),
            "looks_back_to": DAY - timedelta(days=lookback_days),
            "hours": policy.fulfilment.hours.on(DAY),
            "cancel_reasons": list(policy.warehouse.cancel_reasons.on(DAY)),
            "return_reasons": list(policy.warehouse.return_reasons.on(DAY)),
        },
    ).fetchall()
    taken = watch.stop()
    return Outcome(taken, frozenset(map(Overdue._make, rows)))


def mount(connection: duckdb.DuckDBPyConnection, warehouse: Path, policy: Policy) -> None:
    """Give a connection the schema `raw` and the policy's calendar."""
    from vibes_pipeline.policy.tables import policy_tables

    connection.register("policy_calendar", policy_tables(policy)["calendar"])
    connection.execute("CREATE TABLE calendar AS SELECT * FROM policy_calendar")
    connection.execute("CREATE SCHEMA raw")
    place = str(warehouse).replace("'", "''")
    if warehouse.is_file():
        connection.execute(f"ATTACH '{place}' AS order_warehouse (READ_ONLY)")
    for name in ("sellers", "products", "order_items"):
        stored = (
            f"'{place}/{name}.parquet'" if warehouse.is_dir() else f"order_warehouse.raw.{name}"
        )
        connection.execute(f"CREATE VIEW raw.{name} AS SELECT * FROM {stored}")


CONTENDERS: Mapping[str, Callable[[Path, Path], Outcome]] = {
    PIPELINE: run_pipeline,
    PLAIN: run_plain,
}


# --- the rounds and their report ------------------------------------------------------------------


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the made warehouses, used again by later runs.  [default: a temporary one]",
)
def main(rounds: int, keep: Path | None) -> None:
    """Measure a day's late alert on a young and an old marketplace and print a Markdown table."""
    # A short path, for the ledger's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="vibes-", dir="/tmp") as scratch:
        folder = (keep or Path(scratch)).resolve()
        home = Path(scratch) / "home"
        warehouses = in_fresh_process(make_warehouses, folder)
        in_fresh_process(begin_ledger, next(iter(warehouses.values())), home)
        click.echo(report(warehouses, take_turns(warehouses, home, rounds)))


class Turn(NamedTuple):
    """Who computed, on which warehouse."""

    contender: str
    source: Source


@dataclass(frozen=True)
class Turns:
    """What every contender took on every warehouse, round by round, and how much each found."""

    taken: Mapping[Turn, Sequence[Taken]]
    found: Mapping[int, int]


def take_turns(warehouses: Mapping[Source, Path], home: Path, rounds: int) -> Turns:
    """Run the contenders round by round, each round in the opposite order of the last.

    Fails unless all of them find the same items in the same marketplace.
    """
    turns = [Turn(contender, source) for source in warehouses for contender in CONTENDERS]
    taken: dict[Turn, list[Taken]] = {turn: [] for turn in turns}
    expected: dict[int, frozenset[Overdue]] = {}
    for number in range(rounds):
        for turn in turns[:: -1 if number % 2 else 1]:
            run, warehouse = CONTENDERS[turn.contender], warehouses[turn.source]
            outcome = in_fresh_process(run, warehouse, home)
            taken[turn].append(outcome.taken)
            tell(
                f"round {number + 1}, {turn.source.weeks} weeks, {turn.source.storage}, "
                f"{turn.contender}: {outcome.taken.seconds:.2f} s"
            )
            require_equal(expected.setdefault(turn.source.weeks, outcome.found), outcome.found)
    return Turns(taken, {weeks: len(found) for weeks, found in expected.items()})


def require_equal(expected: frozenset[Overdue], found: frozenset[Overdue]) -> None:
    """`ClickException` that names an item which only one of two contenders found."""
    if differing := sorted(expected ^ found):
        raise click.ClickException(
            f"the contenders differ in {len(differing)} findings, such as {differing[0]}"
        )


def report(warehouses: Mapping[Source, Path], turns: Turns) -> str:
    """The Markdown that late_orders.md carries."""
    found = " and ".join(f"{count:,}" for count in turns.found.values())
    return "\n".join(
        [
            f"{SELLERS:,} sellers, {items_of(1):,} order items a week; late alert of {DAY}; "
            f"{machine()}.",
            "",
            *warehouses_table(warehouses),
            "",
            *contenders_table(turns),
            "",
            f"Both found the same items: {found}.",
        ]
    )


def warehouses_table(warehouses: Mapping[Source, Path]) -> list[str]:
    """How much is stored."""
    return [
        "| warehouse | order items | size |",
        "| --- | ---: | ---: |",
        *(
            f"| {source.weeks} weeks, {source.storage} | {items_of(source.weeks):,} "
            f"| {gib(stored_bytes(path))} |"
            for source, path in warehouses.items()
        ),
    ]


def stored_bytes(warehouse: Path) -> int:
    """Of a file, or of the files of a folder."""
    files = warehouse.iterdir() if warehouse.is_dir() else [warehouse]
    return sum(file.stat().st_size for file in files)


def contenders_table(turns: Turns) -> list[str]:
    """Per contender and way of storing: medians, young and old, their ratio, the highest peaks."""
    young, old = YOUNG_WEEKS, YOUNG_WEEKS * OLDER_BY
    lines = [
        f"| | | seconds, {young} weeks | seconds, {old} weeks | ratio "
        f"| processor seconds, {young} weeks | {old} weeks | ratio "
        f"| peak memory, {young} weeks | {old} weeks |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for storage in (FILE, FOLDER):
        for name in CONTENDERS:
            pair = [turns.taken[Turn(name, Source(storage, weeks))] for weeks in (young, old)]
            seconds = [median(run.seconds for run in runs) for runs in pair]
            cpu_seconds = [median(run.cpu_seconds for run in runs) for runs in pair]
            peaks = [gib(max(run.peak_bytes for run in runs)) for runs in pair]
            lines.append(
                f"| {storage} | {name} | {ratio(seconds)} | {ratio(cpu_seconds)} "
                f"| {' | '.join(peaks)} |"
            )
    return lines


def ratio(pair: Sequence[float]) -> str:
    """Three cells: young, old, and how many times the young the old is."""
    young, old = pair
    return f"{young:.2f} | {old:.2f} | {old / young:.2f}"


if __name__ == "__main__":
    main()
