"""Simulations of a draft policy, made of the actions of two histories."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from policy.amendments import amended_policy
from rules.marketplace import NIGERIA

from vibes_pipeline.answers import differences
from vibes_pipeline.calendar import WEEK
from vibes_pipeline.reports.simulation import Simulation
from vibes_pipeline.rules import WEEKLY_RULES

FIRST, LAST = date(2026, 11, 9), date(2026, 11, 16)
DRAFT = amended_policy(("out_of_stock_charge.cap", "2026-11-09", "2000"))
SCHEMA = {
    **dict.fromkeys(("reference", "rule"), pl.String()),
    "cycle": pl.Date(),
    **dict.fromkeys(("seller_id", "sku", "order_number", "order_item_id"), pl.String()),
    "amount": pl.Decimal(14, 2),
    **dict.fromkeys(("band", "daily_order_limit", "pending_to_shipped_limit"), pl.Int32()),
    "grounds": pl.String(),
    "occurrence": pl.Int32(),
    "state": pl.String(),
}


def action(rule: str, seller: str, subject: str = "", **columns: Any) -> dict[str, Any]:
    """An implemented action of the first cycle."""
    names = {"sku": subject} if rule.startswith("sales") else {"order_item_id": subject or None}
    return {
        **dict.fromkeys(SCHEMA),
        **{"rule": rule, "cycle": FIRST, "seller_id": seller, "state": "implemented"},
        **names,
        **columns,
    }


def charge(seller: str, item: str, amount: str, **columns: Any) -> dict[str, Any]:
    return action("out_of_stock_charge", seller, item, amount=Decimal(amount), **columns)


def simulated(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Simulation:
    """The simulation of two histories of so many actions."""
    old, new = (pl.DataFrame(rows, schema=SCHEMA) for rows in (before, after))
    return Simulation(
        FIRST,
        LAST,
        NIGERIA,
        DRAFT,
        False,
        differences.totals(old, new, WEEKLY_RULES),
        differences.weeks(old, new, pl.date_range(FIRST, LAST, WEEK, eager=True)),
        differences.differences(old, new),
        pl.concat(map(differences.standing, (old, new)))["seller_id"].n_unique(),
    )
