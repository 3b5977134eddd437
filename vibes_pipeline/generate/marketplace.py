"""Putting a made marketplace together: the roster, then block after block of order items.

Randomness is a hash of the seed, the item's number and a word, so an item is the same whatever was
made before it, and DuckDB makes millions of them in one pass with little memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from vibes_pipeline.errors import UsageError
from vibes_pipeline.generate.habits import Habits
from vibes_pipeline.generate.roster import Roster, make_roster
from vibes_pipeline.warehouse.file import count_rows, new_warehouse

ITEMS_PER_BLOCK = 500_000
# One week after the last observed week, for the last cycle's alert and implementation.
RUNNING_WEEKS = 1
FRIDAY_AFTERNOON_SECONDS = 4 * 86_400 + 15 * 3_600
WEEK_SECONDS = 7 * 86_400

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MadeMarketplace:
    """What was made: where, how many rows per table, and the span it is complete for.

    `first_week` and `last_week` are the Mondays of the first and last observed week whose cycle can
    be run in full. Slots may be run up to `loaded_through`, the end of the week after `last_week`.
    """

    path: Path
    rows: dict[str, int]
    first_week: date
    last_week: date
    loaded_through: datetime


def generate_marketplace(
    out: Path,
    *,
    sellers: int,
    weeks: int,
    first_week: date,
    items: int | None = None,
    seed: int = 1,
    country: str = "NG",
    time_zone: str = "Africa/Lagos",
    progress: Progress | None = None,
    overwrite: bool = False,
    habits: Habits | None = None,
) -> MadeMarketplace:
    """Write an order warehouse (Rulebook §13) with exactly `items` order items to `out`.

    Orders begin on `first_week` (a Monday, 00:00 in `time_zone`) and go on for `weeks` observed
    weeks and one running week, so that the last cycle's alert and implementation, and the late
    orders of those days, also find orders as usual. Nothing happens after the running week;
    `raw.loads` says that every table is complete through its end. The same arguments make the same
    rows.

    `progress` is called with the items made so far and the items to make. Clock changes within the
    span are ignored: in a zone with summer time, the shops' hours are one hour off for a part of
    it. Public holidays are working days like others.

    Raises UsageError for a `first_week` that is no Monday, an unknown time zone, counts below 1,
    and, as `new_warehouse` does, for an `out` that cannot be written.
    """
    habits = habits or Habits()
    all_weeks = weeks + RUNNING_WEEKS
    if items is None:
        items = sellers * all_weeks * habits.items_per_seller_week
    _require_sense(sellers, weeks, items, first_week)
    zone = _zone(time_zone)
    start = _midnight(first_week, zone)
    end = _midnight(first_week + timedelta(weeks=all_weeks), zone)
    span_seconds = int(end.timestamp() - start.timestamp())
    roster = make_roster(sellers, weeks, habits, Random(seed))
    is_torn = items >= habits.fewest_weekly_items_for_bad_rows * all_weeks
    values = _values(habits) | {
        "seed": seed,
        "country": country,
        "first_week": first_week,
        "start_epoch": int(start.timestamp()),
        "span_seconds": span_seconds,
        "all_weeks": all_weeks,
        "middle_week": max(weeks // 2, 1),
        "last_week": weeks - 1,
        "last_friday": weeks * WEEK_SECONDS + FRIDAY_AFTERNOON_SECONDS,
        "sellers": sellers,
        "items": items,
        "customers": max(items // habits.items_per_customer, 1),
        "foreign_sku": roster.products["sku"][-1],
        "has_torn_rows": is_torn,
        "items_per_bad_row": habits.items_per_bad_row if is_torn else None,
        "claims_per_trouble": max(habits.fewest_claims_per_trouble, weeks // 2),
    }
    with new_warehouse(out, overwrite=overwrite) as con:
        _prepare(con, roster, values)
        _run(con, "sellers", values)
        _run(con, "products", values)
        for begin in range(0, items, ITEMS_PER_BLOCK):
            block_end = min(begin + ITEMS_PER_BLOCK, items)
            _run(con, "order_items", values | {"from_item": begin, "to_item": block_end})
            if progress:
                progress(block_end, items)
        for table in ("dropoff_qc", "counterfeit_cases", "claims", "account_decisions", "loads"):
            _run(con, table, values)
        rows = count_rows(con)
    last_week = first_week + timedelta(weeks=weeks - 1)
    return MadeMarketplace(out, rows, first_week, last_week, loaded_through=end)


def _require_sense(sellers: int, weeks: int, items: int, first_week: date) -> None:
    for name, count in (("sellers", sellers), ("weeks", weeks), ("items", items)):
        if count < 1:
            raise UsageError(f"a made marketplace needs at least 1 of its {name}, not {count}")
    if first_week.weekday() != 0:
        raise UsageError(
            f"the first week is named by its Monday; {first_week} is a {first_week:%A}"
        )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(f"{name} is no known time zone; write it like Africa/Lagos") from error


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def _values(habits: Habits) -> dict[str, object]:
    """The habits by the names that the SQL files use."""
    plain: dict[str, object] = {}
    for field in fields(habits):
        value = getattr(habits, field.name)
        if isinstance(value, (int, float)):
            plain[field.name] = value
    return plain | {
        "weekday_of_slot": _slots(habits.demand_by_weekday),
        "hour_of_slot": _slots(habits.demand_by_hour),
        "delivery_from_days": habits.delivery_days[0],
        "delivery_to_days": habits.delivery_days[1],
        "return_from_days": habits.return_days[0],
        "return_to_days": habits.return_days[1],
        "found_from_days": habits.counterfeit_found_days[0],
        "found_to_days": habits.counterfeit_found_days[1],
    }


def _slots(percentages: tuple[int, ...]) -> list[int]:
    """A hundred slots, each naming a weekday or hour, in the proportion of its percentage."""
    return [index for index, share in enumerate(percentages) for _ in range(share)]


def _prepare(con: duckdb.DuckDBPyConnection, roster: Roster, values: Mapping[str, object]) -> None:
    """Give the SQL files their relations, variables and macros."""
    # The SQL files name the big table first and join small tables to it. DuckDB's optimizer guesses
    # sizes wrong at times and swaps the two; such a join uses a single core.
    con.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    con.register("roster_sellers", roster.sellers)
    con.register("roster_products", roster.products)
    con.execute("CREATE TEMP TABLE made_sellers AS SELECT * FROM roster_sellers")
    con.execute("CREATE TEMP TABLE made_products AS SELECT * FROM roster_products")
    con.execute(
        "CREATE TEMP VIEW newcomers AS "
        "SELECT rank, opens_week FROM made_sellers WHERE opens_week IS NOT NULL"
    )
    # A table, because DuckDB reads a table with all cores, but makes a range with a single core.
    con.execute(
        "CREATE TEMP TABLE numbers AS SELECT number FROM range($n) AS r (number)",
        {"n": ITEMS_PER_BLOCK},
    )
    macros = _sql("macros")
    for name in sorted(set(re.findall(r"getvariable\('(\w+)'\)", macros))):
        con.execute(f"SET VARIABLE {name} = $value", {"value": values[name]})
    con.execute(macros)


def _run(con: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, object]) -> None:
    """Run one SQL file with the values that it names."""
    sql = _sql(name)
    con.execute(sql, {key: values[key] for key in set(re.findall(r"\$(\w+)", sql))})


def _sql(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
