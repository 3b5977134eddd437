"""Rulebook §13: rows set aside, each with its reason; other countries; nothing stops the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bad_rows import BAD_IDS, ITEMS, ODD_IDS, SMALL_TABLES, UNKNOWN_ITEM, add_every_kind
from marketplace import Decided, Item, Marketplace, each

from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.rules import CHARGES
from vibes_pipeline.warehouse.contract import RAW_TABLES

QUARANTINE = "warehouse.quarantine"


def faults_of(decided: Decided, table: str, row_id: str | None) -> list[str]:
    """The reason of each row of that id that is set aside."""
    rows = decided.rows(QUARANTINE, table_name=table, row_id=row_id)
    return [row["faults"] for row in rows]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    """Every bad row of every table, in one marketplace."""
    marketplace = Marketplace()
    add_every_kind(marketplace)
    relations = [
        f"warehouse.{name}" for name in ("dropoff_qc", "counterfeit_cases", "account_decisions")
    ]
    return marketplace.decide(
        tmp_path_factory.mktemp("judged"), QUARANTINE, "warehouse.order_items", *relations
    )


@pytest.mark.parametrize(
    ("table", "row_id", "expected"),
    [
        pytest.param(case.sentence.split(":")[0], case.given, case.expected, id=case.sentence)
        for case in SMALL_TABLES
    ],
)
def test_a_row_of_the_smaller_tables_is_bad(
    judged: Decided, table: str, row_id: str | None, expected: list[str]
) -> None:
    assert faults_of(judged, table, row_id) == expected


@each(ITEMS)
def test_an_order_item_is_bad(judged: Decided, sentence: str, expected: list[str]) -> None:
    assert faults_of(judged, "order_items", sentence) == expected
    is_kept = judged.row("warehouse.order_items", order_item_id=sentence) is not None
    assert is_kept == (expected == [])


def test_an_order_item_without_id_is_bad(judged: Decided) -> None:
    assert faults_of(judged, "order_items", None) == ["order_item_id is null"]


def test_every_copy_of_an_order_item_is_bad(judged: Decided) -> None:
    assert (
        faults_of(judged, "order_items", "same item") == ["order_item_id occurs more than once"] * 2
    )
    assert judged.row("warehouse.order_items", order_item_id="same item") is None


ID_COLUMNS = {
    table.name: next(iter(table.columns))
    for table in RAW_TABLES.values()
    if table.name != "claims"  # no claim is set aside
}


@pytest.mark.parametrize(("table", "column"), ID_COLUMNS.items())
def test_an_id_that_cannot_be_used_is_bad_and_one_that_is_only_odd_is_good(
    judged: Decided, table: str, column: str
) -> None:
    """Ids that look alike stay apart: no two of the good ones are taken for the same."""
    told = {row_id: faults_of(judged, table, row_id) for row_id in (*BAD_IDS, *ODD_IDS)}
    expected = {row_id: [f"{column} {fault}"] for row_id, fault in BAD_IDS.items()}
    assert told == expected | {row_id: [] for row_id in ODD_IDS}


@pytest.mark.parametrize(
    ("relation", "column", "good"),
    [
        (
            "warehouse.sellers",
            "seller_id",
            {"good seller", "other seller", "no address"},
        ),
        ("warehouse.products", "sku", {"good sku", "other's sku", "nameless"}),
        ("warehouse.dropoff_qc", "qc_id", {"good check", "passed"}),
        (
            "warehouse.counterfeit_cases",
            "case_id",
            {"good case", "before 2016", "in 2016"},
        ),
        ("warehouse.account_decisions", "decision_id", {"good decision"}),
    ],
)
def test_only_good_rows_of_the_country_go_on(
    judged: Decided, relation: str, column: str, good: set[str]
) -> None:
    assert {row[column] for row in judged.rows(relation)} == good | {*ODD_IDS}


def test_a_bad_row_is_kept_as_it_was_stored(judged: Decided) -> None:
    row = judged.row(QUARANTINE, table_name="order_items", row_id="negative price")
    assert row is not None
    stored = json.loads(row["stored_row"])
    assert (row["seller_id"], stored["sku"], stored["item_price"]) == (
        "good seller",
        "good sku",
        "-0.01",
    )


@pytest.mark.parametrize(
    ("table", "row_id", "columns"),
    [
        ("order_items", "negative price", {"customer_id"}),
        ("sellers", "of None", {"email", "shop_name"}),
        ("account_decisions", "unknown", {"decided_by", "reason"}),
    ],
)
def test_what_is_shown_of_a_bad_row_names_no_person(
    judged: Decided, table: str, row_id: str, columns: set[str]
) -> None:
    row = judged.row(QUARANTINE, table_name=table, row_id=row_id)
    assert row is not None
    assert not columns & json.loads(row["stored_row"]).keys()


def test_a_null_is_jumia_express_is_false(judged: Decided) -> None:
    row = judged.row("warehouse.sellers", seller_id="no address")
    assert row is not None
    assert row["is_jumia_express"] is False


def test_nothing_of_another_country_is_considered(judged: Decided) -> None:
    assert judged.rows(QUARANTINE, seller_id="of Kenya") == []
    assert judged.row("warehouse.order_items", order_item_id="item of Kenya") is None
    assert judged.row("warehouse.foreign_sellers", seller_id="of Kenya") is not None


def test_an_item_repeated_in_another_country_is_bad_here_and_so_is_its_case(tmp_path: Path) -> None:
    """Whichever of the two sellers comes first in the alphabet."""
    marketplace = Marketplace()
    for here, abroad in (("B", "A"), ("C", "D")):
        marketplace.seller(seller_id=here)
        marketplace.seller(seller_id=abroad, country="KE")
        for seller in (here, abroad):
            marketplace.item(Item(order_item_id=f"of {here}", seller_id=seller))
        marketplace.counterfeit_case(f"of {here}", case_id=f"case {here}")
    decided = marketplace.decide(tmp_path, QUARANTINE)
    for here in ("B", "C"):
        assert faults_of(decided, "order_items", f"of {here}") == [
            "order_item_id occurs more than once"
        ]
        assert faults_of(decided, "counterfeit_cases", f"case {here}") == [UNKNOWN_ITEM]


def test_bad_rows_never_stop_the_others(tmp_path: Path) -> None:
    """A seller's good item is charged beside a bad copy of every kind of the same seller."""
    marketplace = Marketplace()
    add_every_kind(marketplace)
    marketplace.item(
        Item(
            order_item_id="charged",
            seller_id="good seller",
            sku="good sku",
            cancelled_at="Mon 18:00",
            cancel_reason="out_of_stock",
        )
    )
    relations = [model.relation for model in weekly_models()]
    decided = marketplace.decide(tmp_path, *relations)
    assert decided.row("decisions.out_of_stock_charges", order_item_id="charged") is not None
    set_aside = {row["row_id"] for row in decided.rows(QUARANTINE, table_name="order_items")}
    for rule in CHARGES:
        charged = {row["order_item_id"] for row in decided.rows(f"decisions.{rule}s")}
        assert not charged & set_aside
