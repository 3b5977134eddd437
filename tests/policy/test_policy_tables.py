"""The relations that SQL joins as `policy.NAME`: their columns, types, spans and rows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

import duckdb
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vibes_pipeline.policy import Policy, load_policy, loader
from vibes_pipeline.policy.loader import parse_former_policy
from vibes_pipeline.policy.tables import policy_tables

NG = Path(loader.__file__).with_name("ng.yaml").read_text(encoding="utf-8")
FIRST, OPEN = date(2016, 1, 1), date(9999, 12, 31)
A_DAY = date(2026, 11, 9)


@cache
def ng_tables() -> dict[str, pl.DataFrame]:
    return policy_tables(load_policy("ng"))


def tables_of(folder: Path, *edits: tuple[str, str]) -> dict[str, pl.DataFrame]:
    text = NG
    for old, new in edits:
        assert old in text, f"the policy no longer holds {old!r}"
        text = text.replace(old, new, 1)
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return policy_tables(load_policy(path=path))


SPAN = "valid_from Date, valid_until Date"
COLUMNS = {
    "cancel_reasons": f"{SPAN}, reason String, is_accountable Boolean, is_out_of_stock Boolean, "
    "is_late Boolean",
    "return_reasons": f"{SPAN}, reason String, is_quality Boolean",
    "failure_reasons": f"{SPAN}, reason String",
    "product_types": f"{SPAN}, product_type String",
    "fulfilment": f"{SPAN}, hours Int64",
    "calendar": "day Date, starts_at Datetime(time_unit='us', time_zone='Africa/Lagos'), "
    "ends_at Datetime(time_unit='us', time_zone='Africa/Lagos'), is_fulfilment_day Boolean, "
    "is_working_day Boolean, working_days Int64, clock_before Int64, clock_after Int64",
    "order_regulation": f"{SPAN}, window_weeks Int64, daily_order_minimum Int64, "
    "exempts_jumia_express Boolean, in_force_days Int64",
    "order_regulation_bands": f"{SPAN}, band Int32, from_pct Decimal(precision=9, scale=4), "
    "includes_from Boolean, to_pct Decimal(precision=9, scale=4), includes_to Boolean, "
    "daily_share_pct Decimal(precision=9, scale=4), daily_order_limit Int64, "
    "pending_to_shipped_multiple Int64, pending_to_shipped_limit Int64",
    "commission_charges": f"rule String, {SPAN}, "
    "commission_multiple Decimal(precision=9, scale=4), "
    "cap Decimal(precision=14, scale=2), exempt_first_days Int64",
    "quality_charges": f"rule String, reason String, {SPAN}, amount Decimal(precision=14, scale=2)",
    "counterfeit_charge": f"{SPAN}, amount Decimal(precision=14, scale=2), "
    "evidence_working_days Int64",
    "late_data": f"{SPAN}, late_arrival_days Int64",
    "sales_regulation": f"{SPAN}, rejection_window_days Int64, return_lag_weeks Int64, "
    "minimum_customers Int64, in_force_days Int64",
    "sales_regulation_thresholds": f"product_type String, sku String, {SPAN}, "
    "rejection_over_pct Decimal(precision=9, scale=4), "
    "return_over_pct Decimal(precision=9, scale=4)",
    "product_delisting": f"{SPAN}, occurrence Int64",
    "review_events": f"{SPAN}, event String",
    "late_orders": f"{SPAN}, late_lookback_days Int64",
    "notice": f"{SPAN}, notice_hours Int64, late_notice_hours Int64",
}


def test_there_are_no_other_relations() -> None:
    assert list(ng_tables()) == list(COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_relation_has_these_columns(name: str) -> None:
    schema = ng_tables()[name].schema
    assert ", ".join(f"{column} {dtype}" for column, dtype in schema.items()) == COLUMNS[name]


@pytest.mark.parametrize("name", [n for n in COLUMNS if n != "calendar"])
def test_undated_source_values_hold_from_the_first_listed_year_on(name: str) -> None:
    spans = ng_tables()[name].select("valid_from", "valid_until").unique()
    assert spans.rows() == [(FIRST, OPEN)]


def test_duckdb_reads_every_relation() -> None:
    with duckdb.connect() as connection:
        for name, frame in ng_tables().items():
            connection.register(name, frame)
            counted = connection.execute("SELECT count(*) FROM query_table($1)", [name])
            assert counted.fetchall() == [(frame.height,)]


def test_the_calendar_has_a_row_for_every_listed_day() -> None:
    calendar, days = ng_tables()["calendar"], load_policy("ng").calendar.days()
    assert calendar.height == len(days) == 12 * 365 + 3
    assert [tuple(vars(day).values()) for day in days[::97]] == calendar[::97].rows()


def test_the_bands_are_those_of_the_source() -> None:
    bands = ng_tables()["order_regulation_bands"].drop("valid_from", "valid_until")
    assert bands.rows() == [
        (0, Decimal(0), True, Decimal("2.5"), False, None, None, None, None),
        (1, Decimal("2.5"), True, Decimal(5), True, Decimal(75), None, 4, None),
        (2, Decimal(5), False, Decimal(10), True, Decimal(50), None, 2, None),
        (3, Decimal(10), False, None, False, None, 2, None, 4),
    ]


@given(rate=st.decimals(min_value=0, max_value=100, places=4))
def test_every_rate_is_in_exactly_one_band(rate: Decimal) -> None:
    bands = ng_tables()["order_regulation_bands"].rows(named=True)
    found = [
        row["band"]
        for row in bands
        if (rate > row["from_pct"] or (rate == row["from_pct"] and row["includes_from"]))
        and (
            row["to_pct"] is None
            or rate < row["to_pct"]
            or (rate == row["to_pct"] and row["includes_to"])
        )
    ]
    expected = sum([rate >= Decimal("2.5"), rate > Decimal("5"), rate > Decimal("10")])
    assert found == [expected]


def test_an_amended_amount_gives_two_rows_that_meet(tmp_path: Path) -> None:
    cited = "reference: {document: Decision, sentence: amended}"
    old = '"Charge: N50,000 per counterfeit item."}\n'
    new = f"{old}      - from: 2027-01-04\n        value: 40000.50\n        {cited}\n"
    rows = tables_of(tmp_path, (old, new))["counterfeit_charge"].rows()
    change = date(2027, 1, 4)
    assert rows == [
        (FIRST, change, Decimal("50000"), 2),
        (change, OPEN, Decimal("40000.50"), 2),
    ]


def test_a_joined_relation_has_one_row_per_stretch_in_which_no_column_changes(
    tmp_path: Path,
) -> None:
    cited = "reference: {document: Decision, sentence: amended}"

    def later(key: str, day: str, value: str) -> tuple[str, str]:
        start = NG.index(key, NG.index("\nnotice:\n"))
        end = NG.index("        reference:\n", start)
        old = NG[start:end]
        return old, f"{old}        {cited}\n      - from: {day}\n        value: {value}\n"

    rows = tables_of(
        tmp_path,
        later("  notice_hours:", "2020-01-01", "48"),
        later("  late_notice_hours:", "2022-01-01", "12"),
    )["notice"].rows()
    # The second amendment changes nothing, so it makes no row of its own.
    assert rows == [(FIRST, date(2020, 1, 1), 72, 12), (date(2020, 1, 1), OPEN, 48, 12)]


def test_an_override_is_a_row_of_its_sku_without_a_type(tmp_path: Path) -> None:
    edit = (
        "        value: {}\n",
        "        value: {SKU-1: {rejection_over_pct: 5, return_over_pct: 3.5}}\n",
    )
    rows = tables_of(tmp_path, edit)["sales_regulation_thresholds"].rows()
    assert rows == [
        ("GM", None, FIRST, OPEN, Decimal(3), Decimal(2)),
        ("Fashion", None, FIRST, OPEN, Decimal(6), Decimal(4)),
        (None, "SKU-1", FIRST, OPEN, Decimal(5), Decimal("3.5")),
    ]


def test_a_value_that_ends_leaves_no_row_after_its_end(tmp_path: Path) -> None:
    edit = (
        "        value: 28\n",
        "        until: 2027-01-01\n        value: 28\n",
    )
    assert tables_of(tmp_path, edit)["late_data"].rows() == [(FIRST, date(2027, 1, 1), 28)]


@pytest.mark.parametrize("name", [n for n in COLUMNS if n != "calendar"])
def test_a_join_on_one_date_yields_each_subject_once(name: str) -> None:
    subjects = [
        column
        for column in ("rule", "reason", "product_type", "sku", "band", "event")
        if column in ng_tables()[name].columns
    ]
    held = ng_tables()[name].filter(
        (pl.col("valid_from") <= A_DAY) & (pl.col("valid_until") > A_DAY)
    )
    assert held.height > 0
    assert held.height == (held.select(subjects).n_unique() if subjects else 1)


def test_the_reasons_carry_their_flags() -> None:
    cancel = ng_tables()["cancel_reasons"]
    assert set(cancel.filter("is_accountable")["reason"]) == {
        "out_of_stock",
        "late_pending",
        "late_ready_to_ship",
    }
    assert cancel.filter("is_out_of_stock")["reason"].to_list() == ["out_of_stock"]
    assert set(cancel.filter("is_late")["reason"]) == {"late_pending", "late_ready_to_ship"}


def test_a_policy_of_another_zone_has_its_calendar_there(tmp_path: Path) -> None:
    calendar = tables_of(tmp_path, ("Africa/Lagos", "Africa/Cairo"))["calendar"]
    assert calendar.schema["starts_at"] == pl.Datetime("us", "Africa/Cairo")
    # The day on which Cairo's clocks go forward has 23 hours.
    short = calendar.filter(pl.col("day") == date(2024, 4, 26)).row(0, named=True)
    assert (short["ends_at"] - short["starts_at"]).total_seconds() == 23 * 3600


def test_the_tables_of_one_policy_are_the_same_each_time() -> None:
    policy: Policy = load_policy("ng")
    first, second = policy_tables(policy), policy_tables(policy)
    assert all(first[name].equals(second[name]) for name in COLUMNS)


def test_a_former_policy_has_the_tables_of_what_it_was_completed_with() -> None:
    # Both have the version of the one text; only what it lacked differs.
    content = yaml.safe_load(NG)
    del content["order_regulation"]["daily_order_minimum"]
    former = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    amended = yaml.safe_load(NG)
    amended["order_regulation"]["daily_order_minimum"]["values"][0]["value"] = 3
    presents = [NG, yaml.safe_dump(amended, sort_keys=False, allow_unicode=True)]
    policies = [parse_former_policy(Path("former.yaml"), former, present) for present in presents]
    assert policies[0].version == policies[1].version
    minima = [policy_tables(p)["order_regulation"]["daily_order_minimum"][0] for p in policies]
    assert minima == [2, 3]
