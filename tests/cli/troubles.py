"""A marketplace small enough to run in a blink, in which every weekly rule but delisting fires.

Around the observed week of Rulebook §2's example. What the rules make of it is not tested here,
but what commands and jobs do with it; `ACTIONS` says how many actions of each rule that is.
"""

from __future__ import annotations

from rules.marketplace import Item, Marketplace

CYCLE = "2026-11-09"
ALERT_AT = "2026-11-18T07:00"
IMPLEMENTATION_AT = "2026-11-21T09:00"
ACTIONS = {
    "account_delisting": 1,
    "counterfeit_charge": 1,
    "dropoff_qc_charge": 1,
    "late_fulfilment_charge": 1,
    "order_regulation": 1,
    "out_of_stock_charge": 2,
    "returns_charge": 1,
    "sales_regulation": 1,
}
CHARGES = {rule for rule in ACTIONS if rule.endswith("_charge")}
SELLERS = 5  # with an action, hence with a mail
POSTED = "58700.00"

IN_TIME = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00", shipped_at="Mon 11:00")
OLD = Item(pending_at="Mon-3 09:00", ready_to_ship_at="Mon-3 10:00", shipped_at="Mon-3 11:00")


def market(week: str = CYCLE) -> Marketplace:
    """Its rows, around the week; `write` makes a folder of Parquet of them."""
    made = Marketplace(week=week)
    _stockless(made)
    _slow(made)
    _returned(made)
    _checked(made)
    _counterfeit(made)
    made.items(60, {**IN_TIME, "seller_id": _seller(made, "S-good"), "sku": "K-good"})
    return made


def _seller(made: Marketplace, seller_id: str) -> str:
    made.seller(seller_id=seller_id, email=f"{seller_id.lower()}@shop.example")
    made.product(seller_id, sku=seller_id.replace("S-", "K-"))
    return seller_id


def _stockless(made: Marketplace) -> None:
    of = {"seller_id": _seller(made, "S-stockless"), "sku": "K-stockless"}
    made.items(18, {**IN_TIME, **of})
    for item in ("I-gone-1", "I-gone-2"):
        made.item(
            {
                **of,
                "order_item_id": item,
                "commission": "800.00",
                "ready_to_ship_at": "Mon 10:00",
                "cancelled_at": "Tue 10:00",
                "cancel_reason": "out_of_stock",
            }
        )


def _slow(made: Marketplace) -> None:
    of = {"seller_id": _seller(made, "S-slow"), "sku": "K-slow", "order_item_id": "I-late"}
    made.item({**of, "ready_to_ship_at": "Wed 10:00", "shipped_at": "Wed 11:00"})


def _returned(made: Marketplace) -> None:
    of = {"seller_id": _seller(made, "S-returned"), "sku": "K-returned"}
    back = {"returned_at": "Tue 10:00", "return_reason": "wrong_item"}
    made.item({**OLD, **of, **back, "order_item_id": "I-back"})
    for item in ("I-back-before-1", "I-back-before-2"):
        before = {**back, "order_item_id": item, "returned_at": "Tue-1 10:00"}
        made.item({**OLD, **of, **before})


def _checked(made: Marketplace) -> None:
    item = made.item(
        {
            **OLD,
            "seller_id": _seller(made, "S-checked"),
            "sku": "K-checked",
            "order_item_id": "I-qc",
        }
    )
    made.check(item, failure_reason="defective_item")
    made.account_decision("S-checked", "Mon+1 10:00", decision_id="D-checked")


def _counterfeit(made: Marketplace) -> None:
    item = made.item(
        {**OLD, "seller_id": _seller(made, "S-fake"), "sku": "K-fake", "order_item_id": "I-fake"}
    )
    made.counterfeit_case(item, notified_at="Mon-1 10:00", proven_at="Tue 10:00")
