"""The registry of rules: what each rule is, said once (Rulebook §2, §5 to §9, §12).

Here belongs what code must know of a rule besides its numbers: its name, what it does to whom, how
often, its place in mails, and the evidence that code reads. Its numbers and words are in the
policy, its decisions in SQL files. `docs/new_rule.md` says how to add a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Rule(StrEnum):
    """The rules that make actions, as the rulebook names them and in its order."""

    ORDER_REGULATION = "order_regulation"
    OUT_OF_STOCK_CHARGE = "out_of_stock_charge"
    LATE_FULFILMENT_CHARGE = "late_fulfilment_charge"
    RETURNS_CHARGE = "returns_charge"
    DROPOFF_QC_CHARGE = "dropoff_qc_charge"
    COUNTERFEIT_CHARGE = "counterfeit_charge"
    SALES_REGULATION = "sales_regulation"
    PRODUCT_DELISTING = "product_delisting"
    ACCOUNT_DELISTING = "account_delisting"
    LATE_PENDING_CANCELLATION = "late_pending_cancellation"
    LATE_READY_TO_SHIP_CANCELLATION = "late_ready_to_ship_cancellation"


class Kind(StrEnum):
    """What an action of the rule does."""

    CHARGE = "charge"
    REGULATION = "regulation"
    DELISTING = "delisting"
    CANCELLATION = "cancellation"


class Subject(StrEnum):
    """Whom or what the rule acts on; the value is the column of a decision that names it."""

    SELLER = "seller_id"
    PRODUCT = "sku"
    ITEM = "order_item_id"


class Evidence(StrEnum):
    """Keys of an action's evidence that the ledger, its views or a later slot read."""

    REASON = "reason"
    QC_ID = "qc_id"
    CASE_ID = "case_id"
    EVIDENCE_CLOSES_AT = "evidence_closes_at"
    IN_FORCE_DAYS = "in_force_days"
    DELISTED_FROM_OCCURRENCE = "delisted_from_occurrence"
    DECISION_ID = "decision_id"
    ENTERED_STATE = "entered_state"
    ENTERED_AT = "entered_at"


@dataclass(frozen=True)
class Registered:
    """One rule. `mail_order` is its place in mails: the most serious rule comes first.

    `evidence` holds the keys that its decision must have as columns, each with its Python type;
    a decision may have more columns, for people to read.
    """

    rule: Rule
    kind: Kind
    subject: Subject
    mail_order: int
    evidence: Mapping[Evidence, type] = field(default_factory=dict)

    @property
    def is_weekly(self) -> bool:
        """Decided on Wednesday and implemented on Saturday; the other rules work every day."""
        return self.kind is not Kind.CANCELLATION

    @property
    def is_bound_to_cycle(self) -> bool:
        """An action not yet implemented expires when the next cycle is frozen (Rulebook §2)."""
        return self.kind is Kind.REGULATION or self.rule is Rule.PRODUCT_DELISTING

    @property
    def strikes_once(self) -> bool:
        """It acts on its subject at most once, ever; other rules once per cycle (Rulebook §12)."""
        return self.subject is Subject.ITEM


# When a charge's evidence is looked up again, its reason must be the same (Rulebook §2).
_CHARGED = {Evidence.REASON: str}
_ENTERED = {Evidence.ENTERED_STATE: str, Evidence.ENTERED_AT: datetime}

REGISTRY: Mapping[Rule, Registered] = {
    registered.rule: registered
    for registered in (
        Registered(
            Rule.ORDER_REGULATION,
            Kind.REGULATION,
            Subject.SELLER,
            mail_order=2,
            evidence={Evidence.IN_FORCE_DAYS: int},
        ),
        Registered(
            Rule.OUT_OF_STOCK_CHARGE, Kind.CHARGE, Subject.ITEM, mail_order=8, evidence=_CHARGED
        ),
        Registered(
            Rule.LATE_FULFILMENT_CHARGE, Kind.CHARGE, Subject.ITEM, mail_order=9, evidence=_CHARGED
        ),
        Registered(
            Rule.RETURNS_CHARGE,
            Kind.CHARGE,
            Subject.ITEM,
            mail_order=6,
            evidence=_CHARGED,
        ),
        Registered(
            Rule.DROPOFF_QC_CHARGE,
            Kind.CHARGE,
            Subject.ITEM,
            mail_order=7,
            evidence={**_CHARGED, Evidence.QC_ID: str},
        ),
        Registered(
            Rule.COUNTERFEIT_CHARGE,
            Kind.CHARGE,
            Subject.ITEM,
            mail_order=5,
            evidence={**_CHARGED, Evidence.CASE_ID: str, Evidence.EVIDENCE_CLOSES_AT: datetime},
        ),
        Registered(
            Rule.SALES_REGULATION,
            Kind.REGULATION,
            Subject.PRODUCT,
            mail_order=4,
            evidence={Evidence.IN_FORCE_DAYS: int},
        ),
        Registered(
            Rule.PRODUCT_DELISTING,
            Kind.DELISTING,
            Subject.PRODUCT,
            mail_order=3,
            evidence={Evidence.DELISTED_FROM_OCCURRENCE: int},
        ),
        Registered(
            Rule.ACCOUNT_DELISTING,
            Kind.DELISTING,
            Subject.SELLER,
            mail_order=1,
            evidence={Evidence.DECISION_ID: str},
        ),
        Registered(
            Rule.LATE_PENDING_CANCELLATION,
            Kind.CANCELLATION,
            Subject.ITEM,
            mail_order=10,
            evidence=_ENTERED,
        ),
        Registered(
            Rule.LATE_READY_TO_SHIP_CANCELLATION,
            Kind.CANCELLATION,
            Subject.ITEM,
            mail_order=11,
            evidence=_ENTERED,
        ),
    )
}


def _names(registered: Iterable[Registered]) -> tuple[str, ...]:
    """The rules' names as plain text, as the ledger and the lake hold them."""
    return tuple(r.rule.value for r in registered)


CHARGES = _names(r for r in REGISTRY.values() if r.kind is Kind.CHARGE)
LATE_RULES = _names(r for r in REGISTRY.values() if r.kind is Kind.CANCELLATION)
# Decided and implemented weekly, each by `sql/decisions/<rule>s.sql`.
WEEKLY_RULES = _names(r for r in REGISTRY.values() if r.is_weekly)
CYCLE_BOUND_RULES = _names(r for r in REGISTRY.values() if r.is_bound_to_cycle)
PRODUCT_RULES = _names(r for r in REGISTRY.values() if r.subject is Subject.PRODUCT)
ITEM_RULES = _names(r for r in REGISTRY.values() if r.strikes_once)
MAIL_ORDER = _names(sorted(REGISTRY.values(), key=lambda r: r.mail_order))
