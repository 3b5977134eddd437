"""The clause of an action: the rule's words, and the policy values that decided it (Rulebook §14).

Here belongs which values those are, and as of which day; each with its date and its sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.model import parameters
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.rules import CHARGES, LATE_RULES, Rule

Action = Mapping[str, Any]


def clause(action: Action, policy: Policy) -> dict[str, Any]:
    """The rule, its title and words, whom it exempts, the policy's version and the values.

    A value has `key`, `description`, `unit`, `value`, `from` (since when it holds) and
    `references`, each a document and its sentence.
    """
    text = policy.rules[Rule(action["rule"])]
    known = dict(parameters(policy))
    return {
        "rule": action["rule"],
        "title": text.title,
        "words": text.words,
        "exemptions": text.exemptions.sentence if text.exemptions else None,
        "policy_version": action["policy_version"],
        "values": [
            {
                "key": key,
                "description": known[key].description,
                "unit": known[key].unit,
                "value": _plain(_chosen(key, action, known[key].on(day))),
                "from": known[key].dated_on(day).from_.isoformat(),
                "references": [
                    {"document": r.document, "sentence": r.sentence}
                    for r in known[key].dated_on(day).references
                ],
            }
            for key, day in _deciding(action, policy)
        ],
    }


def _deciding(action: Action, policy: Policy) -> Iterator[tuple[str, date]]:
    """Keys of the values that decided, each with the day as of which it counts."""
    rule, cycle, facts = action["rule"], action["cycle"], action["evidence"]
    event_day = policy.local_date(action["event_at"])
    match rule:
        case Rule.ORDER_REGULATION:
            for name in ("window_weeks", "bands", "daily_order_minimum", "in_force_days"):
                yield f"{rule}.{name}", cycle
        case Rule.OUT_OF_STOCK_CHARGE | Rule.LATE_FULFILMENT_CHARGE:
            for name in ("commission_multiple", "cap", "exempt_first_days"):
                yield f"{rule}.{name}", event_day
            yield "commission_family.members", event_day
            if rule == Rule.LATE_FULFILMENT_CHARGE:
                yield "fulfilment.hours", _day(facts["pending_at"], policy)
        case Rule.RETURNS_CHARGE | Rule.DROPOFF_QC_CHARGE:
            yield f"{rule}.amounts.{facts['reason']}", event_day
        case Rule.COUNTERFEIT_CHARGE:
            yield f"{rule}.amount", event_day
            yield f"{rule}.evidence_working_days", _day(facts["notified_at"], policy)
        case Rule.SALES_REGULATION:
            yield from ((f"{rule}.{name}", cycle) for name in _of_sales(action, policy))
        case Rule.PRODUCT_DELISTING:
            yield f"{rule}.occurrence", cycle
            yield f"{rule}.delists_in", cycle
        case Rule.ACCOUNT_DELISTING:
            yield f"{rule}.decided_by", cycle
            yield f"{rule}.review_events", cycle
        case _:
            yield "fulfilment.hours", _day(facts["entered_at"], policy)
            yield "late_orders.late_lookback_days", cycle
            yield "late_orders.cancels", cycle
    if rule in CHARGES and rule != Rule.COUNTERFEIT_CHARGE:
        yield "late_data.late_arrival_days", cycle
    yield f"notice.{'late_' if rule in LATE_RULES else ''}notice_hours", cycle


def _of_sales(action: Action, policy: Policy) -> Iterator[str]:
    rejections, returns = (
        f"{ground}_rate" in action["grounds"] for ground in ("rejection", "return")
    )
    is_overridden = action["sku"] in policy.sales_regulation.sku_overrides.on(action["cycle"])
    thresholds = f"thresholds.{action['evidence']['product_type']}"
    if is_overridden:
        yield "sku_overrides"
    if rejections:
        yield "rejection_window_days"
    if rejections and not is_overridden:
        yield f"{thresholds}.rejection_over_pct"
    if returns:
        yield "return_lag_weeks"
    if returns and not is_overridden:
        yield f"{thresholds}.return_over_pct"
    yield from ("minimum_customers", "occurrence_rests_on", "in_force_days")


def _chosen(key: str, action: Action, value: Any) -> Any:
    """Of a list of bands, or of single SKUs' rates, only the one that was applied."""
    if key == "order_regulation.bands":
        return value[action["band"]]
    if key == "sales_regulation.sku_overrides":
        return value[action["sku"]]
    return value


def _day(instant: str, policy: Policy) -> date:
    return policy.local_date(datetime.fromisoformat(instant))


def _plain(value: Any) -> Any:
    """What JSON holds: numbers that are not whole as text."""
    if isinstance(value, BaseModel):
        return {k: _plain(v) for k, v in value.model_dump(exclude_none=True).items()}
    if isinstance(value, Decimal):
        return short(value)
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value
