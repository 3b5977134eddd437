"""Rulebook §15 over whole slots: the part of the week before an instant, as it stands then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from cli.shell import Shell
from polars.testing import assert_frame_equal
from rules.marketplace import Item
from slots.claims.cases import Desk
from slots.whole_slots import OLD, rejected, returned

from vibes_pipeline.answers.standing import standing_of
from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.standings import newest_standings
from vibes_pipeline.slots.standings import RELATIONS, STANDINGS, PartWeek, refresh
from vibes_pipeline.slots.steps import steps_of

SHIPPED = Item(pending_at="Sat 09:00", shipped_at="Mon+1 10:00")
STOCKLESS = Item(pending_at="Sat 09:00", cancelled_at="Tue+1 10:00", cancel_reason="out_of_stock")
KEYS = (
    *("week", "shipped_items", "shipped_orders", "cancelled_items", "cancellation_rate_pct"),
    *("band", "daily_order_limit", "pending_to_shipped_limit"),
    *("shipments_to_lighter_band", "shipments_to_no_limit", "cancellations_to_heavier_band"),
    *("is_exempt", "is_delisted"),
)
THURSDAY, SATURDAY = "Thu+1 06:00", "Sat+1 08:00"


def ready(columns: Item) -> Item:
    """Ready in time, so that nothing else befalls the item."""
    return {"ready_to_ship_at": columns["pending_at"], **columns}


def trade(slots: Desk, seller: str, shipped: int, cancelled: int, **columns: object) -> None:
    """A seller who did that in the week after the observed one, up to its Tuesday."""
    slots.seller(seller, **columns)
    for number in range(shipped):
        slots.item(seller, f"{seller} shipped {number}", ready(SHIPPED))
    for number in range(cancelled):
        slots.item(seller, f"{seller} cancelled {number}", ready(STOCKLESS))


@pytest.fixture
def slots(ledger: Ledger, tmp_path: Path) -> Desk:
    """The observed week decided and done; the week after it goes on."""
    slots = Desk(ledger, tmp_path)
    trade(slots, "busy", 18, 2)
    trade(slots, "express", 18, 2, is_jumia_express=True)
    trade(slots, "gone", 18, 2)
    slots.seller("idle")
    slots.seller("maker")
    slots.seller("late")
    # What lies after the instant of the tests has not happened yet.
    slots.item("busy", "shipped later", {**ready(SHIPPED), "shipped_at": "Thu+1 06:00"})
    slots.item("busy", "cancelled later", {**ready(STOCKLESS), "cancelled_at": "Thu+1 06:01"})
    # In the observed week: an event that lists its seller for review, and one that is charged.
    slots.item("gone", "returned", returned("Tue 10:00"))
    slots.market.account_decision("gone", "Mon+1 09:00")
    # Two customers refuse the product in the observed week, one more after it; the base is 8.
    for name, at in (("first", "Tue 10:00"), ("second", "Wed 10:00"), ("third", "Tue+1 10:00")):
        slots.item("maker", name, rejected(at))
    for number in range(5):
        slots.item("maker", f"delivered {number}", {**OLD, "delivered_at": f"Thu 1{number}:00"})
    slots.item("maker", "came back", {**returned("Wed+1 08:00"), "sku": "K-maker"})
    # On Saturday at 08:00 one is overdue, two are due within a day, one not before Monday.
    slots.item("late", "overdue", {"pending_at": "Fri+1 07:00"})
    slots.item("late", "due on Saturday", {"pending_at": "Fri+1 09:00"})
    slots.item(
        "late", "to be shipped", {"pending_at": "Fri+1 09:00", "ready_to_ship_at": "Fri+1 09:30"}
    )
    slots.item("late", "due on Monday", {"pending_at": "Sat+1 07:00"})
    slots.alert()
    return slots


def everybody(slots: Desk, at: str) -> Mapping[str, pl.DataFrame]:
    part = PartWeek.before(slots.market.at(at), slots.policy, slots.settings())
    return part.standings(slots.ledger)


def document(slots: Desk, seller: str, at: str = THURSDAY) -> dict[str, Any]:
    found = standing_of(seller, slots.settings(), slots.policy, slots.ledger, slots.market.at(at))
    return found.document()


def test_a_standing_is_of_the_part_of_the_week_before_its_instant(slots: Desk) -> None:
    busy = document(slots, "busy")
    assert list(busy) == [*KEYS, "charges", "due_items", "products"]
    assert busy == {
        "week": "2026-11-16",
        "shipped_items": 18,
        "shipped_orders": 18,
        "cancelled_items": 2,
        "cancellation_rate_pct": 10.0,
        "band": 2,
        # Half of 18 orders in the four days that have begun.
        "daily_order_limit": 2,
        "pending_to_shipped_limit": 4,
        "shipments_to_lighter_band": 20,
        "shipments_to_no_limit": 61,
        "cancellations_to_heavier_band": 1,
        "is_exempt": False,
        "is_delisted": False,
        "charges": [{"rule": "out_of_stock_charge", "count": 2, "amount": "4000.00"}],
        "due_items": [
            {
                "order_item_id": "cancelled later",
                "deadline_at": "2026-11-16T09:00:00+01:00",
                "stage": "ready_to_ship",
            }
        ],
        "products": [],
    }
    express, gone, idle = (document(slots, name) for name in ("express", "gone", "idle"))
    record = {name: busy[name] for name in (*KEYS, "charges")}
    assert express.items() >= {**record, "is_exempt": True}.items(), "shown, and marked so"
    assert gone.items() >= {**record, "is_delisted": True}.items(), "shown, and marked so"
    assert not document(slots, "gone", "Tue+1 12:00")["is_delisted"], "before it was decided"
    assert [idle[name] for name in KEYS[1:]] == [0, 0, 0, *[None] * 6, 1, False, False]


def test_products_and_items_are_told_as_they_stand(slots: Desk) -> None:
    maker = document(slots, "maker")
    assert maker["charges"] == [{"rule": "returns_charge", "count": 1, "amount": "1500.00"}]
    assert maker["products"] == [
        {
            "sku": "K-maker",
            "product_type": "GM",
            "rejected_items": 3,
            "rejection_base_items": 8,
            "rejection_rate_pct": 37.5,
            "rejection_over_pct": 3.0,
            "rejecting_customers": 3,
            "has_rejection_ground": True,
            # What came back in this week counts in the next.
            "returned_items": 0,
            "return_base_items": 5,
            "return_rate_pct": 0.0,
            "return_over_pct": 2.0,
            "returning_customers": 0,
            "has_return_ground": False,
            "minimum_customers": 2,
            # Alerted on Wednesday, to be implemented on Saturday: it stands.
            "occurrences": 1,
            "delisted_from_occurrence": 4,
            "is_delisted": False,
        }
    ]
    late = document(slots, "late", SATURDAY)
    assert late["due_items"] == [
        {
            "order_item_id": "overdue",
            "deadline_at": "2026-11-21T07:00:00+01:00",
            "stage": "pending",
        },
        {
            "order_item_id": "due on Saturday",
            "deadline_at": "2026-11-21T09:00:00+01:00",
            "stage": "pending",
        },
        {
            "order_item_id": "to be shipped",
            "deadline_at": "2026-11-21T09:30:00+01:00",
            "stage": "ready_to_ship",
        },
    ]
    assert late["charges"] == [{"rule": "late_fulfilment_charge", "count": 1, "amount": "1000.00"}]


def test_what_is_recorded_later_changes_no_earlier_standing(slots: Desk) -> None:
    before = everybody(slots, THURSDAY)
    run = slots.begin(Slot.LATE_ALERT, THURSDAY)
    refresh(run, slots.ledger)
    shown = newest_standings(slots.ledger)
    recorded = before[STANDINGS].sort("seller_id")
    assert shown.sort("seller_id").select(recorded.columns).equals(recorded)
    assert run.engine.read(STANDINGS).height == recorded.height
    kept = run.engine.partition(STANDINGS)
    assert list(kept.parent.iterdir()) == [kept], "what nobody reads every morning is not made"

    slots.upheld("C-1", "busy", "Fri+1 08:00", order_number="O-busy cancelled 0")
    slots.settle("Fri+1 08:00")
    slots.implement()
    slots.alert(1)
    after = everybody(slots, THURSDAY)
    again = refresh(slots.begin(Slot.LATE_ALERT, THURSDAY), slots.ledger)
    for relation in RELATIONS:
        assert_frame_equal(after[relation], before[relation], check_row_order=False)
    assert_frame_equal(again, before[STANDINGS], check_row_order=False)
    busy = document(slots, "busy", "Sun+1 23:00")
    assert busy["cancelled_items"] == 2, "one more was cancelled since, one is excused"
    assert busy["charges"] == [{"rule": "out_of_stock_charge", "count": 2, "amount": "4000.00"}]


def test_the_commands_say_it_to_people_and_to_tools(slots: Desk, ledger_url: sa.URL) -> None:
    shell = Shell(
        slots.home,
        {
            "VIBES_HOME": str(slots.home),
            "VIBES_WAREHOUSE": str(slots.home / "raw"),
            "VIBES_POSTGRES_URL": ledger_url.render_as_string(hide_password=False),
        },
    )
    at = "2026-11-19T06:00"
    told = shell("standing", "busy", "--at", at)
    assert told.status == 0, told.err
    assert "2 cancelled: 2 / 20 = 10.00%" in told.out
    assert "band 2 (over 5% to 10%): 2 orders a day, 4 between pending and shipped" in told.out
    assert "20 more items shipped, none cancelled: a lighter band" in told.out
    assert "Out of Stock Charge: 2 items, ₦4,000.00" in told.out
    as_json = shell("standing", "busy", "--at", at, "--format", "json")
    assert json.loads(as_json.out) == document(slots, "busy")
    out = slots.home / "standings.parquet"
    assert shell("export", "standings", "--at", at, "--out", out).status == 0
    exported = pl.read_parquet(out)
    assert exported.columns == ["seller_id", *KEYS]
    assert exported["seller_id"].to_list() == ["busy", "express", "gone", "idle", "late", "maker"]
    # Without a time it is the simulated ledger's own: that of its newest slot.
    assert "as of 2026-11-18 07:00" in shell("standing", "busy").out
    assert "no seller 'bussy' of NG (did you mean busy?)" in shell("standing", "bussy").error
    assert "is not a time" in shell("standing", "busy", "--at", "noon").error
    assert (
        "--at goes with the table standings"
        in shell("export", "actions", "--at", at, "--out", out).error
    )
    assert "--at alone" in shell("export", "standings", "--day", "2026-11-19", "--out", out).error


def test_standings_come_after_the_late_alert_s_mails_and_keep_none_back() -> None:
    assert [step.asset for step in steps_of(Slot.LATE_ALERT)][-2:] == [
        "notices/late_alerts",
        "answers/standings",
    ]
