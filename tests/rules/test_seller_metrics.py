"""Rulebook §4: what counts as ready, shipped and cancelled, the rate, the window."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from marketplace import NIGERIA, Case, Decided, Item, Marketplace, amended, each

LAST_INSTANT = "Sun 23:59:59.999999"
BEFORE = "Sun-1 23:59:59.999999"

# --- ready to ship, and shipped, from -------------------------------------------------------------

# All pending Monday 09:00; expected: (ready from, shipped from).
MOVED = [
    Case("nothing recorded: neither ready nor shipped", Item(), (None, None)),
    Case("set ready: ready, not shipped", Item(ready_to_ship_at="Mon 10:00"), ("Mon 10:00", None)),
    Case(
        "shipped only: ready since it shipped",
        Item(shipped_at="Mon 11:00"),
        ("Mon 11:00", "Mon 11:00"),
    ),
    Case(
        "delivered only: ready and shipped since then",
        Item(delivered_at="Mon 12:00"),
        ("Mon 12:00", "Mon 12:00"),
    ),
    Case(
        "rejected only: ready and shipped since then",
        Item(rejected_at="Mon 12:00"),
        ("Mon 12:00", "Mon 12:00"),
    ),
    Case(
        "set ready after it shipped: ready since it shipped",
        Item(ready_to_ship_at="Tue 10:00", shipped_at="Mon 11:00"),
        ("Mon 11:00", "Mon 11:00"),
    ),
    Case(
        "shipping recorded after the delivery: ready since the delivery, shipped as recorded",
        Item(shipped_at="Wed 10:00", delivered_at="Tue 10:00"),
        ("Tue 10:00", "Wed 10:00"),
    ),
    Case(
        "set ready, then delivered without a shipping record: shipped since the delivery",
        Item(ready_to_ship_at="Mon 10:00", delivered_at="Wed 10:00"),
        ("Mon 10:00", "Wed 10:00"),
    ),
    Case(
        "a return moves nothing",
        Item(ready_to_ship_at="Mon 10:00", returned_at="Wed 10:00", return_reason="other"),
        ("Mon 10:00", None),
    ),
]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, item, _ in MOVED:
        marketplace.item({"order_item_id": sentence, **item})
    return marketplace.decide(tmp_path_factory.mktemp("moved"), "warehouse.order_items")


@each(MOVED)
def test_an_item_is_ready_and_shipped_from(
    moved: Decided, sentence: str, expected: tuple[str | None, str | None]
) -> None:
    row = moved.row("warehouse.order_items", order_item_id=sentence)
    assert row is not None
    assert (row["ready_from"], row["shipped_from"]) == tuple(
        words and Marketplace().at(words) for words in expected
    )


# --- the counts of a week -------------------------------------------------------------------------

SHIPPED = Item(pending_at="Fri-1 09:00", shipped_at="Tue 10:00")
STOCKLESS = Item(cancelled_at="Tue 10:00", cancel_reason="out_of_stock")


def cancelled(reason: str) -> list[Item]:
    return [Item(cancelled_at="Tue 10:00", cancel_reason=reason)]


# The items of one seller each; expected: (shipped items, shipped orders, cancelled items), None
# where the seller has no row.
COUNTED = [
    Case("an item shipped in the window counts", [SHIPPED], (1, 1, 0)),
    Case(
        "two items of one order are two items of one order",
        [{**SHIPPED, "order_number": "TWO"}] * 2,
        (2, 1, 0),
    ),
    Case("items of two orders are two orders", [SHIPPED, SHIPPED], (2, 2, 0)),
    Case(
        "an order of which one item is cancelled is shipped all the same",
        [{**SHIPPED, "order_number": "HALF"}, {**STOCKLESS, "order_number": "HALF"}],
        (1, 1, 1),
    ),
    Case(
        "shipped on Monday 00:00 is in",
        [Item(pending_at="Fri-1 09:00", shipped_at="Mon 00:00")],
        (1, 1, 0),
    ),
    Case(
        "shipped a microsecond before Monday 00:00 is out, though delivered within",
        [Item(pending_at="Fri-1 09:00", shipped_at=BEFORE, delivered_at="Mon 10:00")],
        (0, 0, 0),
    ),
    Case("shipped in Sunday's last microsecond is in", [Item(shipped_at=LAST_INSTANT)], (1, 1, 0)),
    Case("shipped on the next Monday 00:00 is out", [Item(shipped_at="Mon+1 00:00")], (0, 0, 0)),
    Case(
        "delivered in the window without a shipping record is shipped in it",
        [Item(pending_at="Fri-1 09:00", delivered_at="Tue 10:00")],
        (1, 1, 0),
    ),
    Case(
        "rejected in the window without a shipping record is shipped in it",
        [Item(pending_at="Fri-1 09:00", rejected_at="Tue 10:00")],
        (1, 1, 0),
    ),
    Case(
        "shipping recorded in the window, delivered before it: shipped as recorded",
        [Item(pending_at="Fri-1 09:00", shipped_at="Mon 10:00", delivered_at="Sun-1 10:00")],
        (1, 1, 0),
    ),
    Case("set ready is not shipped", [Item(ready_to_ship_at="Tue 10:00")], (0, 0, 0)),
    Case("cancelled as out of stock counts", cancelled("out_of_stock"), (0, 0, 1)),
    Case("cancelled as late pending counts", cancelled("late_pending"), (0, 0, 1)),
    Case("cancelled as late ready to ship counts", cancelled("late_ready_to_ship"), (0, 0, 1)),
    Case("the customer's own cancellation does not", cancelled("customer_request"), (0, 0, 0)),
    Case("a failed payment does not", cancelled("payment_failed"), (0, 0, 0)),
    Case("a wrong order does not", cancelled("wrong_order"), (0, 0, 0)),
    Case("any other reason does not", cancelled("other"), (0, 0, 0)),
    Case(
        "cancelled on Monday 00:00 is in",
        [{**STOCKLESS, "pending_at": "Fri-1 09:00", "cancelled_at": "Mon 00:00"}],
        (0, 0, 1),
    ),
    Case(
        "cancelled a microsecond before Monday 00:00 is out",
        [{**STOCKLESS, "pending_at": "Fri-1 09:00", "cancelled_at": BEFORE}, SHIPPED],
        (1, 1, 0),
    ),
    Case(
        "cancelled in Sunday's last microsecond is in",
        [{**STOCKLESS, "cancelled_at": LAST_INSTANT}],
        (0, 0, 1),
    ),
    Case(
        "cancelled on the next Monday 00:00 is out",
        [{**STOCKLESS, "cancelled_at": "Mon+1 00:00"}],
        (0, 0, 0),
    ),
    Case(
        "shipped and then cancelled in the same window counts on both sides",
        [{**SHIPPED, "cancelled_at": "Thu 10:00", "cancel_reason": "out_of_stock"}],
        (1, 1, 1),
    ),
    Case("a new pending item is activity", [Item(pending_at="Sun 20:00")], (0, 0, 0)),
    Case(
        "a return in the window is activity",
        [
            Item(
                pending_at="Fri-2 09:00",
                shipped_at="Sat-2 09:00",
                returned_at="Tue 10:00",
                return_reason="other",
            )
        ],
        (0, 0, 0),
    ),
    Case(
        "all of it before the window is no activity",
        [Item(pending_at="Mon-1 09:00", shipped_at=BEFORE)],
        None,
    ),
    Case("all of it after the window is no activity", [Item(pending_at="Mon+1 00:00")], None),
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, items, _ in COUNTED:
        marketplace.seller(seller_id=sentence)
        for item in items:
            marketplace.item({"seller_id": sentence, **item})
    return marketplace.decide(tmp_path_factory.mktemp("counted"), "metrics.seller_week")


@each(COUNTED)
def test_a_week_counts(
    counted: Decided, sentence: str, expected: tuple[int, int, int] | None
) -> None:
    row = counted.row("metrics.seller_week", seller_id=sentence)
    columns = ("shipped_items", "shipped_orders", "cancelled_items")
    assert (row and tuple(row[name] for name in columns)) == expected


def test_a_week_without_holiday_has_six_fulfilment_days(counted: Decided) -> None:
    assert {row["fulfilment_days"] for row in counted.rows("metrics.seller_week")} == {6}


# --- rates, exemptions, longer windows ------------------------------------------------------------

# (cancelled, shipped) items; expected: the rate in percent.
RATES = [
    Case("nothing shipped and nothing cancelled has no rate", (0, 0), None),
    Case("nothing cancelled is 0%", (0, 3), "0.0000"),
    Case("nothing shipped is 100%", (2, 0), "100.0000"),
    Case("one cancelled beside three shipped is one in four", (1, 3), "25.0000"),
    Case("one cancelled beside two shipped is a third", (1, 2), "33.3333"),
]


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, (cancellations, shipments), _ in RATES:
        marketplace.seller(seller_id=sentence)
        marketplace.item(Item(seller_id=sentence))
        marketplace.items(cancellations, {**STOCKLESS, "seller_id": sentence})
        marketplace.items(shipments, {**SHIPPED, "seller_id": sentence})
    for is_jumia_express in (True, False, None):
        seller = f"express: {is_jumia_express}"
        marketplace.seller(seller_id=seller, is_jumia_express=is_jumia_express)
        marketplace.item({**STOCKLESS, "seller_id": seller})
    return marketplace.decide(tmp_path_factory.mktemp("rated"), "metrics.seller_week")


@each(RATES)
def test_the_cancellation_rate_is_of_items(
    rated: Decided, sentence: str, expected: str | None
) -> None:
    row = rated.row("metrics.seller_week", seller_id=sentence)
    assert row is not None
    assert row["cancellation_rate_pct"] == (expected and Decimal(expected))


@pytest.mark.parametrize(
    ("seller", "is_exempt"),
    [("express: True", True), ("express: False", False), ("express: None", False)],
)
def test_a_seller_on_jumia_express_is_shown_and_marked_exempt(
    rated: Decided, seller: str, is_exempt: bool
) -> None:
    row = rated.row("metrics.seller_week", seller_id=seller)
    assert row is not None
    assert (row["cancelled_items"], row["is_exempt"]) == (1, is_exempt)


@pytest.mark.parametrize(
    ("week", "days", "reason"),
    [
        ("2026-09-28", 5, "National Day is a Thursday"),
        ("2026-12-21", 4, "Christmas and Boxing Day are Friday and Saturday"),
        ("2026-12-28", 4, "Boxing Day observed on Monday, New Year on Friday"),
        ("2027-08-09", 6, "a holiday on a Sunday takes nothing"),
    ],
)
def test_holidays_are_no_fulfilment_days(tmp_path: Path, week: str, days: int, reason: str) -> None:
    marketplace = Marketplace(week)
    marketplace.item()
    (row,) = marketplace.decide(tmp_path, "metrics.seller_week").rows("metrics.seller_week")
    assert row["fulfilment_days"] == days, reason


def test_a_window_of_two_weeks_ends_with_the_observed_week(tmp_path: Path) -> None:
    policy = amended(tmp_path, ("order_regulation.window_weeks", "2026-11-09", "2"))
    marketplace = Marketplace(policy=policy)
    seller = marketplace.seller()
    for shipped_at in ("Sun-2 23:59:59.999999", "Mon-1 00:00", LAST_INSTANT, "Mon+1 00:00"):
        marketplace.item(Item(seller_id=seller, pending_at="Fri-2 09:00", shipped_at=shipped_at))
    row = marketplace.decide(tmp_path, "metrics.seller_week").row("metrics.seller_week")
    assert row is not None
    assert (row["shipped_items"], row["fulfilment_days"]) == (2, 12)


def test_an_accountable_reason_is_the_policys_on_the_day_of_the_cancellation(
    tmp_path: Path,
) -> None:
    reasons = {
        code: reason.model_dump()
        for code, reason in NIGERIA.warehouse.cancel_reasons.values[0].value.items()
    }
    reasons["wrong_order"]["is_accountable"] = True
    as_text = {
        code: {k: str(v).lower() for k, v in flags.items()} for code, flags in reasons.items()
    }
    policy = amended(tmp_path, ("warehouse.cancel_reasons", "2026-11-11", as_text))
    marketplace = Marketplace(policy=policy)
    seller = marketplace.seller()
    for at in ("Tue 23:59:59.999999", "Wed 00:00"):
        marketplace.item(Item(seller_id=seller, cancelled_at=at, cancel_reason="wrong_order"))
    row = marketplace.decide(tmp_path, "metrics.seller_week").row("metrics.seller_week")
    assert row is not None
    assert row["cancelled_items"] == 1
