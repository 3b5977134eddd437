"""A marketplace in which every weekly model has rows that engines might read otherwise.

Here belong items within moments of every local midnight, every kind of bad row, ids and texts of all
sorts, and a ledger with a past.
"""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from rules.bad_rows import add_every_kind
from rules.marketplace import NIGERIA, Item, Marketplace

from vibes_pipeline.policy import Policy, load_policy

# With the weekday, moments near a local midnight or, where clocks change at midnight, in the hour
# that comes twice.
MOMENTS = ("00:00:00", "00:00:00.000001", "00:59:59.5", "12:00", "23:00:00", "23:59:59.999999")
DAYS = ("Sun-1", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon+1")
OLD = Item(pending_at="Mon-3 09:00", ready_to_ship_at="Mon-3 10:00", shipped_at="Mon-3 11:00")
SELLERS = ("S-1", "S-2", "S-3", "o'S \\ 4", "S₦😀")


def busy_market(policy: Policy, week: str) -> Marketplace:
    """The marketplace around a week, with what its ledger remembers."""
    market = Marketplace(week=week, policy=policy)
    for number, seller in enumerate(SELLERS):
        market.seller(seller_id=seller, is_jumia_express=number == 2 or None)
        market.product(seller, sku=f"K {seller}")
        market.product(seller, sku=f"F {seller}", product_type="Fashion")
    add_every_kind(market)
    sellers = cycle(SELLERS)
    for number, (day, moment) in enumerate((d, m) for d in DAYS for m in MOMENTS):
        _around(market, f"{number}", f"{day} {moment}", next(sellers))
    market.item({"order_item_id": "open for long", "pending_at": "Mon-3 09:00", **_never})
    _past(market)
    return market


def of_clock_changes(folder: Path) -> Policy:
    """Nigeria's policy where clocks change at midnight, such as in the week of 2026-10-26."""
    file = folder / "cairo.yaml"
    zones = ("time_zone: Africa/Lagos", "time_zone: Africa/Cairo")
    assert NIGERIA.text.count(zones[0]) == 1
    file.write_text(NIGERIA.text.replace(*zones), encoding="utf-8")
    return load_policy(path=file)


def _around(market: Marketplace, name: str, at: str, seller: str) -> None:
    """One event of each kind at a moment."""
    old: Item = {**OLD, "seller_id": seller, "sku": f"K {seller}"}
    market.item({**old, "order_item_id": f"new {name}", "pending_at": at, **_never})
    market.item({**old, "order_item_id": f"shipped {name}", "shipped_at": at})
    market.item({**old, "order_item_id": f"delivered {name}", "delivered_at": at})
    market.item({**old, "order_item_id": f"gone {name}", "cancelled_at": at, **_stockless})
    market.item({**old, "order_item_id": f"lost {name}", "cancelled_at": at, **_lost})
    market.item({**old, "order_item_id": f"refused {name}", "rejected_at": at})
    back = market.item({**old, "order_item_id": f"back {name}", "returned_at": at, **_wrong})
    market.check(back, qc_id=f"Q {name}", checked_at=at)
    market.counterfeit_case(back, case_id=f"C {name}", notified_at="Mon-2 10:00", proven_at=at)
    market.counterfeit_case(f"gone {name}", case_id=f"N {name}", notified_at=at, proven_at=None)


_never = Item(ready_to_ship_at=None, shipped_at=None)
_stockless = Item(cancel_reason="out_of_stock", commission="812.35")
_lost = Item(cancel_reason="late_pending", commission="99999.99")
_wrong = Item(return_reason="wrong_item")


def _past(market: Marketplace) -> None:
    """What the ledger remembers of earlier cycles, and what claims excuse."""
    late, stock = "late_fulfilment_charge", "out_of_stock_charge"
    market.remember("charges", rule=late, order_item_id="gone 7", amount="812.35")
    market.remember("charges", rule=late, order_item_id="gone 8", amount="100.10")
    market.remember("charges", rule=stock, order_item_id="gone 9", amount="1.00", is_standing=False)
    market.remember("charges", rule="returns_charge", order_item_id="back 9", amount="1500.00")
    for number in range(1, 4):
        market.remember("sales_regulations", sku="K S-1", cycle=None, occurrence=number)
    market.remember("product_delistings", sku="K S-2")
    market.remember("account_delistings", seller_id="S-2", decision_id="D-old")
    market.remember("reviewed_counterfeits", seller_id="S-1", order_item_id="back 10")
    market.remember(
        "account_reviews", seller_id="S-1", quality_returns=1, dropoff_failures=0, counterfeits=2
    )
    market.account_decision("S-1", "Mon+1 10:00", decision_id="D-1")
    market.account_decision("S-1", "Mon+1 10:00", decision_id="D-2", decision=" DELIST\t")
    # One recorded in the ledger; a loader has copied another into the warehouse since.
    for decision_id, decision in (("recorded-1", "delist"), ("D-1", "keep")):
        market.remember(
            "recorded_account_decisions",
            decision_id=decision_id,
            seller_id="S-1",
            decision=decision,
            decided_at=market.at("Mon+1 11:00"),
        )
    for number, event in enumerate(("stock", "lateness", "return", "rejection", "dropoff_qc")):
        kind = ("gone", "new", "back", "refused", "back")[number]
        for item in range(10, 50, 9):
            market.remember("excuses", event=event, order_item_id=f"{kind} {item}")
    market.remember(
        "open_charges",
        action_id="A-1",
        rule="dropoff_qc_charge",
        seller_id="S-1",
        order_item_id="back 0",
        reason="wrong_item",
        qc_id="Q 0",
    )
    row = next(r for r in market.raw["order_items"] if r["order_item_id"] == "back 12")
    market.remember(
        "undecided_counterfeit_claims",
        claim_id="CL-1",
        seller_id=row["seller_id"],
        order_number=row["order_number"],
        sku=row["sku"],
        raised_at=market.at("Mon-2 11:00"),
    )
