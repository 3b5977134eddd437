"""What `vibes export` gives: the columns that finance and others rely on, out of a real ledger."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pyarrow.parquet as pq
import pytest
from ledger import made

from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports import files
from vibes_pipeline.exports.files import write_rows, write_table
from vibes_pipeline.exports.tables import (
    BY_STATEMENT_PERIOD,
    EXPORTS,
    Source,
    open_table,
    read_table,
)
from vibes_pipeline.ledger import copy_out, schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.rules import CHARGES as CHARGE_RULES

ACTIONS = [
    *("action_id", "reference", "rule", "cycle", "seller_id", "sku", "order_number"),
    *("order_item_id", "amount", "currency", "band", "daily_order_limit"),
    *("pending_to_shipped_limit", "grounds", "occurrence", "state", "policy_version"),
    *("proposed_at", "alerted_at", "implemented_at", "reversed_at", "claim_id"),
]
CHARGES = [
    *("posting_id", "action_id", "reference", "kind", "amount", "currency", "posted_at"),
    *("statement_period", "seller_id", "shop_name", "rule", "order_number", "order_item_id"),
    *("sku", "cycle", "claim_id"),
]
REVERSED_AT = made.IMPLEMENT_AT + timedelta(days=3)


@pytest.fixture
def source(ledger: Ledger, tmp_path: Path) -> Source:
    return Source(ledger, tmp_path, made.LAGOS)


@pytest.fixture(scope="module")
def cycled(module_ledger: Ledger) -> Ledger:
    """A handful implemented, one charge of it reversed by a claim; the next cycle proposed."""
    ledger = module_ledger
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.reverse(ledger, made.charge("S-1", "I1"), REVERSED_AT)
    given = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(ledger, [made.order_regulation("S-1", given=given)], cycle=made.NEXT_CYCLE)
    return ledger


@pytest.fixture
def after_a_cycle(cycled: Ledger, tmp_path: Path) -> Source:
    """What is exported of it, with a lake of the test's own."""
    return Source(cycled, tmp_path, made.LAGOS)


def partition(source: Source, relation: str, frame: pl.DataFrame, cycle: date = made.CYCLE) -> None:
    """Put a model's rows where the weekly alert of a cycle leaves them."""
    stage, name = relation.split(".")
    file = source.lake / "NG" / "weekly-alert" / cycle.isoformat() / stage / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(file)


# --- times ---------------------------------------------------------------------------------------


def test_every_format_gives_the_lakes_times_too_in_the_policys_zone(
    after_a_cycle: Source, tmp_path: Path
) -> None:
    notified_at = made.local("2026-11-16 00:30")
    case = pl.DataFrame({"case_id": ["CF-1"], "notified_at": [notified_at]}).with_columns(
        pl.col("notified_at").dt.convert_time_zone("UTC")
    )
    partition(after_a_cycle, "claims.held_counterfeit_cases", case)
    frame = read_table("held_counterfeit_cases", after_a_cycle)
    assert frame.schema["notified_at"] == pl.Datetime("us", "Africa/Lagos")
    for ending in ("csv", "parquet", "xlsx"):
        write_table(frame, tmp_path / f"held.{ending}", "held")
    assert "2026-11-16T00:30:00+01:00" in (tmp_path / "held.csv").read_text()
    assert pl.read_parquet(tmp_path / "held.parquet")["notified_at"].to_list() == [notified_at]
    assert pl.read_parquet_schema(tmp_path / "held.parquet")["notified_at"] == pl.Datetime(
        "us", "Africa/Lagos"
    )
    cells = openpyxl.load_workbook(tmp_path / "held.xlsx").active
    assert cells["C2"].value == notified_at.replace(tzinfo=None)


@pytest.mark.parametrize("table", ["actions", "charges", "notices", "order_regulations_in_force"])
def test_the_ledgers_times_are_in_the_policys_zone(after_a_cycle: Source, table: str) -> None:
    frame = read_table(table, after_a_cycle)
    zones = {t.time_zone for t in frame.dtypes if isinstance(t, pl.Datetime)}
    assert zones == {"Africa/Lagos"}


# --- columns ------------------------------------------------------------------------------------


def test_the_columns_tried_here_are_those_of_the_design(shared: Path) -> None:
    design = (shared / "DESIGN.md").read_text(encoding="utf-8")
    assert f"`{', '.join(ACTIONS)}`" in design
    assert (
        ", ".join(CHARGES)
        .replace("kind", "kind (debit, reversal)")
        .replace(", amount,", ", amount (signed),")
        in design
    )


def test_actions_begin_with_exactly_the_columns_of_the_design(after_a_cycle: Source) -> None:
    assert read_table("actions", after_a_cycle).columns[: len(ACTIONS)] == ACTIONS


def test_charges_have_exactly_the_columns_of_the_design(after_a_cycle: Source) -> None:
    assert read_table("charges", after_a_cycle).columns == CHARGES


@pytest.mark.parametrize("table", ["actions", "charges", "notices"])
def test_a_table_has_the_same_columns_and_types_whether_empty_or_not(
    source: Source, after_a_cycle: Source, table: str
) -> None:
    empty = read_table(table, source)
    assert empty.is_empty()
    full = read_table(table, after_a_cycle)
    assert not full.is_empty()
    assert empty.schema == full.schema


def test_every_table_of_the_design_can_be_asked_for() -> None:
    assert set(EXPORTS) >= {
        "actions",
        "charges",
        "seller_week",
        "order_regulations",
        "sales_regulations",
        "account_reviews",
        "notices",
        "quarantine",
    }


def test_a_table_of_no_name_is_answered_with_the_names(source: Source) -> None:
    with pytest.raises(UsageError) as error:
        read_table("chargess", source)
    assert str(error.value) == (
        "no table 'chargess' (did you mean charges or charge_totals?); the tables are "
        + ", ".join(sorted(EXPORTS))
    )


# --- rows ---------------------------------------------------------------------------------------


def test_an_action_shows_its_state_and_when_it_came_to_be(after_a_cycle: Source) -> None:
    table = read_table("actions", after_a_cycle)
    assert table.height == len(made.a_handful()) + 1
    charge = table.row(by_predicate=pl.col("order_item_id") == "I1", named=True)
    expected = {
        "reference": made.charge("S-1", "I1")["reference"],
        "rule": "returns_charge",
        "cycle": made.CYCLE,
        "amount": Decimal("3000.00"),
        "currency": "NGN",
        "state": "reversed",
        "policy_version": "made policy",
        "proposed_at": made.ALERT_AT,
        "alerted_at": made.ALERT_AT,
        "implemented_at": made.IMPLEMENT_AT,
        "reversed_at": REVERSED_AT,
        "claim_id": "C-1",
        "band": None,
    }
    assert {name: charge[name] for name in expected} == expected


def test_a_regulation_shows_its_limits_and_grounds(after_a_cycle: Source) -> None:
    table = read_table("actions", after_a_cycle)
    orders = table.filter(pl.col("rule") == "order_regulation", pl.col("cycle") == made.CYCLE)
    limits = orders.select("band", "daily_order_limit", "pending_to_shipped_limit", "amount")
    assert limits.rows() == [(2, 21, 42, None)]
    sales = table.filter(pl.col("rule") == "sales_regulation")
    assert sales.select("sku", "grounds", "occurrence").rows() == [
        ("SKU-A", "rejection_rate,return_rate", 4)
    ]


def test_finance_gets_one_row_per_posting_debits_positive_reversals_negative(
    after_a_cycle: Source,
) -> None:
    table = read_table("charges", after_a_cycle)
    shown = table.select("kind", "amount", "statement_period", "posted_at", "claim_id").rows()
    debit = ("debit", date(2026, 11, 16), made.IMPLEMENT_AT, None)
    assert sorted(shown, key=lambda row: row[1]) == [
        ("reversal", Decimal("-3000.00"), date(2026, 11, 23), REVERSED_AT, "C-1"),
        *((debit[0], Decimal(a), *debit[1:]) for a in ("1234.50", "3000.00", "50000.00")),
    ]
    assert table["posting_id"].n_unique() == 4


@pytest.mark.parametrize(
    ("why", "first", "second", "shop_names"),
    [
        ("no cycle saw it", {}, {}, {"S-1": None, "S-2": None}),
        (
            *("one cycle saw it", {"S-1": "Loom", "S-2": "=1+1"}, {}),
            {"S-1": "Loom", "S-2": "=1+1"},
        ),
        (
            *("the newest name counts", {"S-1": "Loom", "S-2": "Kettle"}, {"S-1": "Lantern"}),
            {"S-1": "Lantern", "S-2": "Kettle"},
        ),
        (
            *("a name may be taken back", {"S-1": "Loom", "S-2": "Kettle"}, {"S-1": None}),
            {"S-1": None, "S-2": "Kettle"},
        ),
        (
            *("a NUL, which no database holds", {"S-1": "Lo\0om", "S-2": "Kettle"}, {}),
            {"S-1": "Lo\ufffdom", "S-2": "Kettle"},
        ),
    ],
)
def test_a_charge_bears_its_shops_name(
    source: Source,
    why: str,
    first: dict[str, str | None],
    second: dict[str, str | None],
    shop_names: dict[str, str | None],
) -> None:
    ledger = source.ledger
    made.freeze_cycle(ledger, made.a_handful(), names=first)
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE, names=second)
    table = read_table("charges", source)
    assert dict(table.select("seller_id", "shop_name").iter_rows()) == shop_names
    assert table.height == 3


def test_only_shops_that_an_action_strikes_are_named_in_the_ledger(ledger: Ledger) -> None:
    names = {"S-1": "Loom", "S-9": "Bystander"}
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")], names=names)
    assert made.rows(ledger, schema.shops.c.seller_id) == [("S-1",)]


def test_notices_show_whom_they_reached_and_no_address(after_a_cycle: Source) -> None:
    table = read_table("notices", after_a_cycle)
    states = table.select("kind", "period", "seller_id", "status").rows()
    assert sorted(states) == [
        ("weekly_alert", made.CYCLE, "S-1", "sent"),
        ("weekly_alert", made.CYCLE, "S-2", "sent"),
        ("weekly_alert", made.CYCLE, "S-3", "sent"),
        ("weekly_alert", made.NEXT_CYCLE, "S-1", "queued"),
        ("weekly_implementation", made.CYCLE, "S-1", "queued"),
        ("weekly_implementation", made.CYCLE, "S-2", "queued"),
        ("weekly_implementation", made.CYCLE, "S-3", "queued"),
    ]
    assert not any("address" in column or "email" in column for column in table.columns)


@pytest.mark.parametrize(("table", "rows"), [("actions", 7), ("charges", 4), ("notices", 6)])
def test_one_cycle_can_be_asked_for(after_a_cycle: Source, table: str, rows: int) -> None:
    given = after_a_cycle
    only = Source(given.ledger, given.lake, given.time_zone, cycle=made.CYCLE)
    assert read_table(table, only).height == rows
    assert read_table(table, given).height == rows + (0 if table == "charges" else 1)


def test_another_countrys_rows_are_not_given(after_a_cycle: Source) -> None:
    kenya = Ledger(after_a_cycle.ledger.engine, "KE")
    for table in ("actions", "charges", "notices"):
        assert read_table(table, Source(kenya, after_a_cycle.lake, made.LAGOS)).is_empty()


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
@pytest.mark.parametrize("table", ["actions", "charges", "notices"])
def test_every_table_of_the_ledger_can_be_written_in_every_format(
    after_a_cycle: Source, table: str, ending: str
) -> None:
    frame = read_table(table, after_a_cycle)
    file = after_a_cycle.lake / f"{table}.{ending}"
    write_table(frame, file, table)
    if ending == "parquet":
        assert pl.read_parquet(file).equals(frame)
    assert file.stat().st_size > 0


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_a_long_table_is_never_whole_in_memory_and_its_file_is_the_same(
    after_a_cycle: Source, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, streamed = (after_a_cycle.lake / f"{name}.{ending}" for name in ("whole", "streamed"))
    frame = read_table("actions", after_a_cycle)
    write_table(frame, whole, "actions")
    monkeypatch.setattr(copy_out, "BATCH_BYTES", 1)
    monkeypatch.setattr(files, "ROWS_OF_A_GROUP", 3)
    written: list[int] = []
    with open_table("actions", after_a_cycle) as rows:
        assert rows.count() == frame.height
        assert write_rows(rows, streamed, "actions", written.append) == frame.height
    assert written == [1] * frame.height
    match ending:
        case "csv":
            assert streamed.read_bytes() == whole.read_bytes()
        case "parquet":
            assert pl.read_parquet(streamed).equals(frame)
            assert pq.ParquetFile(streamed).num_row_groups > 1
        case "xlsx":
            assert cells(streamed) == cells(whole)


def cells(file: Path) -> list[tuple[object, ...]]:
    sheet = openpyxl.load_workbook(file).active
    widths = [tuple((at, d.width) for at, d in sheet.column_dimensions.items())]
    return [*widths, *((c.value, c.number_format) for row in sheet.iter_rows() for c in row)]


def test_finance_s_tables_are_the_ledger_s_views(after_a_cycle: Source) -> None:
    statements = read_table("seller_statements", after_a_cycle)
    assert statements.columns == [
        *("statement_period", "seller_id", "shop_name", "currency", *CHARGE_RULES),
        *("debits", "reversals", "net", "postings"),
    ]
    totals = read_table("charge_totals", after_a_cycle)
    assert totals.columns == [
        *("statement_period", "rule", "currency", "debits", "reversals", "net"),
        *("debit_postings", "reversal_postings"),
    ]
    lines = read_table("seller_statement_lines", after_a_cycle)
    assert lines.columns == [
        *("statement_period", "seller_id", "shop_name", "rule", "currency"),
        *("debits", "reversals", "net", "debit_postings", "reversal_postings"),
    ]
    posted = read_table("charges", after_a_cycle)["amount"].sum()
    assert lines["net"].sum() == posted
    assert statements["net"].sum() == totals["net"].sum() == posted == Decimal("51234.50")
    assert statements.schema["net"] == pl.Decimal(18, 2)


@pytest.mark.parametrize("table", [t for t in BY_STATEMENT_PERIOD if "close" not in t])
def test_one_statement_period_can_be_asked_for(after_a_cycle: Source, table: str) -> None:
    given = after_a_cycle
    week = made.CYCLE + 2 * made.WEEK
    only = Source(given.ledger, given.lake, given.time_zone, statement_period=week)
    assert set(read_table(table, only)["statement_period"]) == {week}


def test_what_is_in_force_says_from_when_to_when(after_a_cycle: Source) -> None:
    orders = read_table("order_regulations_in_force", after_a_cycle)
    assert orders.select("seller_id", "daily_order_limit", "in_force_from").rows() == [
        ("S-1", 21, made.IMPLEMENT_AT)
    ]
    sales = read_table("sales_regulations_in_force", after_a_cycle)
    assert sales.select("sku", "occurrence", "in_force_until").rows() == [
        ("SKU-A", 4, made.IMPLEMENT_AT + timedelta(days=7))
    ]


def test_delistings_are_of_products_and_of_whole_accounts(after_a_cycle: Source) -> None:
    table = read_table("delistings", after_a_cycle)
    assert table.select("seller_id", "sku").rows() == [("S-2", "SKU-A"), ("S-3", None)]
    assert set(table["in_force_from"]) == {made.IMPLEMENT_AT}


# --- what the lake holds of each cycle ----------------------------------------------------------

SELLER_WEEK = pl.DataFrame({"seller_id": ["S-2", "S-1"], "shipped_items": [3, 5]})


def test_a_models_rows_of_every_decided_cycle_are_given_with_the_cycle_first(
    after_a_cycle: Source,
) -> None:
    for cycle in (made.CYCLE, made.NEXT_CYCLE, made.NEXT_CYCLE + made.WEEK):
        partition(after_a_cycle, "metrics.seller_week", SELLER_WEEK, cycle)
    table = read_table("seller_week", after_a_cycle)
    assert table.columns == ["cycle", "seller_id", "shipped_items"]
    assert table.rows() == [
        (cycle, seller, items)
        for cycle in (made.CYCLE, made.NEXT_CYCLE)
        for seller, items in (("S-1", 5), ("S-2", 3))
    ]
    given = after_a_cycle
    only = Source(given.ledger, given.lake, given.time_zone, cycle=made.NEXT_CYCLE)
    assert set(read_table("seller_week", only)["cycle"]) == {made.NEXT_CYCLE}


def test_a_model_before_the_first_decided_cycle_is_told_in_one_line(source: Source) -> None:
    partition(source, "metrics.seller_week", SELLER_WEEK)
    with pytest.raises(UsageError) as error:
        read_table("seller_week", source)
    assert str(error.value) == (
        "nothing is decided yet of metrics.seller_week; run `vibes run weekly-alert`"
    )


def test_what_a_model_says_only_since_a_cycle_is_null_before_it(after_a_cycle: Source) -> None:
    partition(after_a_cycle, "metrics.seller_week", SELLER_WEEK)
    more = SELLER_WEEK.with_columns(is_exempt=pl.lit(True))
    partition(after_a_cycle, "metrics.seller_week", more, made.NEXT_CYCLE)
    table = read_table("seller_week", after_a_cycle)
    assert table["is_exempt"].to_list() == [None, None, True, True]


def test_a_bad_row_seen_by_several_cycles_is_given_once_with_the_last(
    after_a_cycle: Source,
) -> None:
    bad = pl.DataFrame(
        {
            "table_name": ["order_items", "order_items", "sellers"],
            "row_id": ["I1", None, "S-1"],
            "seller_id": ["S-1", None, "S-1"],
            "faults": ["pending_at is null", "order_item_id is null", "country is null"],
            "stored_row": ["{}", "{}", "{}"],
        }
    )
    partition(after_a_cycle, "warehouse.quarantine", bad)
    partition(after_a_cycle, "warehouse.quarantine", bad.head(2), made.NEXT_CYCLE)
    table = read_table("quarantine", after_a_cycle)
    assert set(table.select("row_id", "last_seen_cycle").rows()) == {
        (None, made.NEXT_CYCLE),
        ("I1", made.NEXT_CYCLE),
        ("S-1", made.CYCLE),
    }
    assert table.height == 3
