"""Rulebook §13: rows set aside, each with its reason; other countries; the share that stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from marketplace import Case, Decided, Item, Marketplace, each

from vibes_pipeline import weekly
from vibes_pipeline.engine.models import closure
from vibes_pipeline.errors import TooManyBadRows
from vibes_pipeline.ledger.rules import CHARGES

QUARANTINE = "warehouse.quarantine"
SHARE = "warehouse.bad_row_share"
UNKNOWN_SELLER = "seller is unknown or set aside"
UNKNOWN_ITEM = "order item is unknown or set aside"


def faults_of(decided: Decided, table: str, row_id: str | None) -> list[str]:
    """The reason of each row of that id that is set aside."""
    rows = decided.rows(QUARANTINE, table_name=table, row_id=row_id)
    return [row["faults"] for row in rows]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    """Every bad row of every table, in one marketplace."""
    marketplace = Marketplace()
    marketplace.seller(seller_id="good seller")
    marketplace.product("good seller", sku="good sku")
    marketplace.seller(seller_id="other seller")
    marketplace.product("other seller", sku="other's sku")
    marketplace.item(
        Item(
            order_item_id="good item",
            seller_id="good seller",
            sku="good sku",
            delivered_at="Tue 10:00",
        )
    )
    for add in (add_sellers, add_products, add_items, add_checks, add_cases, add_decisions):
        add(marketplace)
    relations = [
        f"warehouse.{name}" for name in ("dropoff_qc", "counterfeit_cases", "account_decisions")
    ]
    return marketplace.decide(
        tmp_path_factory.mktemp("judged"), QUARANTINE, "warehouse.order_items", *relations
    )


# --- sellers and products -------------------------------------------------------------------------


def add_sellers(marketplace: Marketplace) -> None:
    marketplace.seller(seller_id=None, shop_name="no id")
    marketplace.seller(seller_id="twice")
    marketplace.seller(seller_id="twice", country="KE")
    marketplace.seller(seller_id="no country", country=None)
    marketplace.seller(seller_id="no address", email=None, shop_name=None, is_jumia_express=None)
    marketplace.seller(seller_id="of Kenya", country="KE")


def add_products(marketplace: Marketplace) -> None:
    marketplace.product("good seller", sku=None)
    marketplace.product("good seller", sku="same sku")
    marketplace.product("other seller", sku="same sku")
    marketplace.product("nobody", sku="of nobody")
    marketplace.product("twice", sku="of a bad seller")
    marketplace.product(None, sku="without seller")
    marketplace.product("good seller", sku="without type", product_type=None)
    marketplace.product("good seller", sku="of an unknown type", product_type="fashion")
    marketplace.product("good seller", sku="nameless", product_name=None, category=None)
    marketplace.product("of Kenya", sku="of Kenya", product_type="whatever")
    marketplace.product("nobody", sku="both wrong", product_type="whatever")


SMALL_TABLES = [
    Case("sellers: without id", None, ["seller_id is null"]),
    Case("sellers: twice", "twice", ["seller_id occurs more than once"] * 2),
    Case("sellers: no country", "no country", ["country is null"]),
    Case("sellers: no address", "no address", []),
    Case("sellers: of Kenya", "of Kenya", []),
    Case("products: without id", None, ["sku is null"]),
    Case("products: same sku", "same sku", ["sku occurs more than once"] * 2),
    Case("products: of nobody", "of nobody", [UNKNOWN_SELLER]),
    Case("products: of a bad seller", "of a bad seller", [UNKNOWN_SELLER]),
    Case("products: without seller", "without seller", [UNKNOWN_SELLER]),
    Case("products: without type", "without type", ["product_type is not a listed one"]),
    Case(
        "products: of an unknown type", "of an unknown type", ["product_type is not a listed one"]
    ),
    Case("products: nameless", "nameless", []),
    Case("products: of Kenya", "of Kenya", []),
    Case(
        "products: both wrong",
        "both wrong",
        [f"{UNKNOWN_SELLER}; product_type is not a listed one"],
    ),
]

# --- checks, cases, decisions ---------------------------------------------------------------------


def add_checks(marketplace: Marketplace) -> None:
    marketplace.check("good item", qc_id="good check")
    marketplace.check("good item", qc_id="passed", result="passed")
    marketplace.check("good item", qc_id=None)
    marketplace.check("good item", qc_id="same check")
    marketplace.check("other item", qc_id="same check")
    marketplace.check("no such item", qc_id="of no item")
    marketplace.check(None, qc_id="of null")
    marketplace.check("negative price", qc_id="of a bad item")
    marketplace.check("good item", qc_id="at no time", checked_at=None)
    marketplace.check("good item", qc_id="without result", result=None)
    marketplace.check("good item", qc_id="of an unknown result", result="FAILED")
    marketplace.check("good item", qc_id="without reason", failure_reason=None)
    marketplace.check("good item", qc_id="for an unknown reason", failure_reason="change_of_mind")
    marketplace.check("item of Kenya", qc_id="of Kenya", result=None)


def add_cases(marketplace: Marketplace) -> None:
    marketplace.counterfeit_case("good item", case_id="good case")
    marketplace.counterfeit_case("good item", case_id="open", notified_at=None, proven_at=None)
    marketplace.counterfeit_case("good item", case_id=None)
    marketplace.counterfeit_case("good item", case_id="same case")
    marketplace.counterfeit_case("good item", case_id="same case")
    marketplace.counterfeit_case("no such item", case_id="of no item")
    marketplace.counterfeit_case(None, case_id="of null")
    marketplace.counterfeit_case("negative price", case_id="of a bad item")
    marketplace.counterfeit_case("item of Kenya", case_id="of Kenya")


def add_decisions(marketplace: Marketplace) -> None:
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="good decision")
    marketplace.account_decision("good seller", "Tue 10:00", decision_id=None)
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="same decision")
    marketplace.account_decision("other seller", "Tue 10:00", decision_id="same decision")
    marketplace.account_decision("nobody", "Tue 10:00", decision_id="of nobody")
    marketplace.account_decision("twice", "Tue 10:00", decision_id="of a bad seller")
    marketplace.account_decision(None, "Tue 10:00", decision_id="of null")
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="none", decision=None)
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="unknown", decision="ban")
    marketplace.account_decision("good seller", None, decision_id="at no time")
    marketplace.account_decision("of Kenya", "Tue 10:00", decision_id="of Kenya", decision=None)


SMALL_TABLES += [
    Case("dropoff_qc: good check", "good check", []),
    Case("dropoff_qc: passed, so without reason", "passed", []),
    Case("dropoff_qc: without id", None, ["qc_id is null"]),
    Case("dropoff_qc: same check", "same check", ["qc_id occurs more than once"] * 2),
    Case("dropoff_qc: of no item", "of no item", [UNKNOWN_ITEM]),
    Case("dropoff_qc: of null", "of null", [UNKNOWN_ITEM]),
    Case("dropoff_qc: of a bad item", "of a bad item", [UNKNOWN_ITEM]),
    Case("dropoff_qc: at no time", "at no time", ["checked_at is null"]),
    Case("dropoff_qc: without result", "without result", ["result is not a listed one"]),
    Case(
        "dropoff_qc: of an unknown result", "of an unknown result", ["result is not a listed one"]
    ),
    Case("dropoff_qc: without reason", "without reason", ["failed without a known reason"]),
    Case(
        "dropoff_qc: for an unknown reason",
        "for an unknown reason",
        ["failed without a known reason"],
    ),
    Case("dropoff_qc: of Kenya", "of Kenya", []),
    Case("counterfeit_cases: good case", "good case", []),
    Case("counterfeit_cases: open", "open", []),
    Case("counterfeit_cases: without id", None, ["case_id is null"]),
    Case("counterfeit_cases: same case", "same case", ["case_id occurs more than once"] * 2),
    Case("counterfeit_cases: of no item", "of no item", [UNKNOWN_ITEM]),
    Case("counterfeit_cases: of null", "of null", [UNKNOWN_ITEM]),
    Case("counterfeit_cases: of a bad item", "of a bad item", [UNKNOWN_ITEM]),
    Case("counterfeit_cases: of Kenya", "of Kenya", []),
    Case("account_decisions: good decision", "good decision", []),
    Case("account_decisions: without id", None, ["decision_id is null"]),
    Case(
        "account_decisions: same decision",
        "same decision",
        ["decision_id occurs more than once"] * 2,
    ),
    Case("account_decisions: of nobody", "of nobody", [UNKNOWN_SELLER]),
    Case("account_decisions: of a bad seller", "of a bad seller", [UNKNOWN_SELLER]),
    Case("account_decisions: of null", "of null", [UNKNOWN_SELLER]),
    Case("account_decisions: none", "none", ["decision is not a listed one"]),
    Case("account_decisions: unknown", "unknown", ["decision is not a listed one"]),
    Case("account_decisions: at no time", "at no time", ["decided_at is null"]),
    Case("account_decisions: of Kenya", "of Kenya", []),
]


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


# --- order items ----------------------------------------------------------------------------------

# All of the good seller and the good SKU, unless they say otherwise.
ITEMS: list[Case] = [
    Case("a good item is not set aside", Item(), []),
    Case(
        "unknown seller", Item(seller_id="nobody"), [f"{UNKNOWN_SELLER}; SKU is another seller's"]
    ),
    Case("no seller", Item(seller_id=None), [UNKNOWN_SELLER]),
    Case(
        "a seller set aside",
        Item(seller_id="twice", sku="of a bad seller"),
        [f"{UNKNOWN_SELLER}; SKU is unknown or set aside"],
    ),
    Case("unknown SKU", Item(sku="no such sku"), ["SKU is unknown or set aside"]),
    Case("no SKU", Item(sku=None), ["SKU is unknown or set aside"]),
    Case("a SKU set aside", Item(sku="same sku"), ["SKU is unknown or set aside"]),
    Case("another seller's SKU", Item(sku="other's sku"), ["SKU is another seller's"]),
    Case("never pending", Item(pending_at=None), ["pending_at is null"]),
    Case(
        "never pending, but shipped",
        Item(pending_at=None, shipped_at="Tue 10:00"),
        ["pending_at is null"],
    ),
    Case("no price", Item(item_price=None), ["item_price is null"]),
    Case("negative price", Item(item_price="-0.01"), ["item_price is negative"]),
    Case("a price of nothing is good", Item(item_price="0.00"), []),
    Case("no commission", Item(commission=None), ["commission is null"]),
    Case("negative commission", Item(commission="-0.01"), ["commission is negative"]),
    Case("a commission of nothing is good", Item(commission="0.00"), []),
    Case(
        "ready before it was pending",
        Item(ready_to_ship_at="Mon 08:59:59.999999"),
        ["ready_to_ship_at is before pending_at"],
    ),
    Case("ready at the same instant is good", Item(ready_to_ship_at="Mon 09:00"), []),
    Case(
        "shipped before it was pending",
        Item(shipped_at="Mon 08:00"),
        ["shipped_at is before pending_at"],
    ),
    Case(
        "delivered before it was pending",
        Item(delivered_at="Mon 08:00"),
        ["delivered_at is before pending_at"],
    ),
    Case(
        "cancelled before it was pending",
        Item(cancelled_at="Mon 08:00", cancel_reason="other"),
        ["cancelled_at is before pending_at"],
    ),
    Case(
        "rejected before it was pending",
        Item(rejected_at="Mon 08:00"),
        ["rejected_at is before pending_at"],
    ),
    Case(
        "returned before it was pending",
        Item(returned_at="Mon 08:00", return_reason="other"),
        ["returned_at is before pending_at"],
    ),
    Case(
        "shipped before it was ready is good",
        Item(shipped_at="Tue 10:00", ready_to_ship_at="Wed 10:00"),
        [],
    ),
    Case(
        "both delivered and rejected",
        Item(delivered_at="Tue 10:00", rejected_at="Wed 10:00"),
        ["both delivered and rejected"],
    ),
    Case(
        "both, one of them only after the slot's instant: judged as stored",
        Item(delivered_at="Tue 10:00", rejected_at="Sun+1 10:00"),
        ["both delivered and rejected"],
    ),
    Case(
        "delivered and returned is good",
        Item(delivered_at="Tue 10:00", returned_at="Wed 10:00", return_reason="wrong_item"),
        [],
    ),
    Case(
        "cancelled without reason",
        Item(cancelled_at="Tue 10:00"),
        ["cancelled_at without a known reason"],
    ),
    Case(
        "cancelled for an unknown reason",
        Item(cancelled_at="Tue 10:00", cancel_reason="Out of stock"),
        ["cancelled_at without a known reason"],
    ),
    Case(
        "cancelled without reason after the slot's instant: judged as stored",
        Item(cancelled_at="Sun+1 10:00"),
        ["cancelled_at without a known reason"],
    ),
    Case("a cancel reason without a cancellation is good", Item(cancel_reason="whatever"), []),
    Case(
        "returned without reason",
        Item(returned_at="Tue 10:00"),
        ["returned_at without a known reason"],
    ),
    Case(
        "returned for an unknown reason",
        Item(returned_at="Tue 10:00", return_reason="out_of_stock"),
        ["returned_at without a known reason"],
    ),
    Case("a return reason without a return is good", Item(return_reason="whatever"), []),
    Case(
        "several faults are all told",
        Item(sku=None, commission="-1.00", shipped_at="Mon 08:00", cancelled_at="Tue 10:00"),
        [
            "SKU is unknown or set aside; commission is negative; shipped_at is before pending_at; "
            "cancelled_at without a known reason"
        ],
    ),
]


def add_items(marketplace: Marketplace) -> None:
    good = Item(seller_id="good seller", sku="good sku")
    for sentence, item, _ in ITEMS:
        marketplace.item({**good, "order_item_id": sentence, **item})
    marketplace.item({**good, "order_item_id": None})
    marketplace.item({**good, "order_item_id": "same item"})
    marketplace.item({**good, "order_item_id": "same item", "order_number": "ANOTHER"})
    marketplace.item({**good, "order_item_id": "other item"})
    marketplace.item(
        Item(order_item_id="item of Kenya", seller_id="of Kenya", sku="of Kenya", commission=None)
    )


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
        ("warehouse.counterfeit_cases", "case_id", {"good case"}),
        ("warehouse.account_decisions", "decision_id", {"good decision"}),
    ],
)
def test_only_good_rows_of_the_country_go_on(
    judged: Decided, relation: str, column: str, good: set[str]
) -> None:
    assert {row[column] for row in judged.rows(relation)} == good


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
        ("sellers", "no country", {"email", "shop_name"}),
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


# --- the share of bad rows ------------------------------------------------------------------------

GOOD, BAD = "0.00", "-1.00"
BEFORE, AFTER = "Sun-1 23:59:59.999999", "Mon+1 00:00"


def rows(count: int, commission: str = GOOD, **columns: Any) -> Callable[[Marketplace], None]:
    return lambda marketplace: marketplace.items(count, {"commission": commission, **columns})


def foreign(marketplace: Marketplace) -> None:
    seller = marketplace.seller(country="KE")
    marketplace.items(5, Item(seller_id=seller, commission=BAD))


# Expected: (rows of the week, bad ones among them).
SHARES = [
    Case("an empty week", [], (0, 0)),
    Case("good and bad", [rows(3), rows(2, BAD)], (5, 2)),
    Case(
        "rows of other weeks", [rows(2, BAD, pending_at=BEFORE), rows(1, pending_at=AFTER)], (0, 0)
    ),
    Case("rows of other countries", [rows(1), foreign], (1, 0)),
    Case("on Monday 00:00", [rows(1, BAD, pending_at="Mon 00:00")], (1, 1)),
    Case("in Sunday's last microsecond", [rows(1, BAD, pending_at="Sun 23:59:59.999999")], (1, 1)),
    Case(
        "ready in the week", [rows(1, BAD, pending_at=BEFORE, ready_to_ship_at="Tue 10:00")], (1, 1)
    ),
    Case("shipped in it", [rows(1, BAD, pending_at=BEFORE, shipped_at="Tue 10:00")], (1, 1)),
    Case("delivered in it", [rows(1, BAD, pending_at=BEFORE, delivered_at="Tue 10:00")], (1, 1)),
    Case("rejected in it", [rows(1, BAD, pending_at=BEFORE, rejected_at="Tue 10:00")], (1, 1)),
    Case(
        "cancelled in it, without reason",
        [rows(1, pending_at=BEFORE, cancelled_at="Tue 10:00")],
        (1, 1),
    ),
    Case(
        "returned in it, without reason",
        [rows(1, pending_at=BEFORE, returned_at="Tue 10:00")],
        (1, 1),
    ),
    Case(
        "pending unknown, shipped in it", [rows(1, pending_at=None, shipped_at="Tue 10:00")], (1, 1)
    ),
    Case("no time at all", [rows(1, pending_at=None)], (0, 0)),
    Case(
        "several times in the week are one row",
        [rows(1, BAD, shipped_at="Tue 10:00", delivered_at="Wed 10:00")],
        (1, 1),
    ),
    Case("every copy of a repeated row", [rows(2, order_item_id="same")], (2, 2)),
]


@pytest.mark.parametrize(
    ("given", "expected"), [pytest.param(c.given, c.expected, id=c.sentence) for c in SHARES]
)
def test_the_share_is_of_the_weeks_rows(
    tmp_path: Path,
    given: list[Callable[[Marketplace], None]],
    expected: tuple[int, int],
) -> None:
    marketplace = Marketplace()
    for add in given:
        add(marketplace)
    row = marketplace.decide(tmp_path, SHARE).row(SHARE)
    assert row == {"rows_in_week": expected[0], "bad_rows_in_week": expected[1]}


@pytest.mark.parametrize(
    ("good", "bad", "is_stopped", "reason"),
    [
        (99, 1, False, "exactly 1% is not more than 1%"),
        (98, 1, True, "1 of 99 is"),
        (0, 0, False, "a week without rows has no bad ones"),
    ],
)
def test_more_than_the_limit_of_bad_rows_stops_the_alert(
    tmp_path: Path, good: int, bad: int, is_stopped: bool, reason: str
) -> None:
    marketplace = Marketplace()
    marketplace.items(good, Item())
    marketplace.items(bad, Item(commission=BAD))
    run = marketplace.begin(tmp_path)
    for model in closure([SHARE]):
        run.engine.materialize(model, run.parameters())
    if not is_stopped:
        weekly.require_few_bad_rows(run)
        assert weekly.bad_row_share(run) == (good + bad, bad), reason
    else:
        with pytest.raises(
            TooManyBadRows, match="1 of the 99 order items of the week of 2026-11-09"
        ):
            weekly.require_few_bad_rows(run)


def test_bad_rows_never_stop_the_others(tmp_path: Path) -> None:
    """A seller's good item is charged beside a bad copy of every kind of the same seller."""
    marketplace = Marketplace()
    for add in (add_sellers, add_products, add_checks, add_cases, add_decisions):
        add(marketplace)
    marketplace.seller(seller_id="good seller")
    marketplace.product("good seller", sku="good sku")
    add_items(marketplace)
    marketplace.item(
        Item(
            order_item_id="charged",
            seller_id="good seller",
            sku="good sku",
            cancelled_at="Mon 18:00",
            cancel_reason="out_of_stock",
        )
    )
    relations = [model.relation for model in weekly.weekly_models()]
    decided = marketplace.decide(tmp_path, *relations)
    assert decided.row("decisions.out_of_stock_charges", order_item_id="charged") is not None
    set_aside = {row["row_id"] for row in decided.rows(QUARANTINE, table_name="order_items")}
    for rule in CHARGES:
        charged = {row["order_item_id"] for row in decided.rows(f"decisions.{rule}s")}
        assert not charged & set_aside
