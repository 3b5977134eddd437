"""What a notice is made of, before its mail is built: plain records, no logic.

`Notice` and `NoticeAction` come from the ledger, `Programme` from the policy. All text in the
first two may be the seller's own and is hostile until `cleaning` has cleaned it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class NoticeAction:
    """One action as a mail lists it (Rulebook §10).

    `grounds` is `rejection_rate`, `return_rate` or both joined by a comma. `evidence` comes from
    JSON: decimals and times (ISO 8601, with offset) are strings, counts are integers; its keys
    are those that the rule's file in `email_templates/rules/` names.
    """

    action_id: UUID
    reference: str
    rule: str
    seller_id: str
    sku: str | None
    product_name: str | None
    order_number: str | None
    order_item_id: str | None
    amount: Decimal | None
    currency: str
    event_at: datetime | None
    band: int | None
    daily_order_limit: int | None
    pending_to_shipped_limit: int | None
    grounds: str | None
    occurrence: int | None
    evidence: Mapping[str, Any]
    cycle: date | None = None
    state: str | None = None
    claim_id: str | None = None


@dataclass(frozen=True)
class NoticeClaim:
    """The claim that a notice is about (Rulebook §11).

    `state` is what intake gave it, on a receipt, or what a person decided, on an outcome. `faults`
    say by field why it is incomplete. `is_matched` is false when an upheld claim is about nothing
    of the seller's.
    """

    claim_id: str
    state: str
    category: str | None
    order_number: str | None
    sku: str | None
    action_reference: str | None
    raised_at: datetime | None
    faults: Mapping[str, str]
    is_matched: bool


@dataclass(frozen=True)
class Notice:
    """One mail to one seller about all their actions of one slot (Rulebook §1).

    `kind` names the pair of templates. `period` is the observed week's Monday, of late orders the
    day. `takes_effect_at` is the first implementation slot as of this attempt (Rulebook §2), set on
    alerts; `implemented_at` is set once the actions are implemented; `claim` on notices about one.
    """

    notice_id: UUID
    kind: str
    country: str
    period: date
    seller_id: str
    shop_name: str
    address: str | None
    actions: Sequence[NoticeAction]
    takes_effect_at: datetime | None
    implemented_at: datetime | None
    claim: NoticeClaim | None = None


@dataclass(frozen=True)
class RuleText:
    """How the programme names a rule, the rule's own words and whom it exempts, verbatim."""

    title: str
    words: str
    exemptions: str | None


@dataclass(frozen=True)
class ReasonText:
    """How the programme names a reason for a charge, and its definition, verbatim."""

    label: str
    definition: str


@dataclass(frozen=True)
class OrderBand:
    """One row of the order regulation's table (Rulebook §5); rates are in percent.

    A limit is a share or a multiple, or a fixed number of orders; both are None without one.
    """

    over_pct: Decimal
    includes_lower: bool
    up_to_pct: Decimal | None
    includes_upper: bool
    daily_share_pct: Decimal | None
    daily_order_limit: int | None
    pending_to_shipped_multiple: int | None
    pending_to_shipped_limit: int | None

    @property
    def is_free(self) -> bool:
        """Whether it sets no limit."""
        return self.daily_share_pct is None and self.daily_order_limit is None


@dataclass(frozen=True)
class ClaimText:
    """How the programme names a category of claims, and its own words on it, verbatim."""

    name: str
    words: str
    redirected_to: str | None


@dataclass(frozen=True)
class Programme:
    """What mails need to know of the policy, as of one day.

    `rules` is keyed by rule, `reasons` by rule and reason code; `order_bands[band]` is the row of
    a `NoticeAction.band`. `how_to_object` is the programme's own words. Durations are in days or
    weeks, as their names say; `weekly_alert_weekday` is a name such as `Monday`. `{reference}` in
    `claim_link` stands for that of the action that the claim is about.
    """

    country: str
    country_name: str
    currency: str
    time_zone: ZoneInfo
    notice_lines: int
    html_limit_bytes: int
    claim_link: str
    phones: Sequence[str]
    how_to_object: str
    rules: Mapping[str, RuleText]
    reasons: Mapping[str, Mapping[str, ReasonText]]
    weekly_alert_weekday: str
    order_bands: Sequence[OrderBand]
    daily_order_minimum: int
    order_regulation_days: int
    order_regulation_window_weeks: int
    sales_regulation_days: int
    rejection_window_days: int
    return_lag_weeks: int
    delisted_from_occurrence: int
    claim_categories: Mapping[str, ClaimText]
    seko_link: str
