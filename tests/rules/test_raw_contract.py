"""Rulebook §13: the tables, columns and types there must be, and how far they must be complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
import pytest
from marketplace import Item, Marketplace

from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import StaleWarehouse, WarehouseError
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.freshness import require_fresh

ALL = [model.relation for model in weekly_models()]
DECISIONS = [f"decisions.{rule}s" for rule in weekly.WEEKLY_RULES]


def full() -> Marketplace:
    """A marketplace with a row in every table that the weekly rules read."""
    marketplace = Marketplace()
    item = marketplace.item(Item(seller_id=marketplace.seller(seller_id="S")))
    marketplace.check(item)
    marketplace.counterfeit_case(item)
    marketplace.account_decision("S", "Tue 10:00")
    return marketplace


def test_a_marketplace_where_nothing_happened_decides_nothing(tmp_path: Path) -> None:
    decided = Marketplace().decide(tmp_path, *ALL)
    assert [decided.rows(relation) for relation in DECISIONS] == [[]] * len(DECISIONS)


def test_the_four_tables_that_may_be_absent_are_then_empty(tmp_path: Path) -> None:
    marketplace = Marketplace()
    marketplace.item()
    decided = marketplace.decide(tmp_path, *ALL)
    written = {file.stem for file in (tmp_path / "raw").iterdir()}
    assert written == {"sellers", "products", "order_items"}
    assert len(decided.rows("decisions.late_fulfilment_charges")) == 1


def decide_after(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Run the weekly models on a full warehouse that was changed meanwhile."""
    run = full().begin(tmp_path)
    change(tmp_path / "raw")
    for model in weekly_models():
        run.engine.materialize(model, run.parameters())


@pytest.mark.parametrize("table", ["sellers", "products", "order_items"])
def test_a_missing_table_is_named(tmp_path: Path, table: str) -> None:
    with pytest.raises(WarehouseError, match=rf"has no table raw\.{table}"):
        decide_after(tmp_path, lambda raw: (raw / f"{table}.parquet").unlink())


def rewritten(table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    def rewrite(raw: Path) -> None:
        file = raw / f"{table}.parquet"
        change(pl.read_parquet(file)).write_parquet(file)

    return rewrite


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("sellers", "is_jumia_express"),
        ("products", "product_type"),
        ("order_items", "return_reason"),
        ("dropoff_qc", "checked_at"),
        ("counterfeit_cases", "notified_at"),
        ("account_decisions", "decision"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, table: str, column: str) -> None:
    with pytest.raises(WarehouseError, match=rf"raw\.{table} .*has no column {column}"):
        decide_after(tmp_path, rewritten(table, lambda frame: frame.drop(column)))


@pytest.mark.parametrize(
    ("table", "column", "type_", "message"),
    [
        ("sellers", "is_jumia_express", pl.Int32(), "INTEGER; it must be BOOLEAN"),
        ("products", "sku", pl.Binary(), "BLOB; it must be VARCHAR"),
        ("order_items", "commission", pl.Float64(), r"DOUBLE; it must be DECIMAL\(14,2\)"),
        ("order_items", "item_price", pl.Decimal(14, 4), r"DECIMAL\(14,4\); it must be"),
        ("order_items", "pending_at", pl.Datetime("us"), "TIMESTAMP; it must be TIMESTAMP WITH"),
        ("dropoff_qc", "checked_at", pl.Date(), "DATE; it must be TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_a_wrong_type_is_named(
    tmp_path: Path, table: str, column: str, type_: pl.DataType, message: str
) -> None:
    with pytest.raises(WarehouseError, match=rf"raw\.{table}\.{column} .* is {message}"):
        decide_after(tmp_path, rewritten(table, lambda frame: frame.cast({column: type_})))


def test_further_columns_and_another_order_do_not_matter(tmp_path: Path) -> None:
    def reverse(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(pl.lit("more").alias("further"), *reversed(frame.columns))

    decide_after(tmp_path, rewritten("order_items", reverse))


# --- freshness ------------------------------------------------------------------------------------

COMPLETE = "Mon+1 00:00"
TABLES = (
    "sellers",
    "products",
    "order_items",
    "dropoff_qc",
    "counterfeit_cases",
    "account_decisions",
)


def loaded(tables: Iterable[str] = TABLES, **other: str) -> dict[str, str | None]:
    return {**dict.fromkeys(tables, COMPLETE), **other}


@pytest.mark.parametrize(
    ("loads", "reason"),
    [
        ({}, "nobody knows: a warehouse without raw.loads is taken as it is"),
        (loaded(), "every table is complete to the week's end, exactly"),
        (loaded(claims="2026-01-01"), "a table that is not there need not be complete"),
        (loaded(something_else="2026-01-01"), "nor one that is no table of ours"),
    ],
)
def test_the_weekly_alert_runs_on_a_complete_warehouse(
    tmp_path: Path, loads: dict[str, str | None], reason: str
) -> None:
    marketplace = full()
    marketplace.loads = loads
    require_fresh(marketplace.begin(tmp_path))


@pytest.mark.parametrize(
    ("loads", "message", "reason"),
    [
        (
            loaded(order_items="Sun 23:59:59.999999"),
            r"raw\.order_items \(2026-11-15 23:59\)",
            "a microsecond short",
        ),
        (loaded(account_decisions="2026-11-01"), r"raw\.account_decisions", "one of the smaller"),
        (loaded(TABLES[1:]), r"raw\.sellers \(no entry\)", "a table of which nothing is said"),
        ({"sellers": None}, r"raw\.sellers \(no entry\)", "said, but with no time"),
    ],
)
def test_a_table_not_complete_through_the_week_stops_the_weekly_alert(
    tmp_path: Path, loads: dict[str, str | None], message: str, reason: str
) -> None:
    marketplace = full()
    marketplace.loads = loads
    with pytest.raises(StaleWarehouse, match=message):
        require_fresh(marketplace.begin(tmp_path))
