"""The policy as relations: what SQL joins as `policy.NAME`.

Here belong the shapes of those relations and how dated values become their rows; no rule and no
number. Spans are local dates, `valid_from` inclusive, `valid_until` exclusive, 9999-12-31 while a
value still holds; rows of one subject never overlap, so a join on one date yields at most one of
each. Percentages are Decimal(9,4), amounts of money Decimal(14,2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl

from vibes_pipeline.policy.model import (
    Band,
    CommissionCharge,
    OrderRegulation,
    Policy,
    QualityCharge,
    SalesRegulation,
)
from vibes_pipeline.policy.parameter import Parameter

Row = dict[str, object]
Schema = dict[str, pl.DataType]

PERCENT = pl.Decimal(9, 4)
MULTIPLE = pl.Decimal(9, 4)
AMOUNT = pl.Decimal(14, 2)
TEXT, FLAG, COUNT, DAY = pl.String(), pl.Boolean(), pl.Int64(), pl.Date()
SPAN: Schema = {"valid_from": DAY, "valid_until": DAY}


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


def policy_tables(policy: Policy) -> dict[str, pl.DataFrame]:
    """Every `policy.*` relation by its name, with the columns and types of `schemas`."""
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
            *_commission("out_of_stock_charge", policy.out_of_stock_charge),
            *_commission("late_fulfilment_charge", policy.late_fulfilment_charge),
        ),
        "quality_charges": (
            *_quality("returns_charge", policy.returns_charge),
            *_quality("dropoff_qc_charge", policy.dropoff_qc_charge),
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
        from_pct, includes_from = Decimal(0), True
        for number, band in enumerate(bands):
            edges: Row = {
                "band": number,
                "from_pct": from_pct,
                "includes_from": includes_from,
                "to_pct": band.up_to_pct,
                "includes_to": bool(band.includes_upper),
            }
            yield _span(valid_from, valid_until) | edges | _limits(band)
            if band.up_to_pct is not None:
                from_pct, includes_from = band.up_to_pct, not band.includes_upper


def _limits(band: Band) -> Row:
    return band.model_dump(exclude={"up_to_pct", "includes_upper"})


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
