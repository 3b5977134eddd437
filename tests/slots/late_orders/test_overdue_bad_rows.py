"""Bad rows are never overdue, nor any row with the id of a bad one (Rulebook §9, §13)."""

from __future__ import annotations

import pytest
from rules.marketplace import Case, Decided, Item, Marketplace, each
from slots.late_orders.days import PENDING, THURSDAY, found_on, rule_of

from vibes_pipeline.slots import late_orders

# All of them would be overdue, were they not bad.
BAD = [
    Case("no seller", Item(seller_id=None), None),
    Case("unknown seller", Item(seller_id="nobody"), None),
    Case("a seller set aside", Item(seller_id="twice", sku="sku of twice"), None),
    Case("a seller of another country", Item(seller_id="of Kenya", sku="sku of Kenya"), None),
    Case("no SKU", Item(sku=None), None),
    Case("unknown SKU", Item(sku="no such sku"), None),
    Case("a SKU set aside", Item(sku="same sku"), None),
    Case("another seller's SKU", Item(sku="other's sku"), None),
    Case("never pending, ready", Item(pending_at=None, ready_to_ship_at="Tue 10:00"), None),
    Case("no price", Item(item_price=None), None),
    Case("negative price", Item(item_price="-0.01"), None),
    Case("no commission", Item(commission=None), None),
    Case("negative commission", Item(commission="-0.01"), None),
    Case("ready before it was pending", Item(ready_to_ship_at="Mon 08:00"), None),
    Case("shipped before it was pending", Item(shipped_at="Mon 08:00"), None),
    Case("delivered before it was pending", Item(delivered_at="Mon 08:00"), None),
    Case("rejected before it was pending", Item(rejected_at="Mon 08:00"), None),
    Case(
        "cancelled before it was pending",
        Item(cancelled_at="Mon 08:00", cancel_reason="other"),
        None,
    ),
    Case(
        "returned before it was pending",
        Item(returned_at="Mon 08:00", return_reason="other"),
        None,
    ),
    Case(
        "both delivered and rejected, if only later",
        Item(delivered_at="Fri 10:00", rejected_at="Sat 10:00"),
        None,
    ),
    Case("cancelled without reason, if only later", Item(cancelled_at="Fri 10:00"), None),
    Case(
        "cancelled for an unknown reason, if only later",
        Item(cancelled_at="Fri 10:00", cancel_reason="too late"),
        None,
    ),
    Case("returned without reason, if only later", Item(returned_at="Fri 10:00"), None),
    Case(
        "returned for an unknown reason, if only later",
        Item(returned_at="Fri 10:00", return_reason="too late"),
        None,
    ),
    Case("of no customer, order or parcel: that is no fault", Item(customer_id=None), PENDING),
    Case("a price of nothing is no fault", Item(item_price="0.00", commission="0.00"), PENDING),
]

# Of each repeated id one copy is overdue; here is the other one. Expected: whether it is found.
LONG_READ = "Mon-7 09:00"
COPIES = [
    Case("a copy alike", Item(), None),
    Case("a copy that was shipped", Item(shipped_at="Tue 10:00"), None),
    Case("a copy that was cancelled", Item(cancelled_at="Tue 10:00", cancel_reason="other"), None),
    Case("a bad copy", Item(commission="-1.00"), None),
    Case(
        "a copy of another country's seller", Item(seller_id="of Kenya", sku="sku of Kenya"), None
    ),
    Case("a copy as old as what is read", Item(pending_at="Wed-2 00:00"), None),
    Case(
        "an older copy that was ready since",
        Item(pending_at=LONG_READ, ready_to_ship_at="Tue 10:00"),
        None,
    ),
    # The price of reading only what is recent: it is known not to be seen.
    Case("a copy older than what is read", Item(pending_at=LONG_READ), PENDING),
    Case("as old, and shipped since", Item(pending_at=LONG_READ, shipped_at="Tue 10:00"), PENDING),
]
UNREAD_COPIES = [
    Case("a copy that was never pending", Item(pending_at=None), None),
    Case("a copy that is pending only later", Item(pending_at="Fri 09:00"), None),
]


@pytest.fixture(scope="module")
def with_bad_rows(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    market = Marketplace()
    market.seller(seller_id="good")
    market.seller(seller_id="other")
    market.seller(seller_id="of Kenya", country="KE")
    for _ in range(2):
        market.seller(seller_id="twice")
        market.product("good", sku="same sku")
    market.product("good", sku="good sku")
    market.product("other", sku="other's sku")
    market.product("twice", sku="sku of twice")
    market.product("of Kenya", sku="sku of Kenya")
    good = Item(seller_id="good", sku="good sku")
    for sentence, columns, _ in BAD:
        market.item({**good, "order_item_id": sentence, **columns})
    market.item({**good, "order_item_id": None})
    for sentence, columns, _ in COPIES + UNREAD_COPIES:
        market.item({**good, "order_item_id": sentence})
        market.item({**good, "order_item_id": sentence, **columns})
    return found_on(market, tmp_path_factory.mktemp("bad"), THURSDAY)


@each(BAD)
def test_a_bad_row_is_never_to_be_cancelled(
    with_bad_rows: Decided, sentence: str, expected: str | None
) -> None:
    assert rule_of(with_bad_rows, sentence) == expected


@each(COPIES)
def test_every_copy_that_is_read_of_a_repeated_item_is_bad(
    with_bad_rows: Decided, sentence: str, expected: str | None
) -> None:
    assert rule_of(with_bad_rows, sentence) == expected


@each(UNREAD_COPIES)
def test_a_copy_without_a_time_to_be_read_by_makes_its_item_bad_too(
    with_bad_rows: Decided, sentence: str, expected: str | None
) -> None:
    assert rule_of(with_bad_rows, sentence) == expected


def test_an_item_without_id_is_never_to_be_cancelled(with_bad_rows: Decided) -> None:
    assert with_bad_rows.rows(late_orders.OVERDUE, order_item_id=None) == []
