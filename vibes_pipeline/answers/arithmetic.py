"""How an amount or a limit comes out, from an action's frozen facts and the policy of its cycle.

Twice: as an expression that evaluates to it, for tools, and written out for people (Rulebook §14).
No rule is decided here: the numbers are those that the rule was decided with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from vibes_pipeline.listing import counted
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.rules import Band
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.rules import Rule

Action = Mapping[str, Any]


def expression(action: Action, policy: Policy) -> str | None:
    """What evaluates to the amount, or to the daily order limit; None for what has neither.

    Such as `min(2 * 900.00, 2500.00)`, `max(2, 75 * 13 // (100 * 6))`.
    """
    facts = action["evidence"]
    match action["rule"]:
        case Rule.OUT_OF_STOCK_CHARGE | Rule.LATE_FULFILMENT_CHARGE:
            multiple, commission, cap = _commission(facts)
            product = f"{short(multiple)} * {commission:.2f}"
            if (multiple * commission).quantize(Decimal("0.01")) != multiple * commission:
                product = f"round({product}, 2)"
            deducted = _deducted(facts)
            return f"min({product}, {cap:.2f})" + (f" - {deducted:.2f}" if deducted else "")
        case Rule.ORDER_REGULATION:
            band = _band(action, policy)
            if band.daily_share_pct is None:
                return str(action["daily_order_limit"])
            minimum = policy.order_regulation.daily_order_minimum.on(action["cycle"])
            share = f"{short(band.daily_share_pct)} * {facts['shipped_orders']}"
            return f"max({minimum}, {share} // (100 * {_days(facts)}))"
    return None if action["amount"] is None else f"{action['amount']:.2f}"


def written_out(action: Action, policy: Policy) -> list[str]:
    """The same for people, and how rates compare with their thresholds; one line for each."""
    match action["rule"]:
        case Rule.OUT_OF_STOCK_CHARGE | Rule.LATE_FULFILMENT_CHARGE:
            return [_of_commission(action, policy)]
        case Rule.ORDER_REGULATION:
            return list(_of_limits(action, policy))
        case Rule.SALES_REGULATION:
            return list(_of_grounds(action, policy))
        case Rule.PRODUCT_DELISTING:
            facts = action["evidence"]
            return [
                f"{counted(facts['occurrences'], 'occurrence')}; "
                f"delisted from number {facts['delisted_from_occurrence']} on"
            ]
    return [] if action["amount"] is None else [policy.money(action["amount"])]


def _of_commission(action: Action, policy: Policy) -> str:
    facts = action["evidence"]
    multiple, commission, cap = _commission(facts)
    money = policy.money
    text = (
        f"{short(multiple)} × {money(commission)} = {money(multiple * commission)}, "
        f"at most {money(cap)}"
    )
    if deducted := _deducted(facts):
        text += f", less {money(deducted)} charged for its late fulfilment"
    if deducted or multiple * commission > cap:
        text += f": {money(action['amount'])}"
    return text


def _of_limits(action: Action, policy: Policy) -> Iterator[str]:
    facts = action["evidence"]
    band = _band(action, policy)
    daily, pending = action["daily_order_limit"], action["pending_to_shipped_limit"]
    base = facts["cancelled_items"] + facts["shipped_items"]
    yield f"cancellation rate: {rate(facts['cancelled_items'], base)}, band {action['band']}"
    orders = counted(daily, "order")
    if band.daily_share_pct is None:
        yield f"{orders} a day, fixed"
    else:
        minimum = policy.order_regulation.daily_order_minimum.on(action["cycle"])
        shipped, days = facts["shipped_orders"], _days(facts)
        share = band.daily_share_pct * shipped / (100 * days)
        yield (
            f"{short(band.daily_share_pct)}% × {counted(shipped, 'shipped order')} ÷ "
            f"{counted(days, 'fulfilment day')} = {share:.2f}, rounded down, at least {minimum}: "
            f"{orders} a day"
        )
    between = f"{counted(pending, 'order')} between pending and shipped"
    if band.pending_to_shipped_multiple is None:
        yield f"{between}, fixed"
    else:
        yield f"{band.pending_to_shipped_multiple} × {daily} = {between}"


def _of_grounds(action: Action, policy: Policy) -> Iterator[str]:
    facts, grounds = action["evidence"], action["grounds"].split(",")
    customers = policy.sales_regulation.minimum_customers.on(action["cycle"])
    for ground, counts, who in (
        ("rejection", "rejected_items", "rejecting_customers"),
        ("return", "returned_items", "returning_customers"),
    ):
        if f"{ground}_rate" in grounds:
            over = Decimal(facts[f"{ground}_over_pct"])
            yield (
                f"{ground} rate: {rate(facts[counts], facts[f'{ground}_base_items'])}, "
                f"over {short(over)}%; {counted(facts[who], 'customer')}, at least {customers}"
            )
    if action["occurrence"] is None:
        yield "no occurrence: it rests on nothing new"
    else:
        last = policy.product_delisting.occurrence.on(action["cycle"])
        yield f"occurrence {action['occurrence']} of {last}"


def _commission(facts: Mapping[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    names = ("commission_multiple", "commission", "cap")
    multiple, commission, cap = (Decimal(facts[name]) for name in names)
    return multiple, commission, cap


def _deducted(facts: Mapping[str, Any]) -> Decimal:
    return Decimal(facts.get("late_charge_deducted") or 0)


def _band(action: Action, policy: Policy) -> Band:
    return policy.order_regulation.bands.on(action["cycle"])[action["band"]]


def _days(facts: Mapping[str, Any]) -> int:
    """No fulfilment day in the window counts as one (Rulebook §5)."""
    days: int = facts["fulfilment_days"]
    return max(days, 1)


def rate(part: int, base: int) -> str:
    """A rate with its numerator and denominator: `1 ÷ 18 = 5.56%`."""
    return f"{part} ÷ {base} = {Decimal(100 * part) / base:.2f}%"
