"""What must hold for a proposal before it is frozen; each audit returns the actions at fault.

An audit finds faults of the pipeline itself. A warehouse row that would fail an audit is a bad row
(Rulebook §13): `sql/warehouse/bad_*.sql` sets it aside before any model uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from vibes_pipeline.errors import AuditFailed
from vibes_pipeline.listing import SHOWN, first, named
from vibes_pipeline.policy import Policy
from vibes_pipeline.rules import CHARGES, PRODUCT_RULES
from vibes_pipeline.slots.run import SlotRun

Audit = Callable[[pl.DataFrame, SlotRun], pl.DataFrame]


def every_action_is_decided_once(proposal: pl.DataFrame, run: SlotRun) -> pl.DataFrame:
    """No action id occurs twice: no rule strikes one subject more than once."""
    return proposal.filter(pl.col("action_id").is_duplicated())


def every_action_names_its_subject(proposal: pl.DataFrame, run: SlotRun) -> pl.DataFrame:
    """Charges name an item, its order and SKU; product actions a SKU; all a seller."""
    of_item = pl.col("rule").is_in(CHARGES)
    of_product = pl.col("rule").is_in(PRODUCT_RULES)
    return proposal.filter(
        pl.col("seller_id").is_null()
        | (of_item & pl.any_horizontal(pl.col("order_item_id", "order_number", "sku").is_null()))
        | (of_product & pl.col("sku").is_null())
    )


def only_charges_bear_amounts(proposal: pl.DataFrame, run: SlotRun) -> pl.DataFrame:
    """Every charge has a positive amount, and nothing else has one."""
    is_charge = pl.col("rule").is_in(CHARGES)
    has_amount = pl.col("amount").is_not_null() & (pl.col("amount") > 0)
    return proposal.filter(is_charge != has_amount)


def no_charge_exceeds_its_rule(proposal: pl.DataFrame, run: SlotRun) -> pl.DataFrame:
    """No charge is higher than its rule's cap, or its highest amount, on the event's day."""
    day = pl.col("event_at").dt.convert_time_zone(run.policy.time_zone.key).dt.date()
    of_charges = proposal.filter(pl.col("rule").is_in(CHARGES) & pl.col("amount").is_not_null())
    days = of_charges.select("rule", day.alias("day")).unique()
    highest = [_highest(rule, day, run.policy) for rule, day in days.iter_rows()]
    limits = days.with_columns(pl.Series("highest", highest, proposal.schema["amount"]))
    limited = proposal.with_columns(day.alias("day")).join(
        limits, on=["rule", "day"], how="left", maintain_order="left"
    )
    return limited.filter(pl.col("amount") > pl.col("highest")).select(proposal.columns)


def no_event_lies_outside_the_cycle(proposal: pl.DataFrame, run: SlotRun) -> pl.DataFrame:
    """No charge rests on an event after the observed week."""
    return proposal.filter(pl.col("rule").is_in(CHARGES) & (pl.col("event_at") >= run.week.end))


def _highest(rule: str, day: date, policy: Policy) -> Decimal:
    """The most that a charge of the rule may be on a local date."""
    charge: Any = getattr(policy, rule)
    if hasattr(charge, "cap"):
        highest: Decimal = charge.cap.on(day)
    elif hasattr(charge, "amounts"):
        highest = max(amount.on(day) for amount in charge.amounts.values())
    else:
        highest = charge.amount.on(day)
    return highest


def in_words(audit: Audit, at_fault: pl.DataFrame) -> str:
    """The audit's finding as an error; it names the warehouse rows of the first actions."""
    actions = [named(action) for action in at_fault.head(SHOWN).iter_rows(named=True)]
    return (
        f"{at_fault.height} proposed actions fail the audit {audit.__name__} "
        f"({first(actions, at_fault.height)}); nothing is frozen until the rule or the policy is "
        "mended: the fault is the pipeline's, for rows that are bad are set aside before"
    )


def require_sound(proposal: pl.DataFrame, run: SlotRun) -> None:
    """Raise `AuditFailed` for the first audit that finds a fault."""
    for audit in AUDITS:
        at_fault = audit(proposal, run)
        if not at_fault.is_empty():
            raise AuditFailed(in_words(audit, at_fault))


AUDITS: tuple[Audit, ...] = (
    every_action_is_decided_once,
    every_action_names_its_subject,
    only_charges_bear_amounts,
    no_charge_exceeds_its_rule,
    no_event_lies_outside_the_cycle,
)
