"""The policy as relations: what SQL joins as `policy.NAME`.

Here belong the shapes of those relations and how dated values become their rows; no rule and no
number. Spans are local dates, `valid_from` inclusive, `valid_until` exclusive, 9999-12-31 while a
value still holds; rows of one subject never overlap, so a join on one date yields at most one of
each. Percentages are Decimal(9,4), amounts of money Decimal(14,2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import polars as pl

from vibes_pipeline.policy.model import Policy
from vibes_pipeline.policy.parameter import Parameter
from vibes_pipeline.policy.rules import (
    Band,
    CommissionCharge,
    OrderRegulation,
    QualityCharge,
    SalesRegulation,
    band_edges,
)
from vibes_pipeline.rules import CHARGES

Row = dict[str, object]
Charge = TypeVar("Charge", CommissionCharge, QualityCharge)
Schema = dict[str, pl.DataType]

PERCENT = pl.Decimal(9, 4)
MULTIPLE = pl.Decimal(9, 4)
AMOUNT = pl.Decimal(14, 2)
TEXT, FLAG, COUNT, DAY = pl.String(), pl.Boolean(), pl.Int64(), pl.Date()
SPAN: Schema = {"valid_from": DAY, "valid_until": DAY}


# What a row of each relation is.
RELATIONS: Mapping[str, str] = {
    "cancel_reasons": "a reason for cancelling an item, and what it counts as",
    "return_reasons": "a reason for returning an item, and whether it is of quality",
    "failure_reasons": "a reason for failing the quality check at drop-off",
    "product_types": "a product type that sales regulation tells apart",
    "fulfilment": "the hours that the fulfilment clock runs until an item is overdue",
    "calendar": "a local day: whether the fulfilment clock runs, and how long it has run",
    "order_regulation": "what the order regulation counts, and for how long it is in force",
    "order_regulation_bands": "a band of cancellation rates and its limits",
    "commission_charges": "a charge that is a multiple of the commission",
    "quality_charges": "a charge by reason",
    "counterfeit_charge": "the charge for a counterfeit, and the seller's time for evidence",
    "late_data": "how far back an event that arrived late is still charged",
    "sales_regulation": "what the sales regulation looks at, and for how long it is in force",
    "sales_regulation_thresholds": "rates that a product type, or a single SKU, must exceed",
    "product_delisting": "the occurrence that brings a delisting",
    "review_events": "an event that lists a seller's account for review",
    "late_orders": "how far back a deadline may lie for its item to be cancelled",
    "notice": "how long before an action its alert must have been accepted",
}

# What a column holds, by its name, which means the same in every relation.
MEANINGS: Mapping[str, str] = {
    "valid_from": "the first local day on which it holds",
    "valid_until": "the first one on which it no longer does",
    "rule": "as the rulebook names it",
    "reason": "its code in the order warehouse",
    "is_accountable": "a cancellation that counts as the seller's",
    "is_out_of_stock": "a cancellation that is charged as out of stock",
    "is_late": "a cancellation by the system, for lateness",
    "is_quality": "a return that is charged, and counts against the product",
    "product_type": "null in the row of a single SKU",
    "sku": "null in the row of a product type",
    "hours": "running hours",
    "day": "local date",
    "starts_at": "its 00:00",
    "ends_at": "its 24:00",
    "is_fulfilment_day": "the fulfilment clock runs",
    "is_working_day": "counts for the evidence window",
    "working_days": "how many there have been, this one included",
    "clock_before": "seconds that the clock had run when the day began",
    "clock_after": "seconds that it has run when the day ends",
    "window_weeks": "weeks, ending with the observed one",
    "daily_order_minimum": "orders a day; no limit by share is less",
    "exempts_jumia_express": "sellers on Jumia Express get none",
    "in_force_days": "days from the implementation",
    "band": "its place in the list, from 0",
    "from_pct": "cancellation rate from which it begins, in percent",
    "includes_from": "whether the band holds that rate itself",
    "to_pct": "cancellation rate at which it ends, in percent; null: open above",
    "includes_to": "whether the band holds that rate itself",
    "daily_share_pct": "limit as a share of the shipped orders a day, in percent",
    "daily_order_limit": "limit in orders a day",
    "pending_to_shipped_multiple": "limit as a multiple of the daily order limit",
    "pending_to_shipped_limit": "limit in orders",
    "commission_multiple": "times the item's commission",
    "cap": "naira, at most",
    "exempt_first_days": "days of 24 hours from onboarding in which a seller is exempt",
    "amount": "naira",
    "evidence_working_days": "working days after the day of the notification",
    "late_arrival_days": "days before the observed week",
    "rejection_window_days": "days, ending with the observed week",
    "return_lag_weeks": "weeks before the observed one",
    "minimum_customers": "distinct customers",
    "rejection_over_pct": "rejection rate to exceed, in percent",
    "return_over_pct": "return rate to exceed, in percent",
    "occurrence": "its ordinal; each later one brings it too",
    "event": "as account_reviews counts it",
    "late_lookback_days": "days",
    "notice_hours": "hours, for weekly actions",
    "late_notice_hours": "hours, for late orders",
}


def schemas(time_zone: str) -> dict[str, Schema]:
    """Every relation's columns and types; instants are in the policy's time zone."""
    instant = pl.Datetime("us", time_zone)
    return {
        "cancel_reasons": SPAN
        | {"reason": TEXT, "is_accountable": FLAG, "is_out_of_stock": FLAG, "is_late": FLAG},
        "return_reasons": SPAN | {"reason": TEXT, "is_quality": FLAG},
        "failure_reasons": SPAN | {"reason": TEXT},
        "product_types": SPAN | {"product_type": TEXT},
        "fulfilment": SPAN | {"hours": COUNT},
        "calendar": {
            "day": DAY,
            "starts_at": instant,
            "ends_at": instant,
            "is_fulfilment_day": FLAG,
            "is_working_day": FLAG,
            "working_days": COUNT,
            "clock_before": COUNT,
            "clock_after": COUNT,
        },
        "order_regulation": SPAN
        | {
            "window_weeks": COUNT,
            "daily_order_minimum": COUNT,
            "exempts_jumia_express": FLAG,
            "in_force_days": COUNT,
        },
        "order_regulation_bands": SPAN
        | {
            "band": pl.Int32(),
            "from_pct": PERCENT,
            "includes_from": FLAG,
            "to_pct": PERCENT,
            "includes_to": FLAG,
            "daily_share_pct": PERCENT,
            "daily_order_limit": COUNT,
            "pending_to_shipped_multiple": COUNT,
            "pending_to_shipped_limit": COUNT,
        },
        "commission_charges": {"rule": TEXT}
        | SPAN
        | {"commission_multiple": MULTIPLE, "cap": AMOUNT, "exempt_first_days": COUNT},
        "quality_charges": {"rule": TEXT, "reason": TEXT} | SPAN | {"amount": AMOUNT},
        "counterfeit_charge": SPAN | {"amount": AMOUNT, "evidence_working_days": COUNT},
        "late_data": SPAN | {"late_arrival_days": COUNT},
        "sales_regulation": SPAN
        | {
            "rejection_window_days": COUNT,
            "return_lag_weeks": COUNT,
            "minimum_customers": COUNT,
            "in_force_days": COUNT,
        },
        "sales_regulation_thresholds": {"product_type": TEXT, "sku": TEXT}
        | SPAN
        | {"rejection_over_pct": PERCENT, "return_over_pct": PERCENT},
        "product_delisting": SPAN | {"occurrence": COUNT},
        "review_events": SPAN | {"event": TEXT},
        "late_orders": SPAN | {"late_lookback_days": COUNT},
        "notice": SPAN | {"notice_hours": COUNT, "late_notice_hours": COUNT},
    }


@lru_cache(maxsize=8)
def policy_tables(policy: Policy) -> Mapping[str, pl.DataFrame]:
    """Every `policy.*` relation by its name, with the columns and types of `schemas`.

    Made once for each policy: every slot asks for them, several times.
    """
    rows = _rows(policy)
    return {
        name: pl.DataFrame(list(rows[name]), schema=schema, orient="row")
        for name, schema in schemas(policy.time_zone.key).items()
    }


def _rows(policy: Policy) -> dict[str, Iterable[Row]]:
    return {
        "cancel_reasons": _flagged("reason", policy.warehouse.cancel_reasons),
        "return_reasons": _flagged("reason", policy.warehouse.return_reasons),
        "failure_reasons": _listed("reason", policy.warehouse.failure_reasons),
        "product_types": _listed("product_type", policy.warehouse.product_types),
        "fulfilment": _joined(policy.fulfilment, "hours"),
        "calendar": (vars(day) for day in policy.calendar.days()),
        "order_regulation": _joined(
            policy.order_regulation,
            "window_weeks",
            "daily_order_minimum",
            "exempts_jumia_express",
            "in_force_days",
        ),
        "order_regulation_bands": _bands(policy.order_regulation),
        "commission_charges": (
            row
            for rule, charge in _charges(policy, CommissionCharge)
            for row in _commission(rule, charge)
        ),
        "quality_charges": (
            row
            for rule, charge in _charges(policy, QualityCharge)
            for row in _quality(rule, charge)
        ),
        "counterfeit_charge": _joined(policy.counterfeit_charge, "amount", "evidence_working_days"),
        "late_data": _joined(policy.late_data, "late_arrival_days"),
        "sales_regulation": _joined(
            policy.sales_regulation,
            "rejection_window_days",
            "return_lag_weeks",
            "minimum_customers",
            "in_force_days",
        ),
        "sales_regulation_thresholds": _thresholds(policy.sales_regulation),
        "product_delisting": _joined(policy.product_delisting, "occurrence"),
        "review_events": _listed("event", policy.account_delisting.review_events),
        "late_orders": _joined(policy.late_orders, "late_lookback_days"),
        "notice": _joined(policy.notice, "notice_hours", "late_notice_hours"),
    }


def _span(valid_from: date, valid_until: date) -> Row:
    return {"valid_from": valid_from, "valid_until": valid_until}


def _joined(group: object, *names: str) -> Iterator[Row]:
    """One row per stretch of time in which none of the group's named parameters changes.

    All parameters of a group hold over the same days, so every stretch has all its values.
    """
    parameters: dict[str, Parameter[Any]] = {name: getattr(group, name) for name in names}
    edges = sorted(
        {
            edge
            for parameter in parameters.values()
            for stretch in parameter.stretches()
            for edge in (stretch.valid_from, stretch.valid_until)
        }
    )
    rows: list[Row] = []
    for start, end in pairwise(edges):
        values = {name: parameter.on(start) for name, parameter in parameters.items()}
        if rows and all(rows[-1][name] == value for name, value in values.items()):
            rows[-1]["valid_until"] = end
        else:
            rows.append(_span(start, end) | values)
    yield from rows


def _flagged(column: str, parameter: Parameter[dict[str, Any]]) -> Iterator[Row]:
    for valid_from, valid_until, codes in parameter.stretches():
        for code, flags in codes.items():
            yield _span(valid_from, valid_until) | {column: code} | dict(flags)


def _listed(column: str, parameter: Parameter[Any]) -> Iterator[Row]:
    for valid_from, valid_until, codes in parameter.stretches():
        for code in codes:
            yield _span(valid_from, valid_until) | {column: code}


def _bands(group: OrderRegulation) -> Iterator[Row]:
    for valid_from, valid_until, bands in group.bands.stretches():
        for number, (band, edges) in enumerate(zip(bands, band_edges(bands), strict=True)):
            yield (
                _span(valid_from, valid_until) | {"band": number} | edges._asdict() | _limits(band)
            )


def _limits(band: Band) -> Row:
    return band.model_dump(exclude={"up_to_pct", "includes_upper"})


def _charges(policy: Policy, kind: type[Charge]) -> Iterator[tuple[str, Charge]]:
    """The policy's charges of a kind, by their rule's name."""
    for rule in CHARGES:
        charge = getattr(policy, rule)
        if isinstance(charge, kind):
            yield rule, charge


def _commission(rule: str, charge: CommissionCharge) -> Iterator[Row]:
    for row in _joined(charge, "commission_multiple", "cap", "exempt_first_days"):
        yield {"rule": rule} | row


def _quality(rule: str, charge: QualityCharge) -> Iterator[Row]:
    for reason, amounts in charge.amounts.items():
        for valid_from, valid_until, amount in amounts.stretches():
            yield (
                {"rule": rule, "reason": reason}
                | _span(valid_from, valid_until)
                | {"amount": amount}
            )


def _thresholds(group: SalesRegulation) -> Iterator[Row]:
    """The rows of the product types (sku null), then those of single SKUs (product_type null)."""
    for product_type, pair in group.thresholds.items():
        for row in _joined(pair, "rejection_over_pct", "return_over_pct"):
            yield {"product_type": product_type, "sku": None} | row
    for valid_from, valid_until, overrides in group.sku_overrides.stretches():
        for sku, rates in overrides.items():
            yield (
                {"product_type": None, "sku": sku} | _span(valid_from, valid_until) | dict(rates)
            )
