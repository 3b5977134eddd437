"""What has become of an open late action by 23:00: overdue still, or why not (Rulebook §9)."""

from __future__ import annotations

import pytest
from rules.marketplace import Case, Decided, Marketplace, each
from slots.late_orders.days import DUE, PENDING, READY, READY_DUE, THURSDAY, Past, found_on

from vibes_pipeline.calendar import Slot
from vibes_pipeline.slots import late_orders

# Given: the rule of its action and the item, None where the warehouse has lost it.
OUTCOMES = [
    Case("still pending", (PENDING, DUE), "overdue"),
    Case("still ready", (READY, READY_DUE), "overdue"),
    Case("ready at 23:00", (PENDING, {**DUE, "ready_to_ship_at": "Thu 23:00"}), "updated"),
    Case(
        "ready a microsecond after 23:00",
        (PENDING, {**DUE, "ready_to_ship_at": "Thu 23:00:00.000001"}),
        "overdue",
    ),
    Case("shipped at once", (PENDING, {**DUE, "shipped_at": "Thu 12:00"}), "updated"),
    Case("shipped", (READY, {**READY_DUE, "shipped_at": "Thu 23:00"}), "updated"),
    Case(
        "shipped a microsecond after 23:00",
        (READY, {**READY_DUE, "shipped_at": "Thu 23:00:00.000001"}),
        "overdue",
    ),
    Case("delivered", (READY, {**READY_DUE, "delivered_at": "Thu 20:00"}), "updated"),
    Case("rejected", (READY, {**READY_DUE, "rejected_at": "Thu 20:00"}), "updated"),
    Case(
        "cancelled by the customer",
        (PENDING, {**DUE, "cancelled_at": "Thu 23:00", "cancel_reason": "customer_request"}),
        "cancelled",
    ),
    Case(
        "cancelled a microsecond after 23:00",
        (PENDING, {**DUE, "cancelled_at": "Thu 23:00:00.000001", "cancel_reason": "other"}),
        "overdue",
    ),
    Case(
        "updated and then cancelled",
        (
            PENDING,
            {
                **DUE,
                "ready_to_ship_at": "Thu 12:00",
                "cancelled_at": "Thu 13:00",
                "cancel_reason": "out_of_stock",
            },
        ),
        "cancelled",
    ),
    Case("gone from the warehouse", (PENDING, None), "missing"),
    Case("bad by now", (PENDING, {**DUE, "commission": "-1.00"}), "missing"),
    Case("no longer pending since anything", (PENDING, {**DUE, "pending_at": None}), "missing"),
    Case("its seller is gone", (PENDING, {**DUE, "seller_id": "S-nobody"}), "missing"),
    Case("its product is gone", (PENDING, {**DUE, "sku": "K-nothing"}), "missing"),
    Case(
        "bad by now, though cancelled",
        (PENDING, {**DUE, "cancelled_at": "Thu 12:00", "cancel_reason": "nothing known"}),
        "missing",
    ),
    Case("of another country by now", (PENDING, {**DUE, "seller_id": "of Kenya"}), "evidence_gone"),
]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    market, past = Marketplace(), []
    market.seller(seller_id="of Kenya", country="KE")
    for sentence, (rule, item), _ in OUTCOMES:
        if item is not None:
            market.item({**item, "order_item_id": sentence})
        past.append(Past(sentence, rule, "open", "Wed 09:00"))
    folder = tmp_path_factory.mktemp("settled")
    return found_on(market, folder, THURSDAY, slot=Slot.LATE_CANCELLATION, past=past)


@each(OUTCOMES)
def test_an_open_action_is_overdue_still_or_told_why_not(
    settled: Decided, sentence: str, expected: str
) -> None:
    rules = [f"{rule} of {sentence}" for rule in (PENDING, READY)]
    (row,) = (r for r in settled.rows(late_orders.OUTCOMES) if r["action_id"] in rules)
    assert row["outcome"] == expected
