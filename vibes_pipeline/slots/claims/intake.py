"""Taking a claim in: what its category asks for, by when, and which state that gives it (§11).

Here belongs the judgement alone: a `Claim` and the policy make a `Judgement`. Nothing is read or
written.
"""

from __future__ import annotations

import calendar
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.claims import ClaimCategory

# The fault of a field that the claim does not state.
MISSING = "missing"


@dataclass(frozen=True)
class Claim:
    """A claim as stated, None where it states nothing, and what the warehouse holds of its order.

    `seller_items` counts the order's items of the claim's seller, `claimed_items` those of them
    with the SKU stated; `order_created_at` is when the order's first item was pending,
    `evidence_closes_at` the end of the window after a counterfeit notification on those items.
    `has_referenced_action` says whether this seller has an action with the action reference.
    """

    claim_id: str
    category: str | None
    reason: str | None
    country: str | None
    shop_name: str | None
    seller_id: str | None
    is_known_seller: bool
    order_number: str | None
    sku: str | None
    tracking_number: str | None
    api_endpoint: str | None
    statement_period: str | None
    transaction_type: str | None
    amount: Decimal | None
    action_reference: str | None
    comment: str | None
    attachments: Sequence[str] | None
    raised_at: datetime | None
    content_hash: str
    order_created_at: datetime | None = None
    seller_items: int = 0
    claimed_items: int = 0
    evidence_closes_at: datetime | None = None
    has_referenced_action: bool = False

    def day(self, policy: Policy, now: datetime) -> date:
        """The local day whose policy applies: the day on which the claim was raised.

        A claim raised before the policy begins is judged by the policy's first values: the seller
        states `raised_at`, and a day too far back must not stop a slot.
        """
        return max(policy.local_date(self.raised_at or now), policy.calendar.first_day)


@dataclass(frozen=True)
class Judgement:
    """The state that intake gives a claim and, if it is incomplete, each field's fault."""

    state: str
    faults: Mapping[str, str]


def judge(claim: Claim, policy: Policy, now: datetime) -> Judgement:
    """`incomplete` (every fault at once), `redirected`, `out_of_time` or `accepted`."""
    category = category_of(claim, policy, now)
    if category is not None and is_redirected(claim, category):
        return Judgement("redirected", {})
    faults = dict(_faults(claim, category, _known_reasons(claim, category, policy, now)))
    if category is None or faults:
        return Judgement("incomplete", faults)
    if _is_late(claim, category, policy.time_zone):
        return Judgement("out_of_time", {})
    return Judgement("accepted", {})


def category_of(claim: Claim, policy: Policy, now: datetime) -> ClaimCategory | None:
    """The claim's category, as of the day it was raised; None for an unknown category."""
    for name, category in policy.claims.categories.items():
        if name == claim.category:
            return category.on(claim.day(policy, now))
    return None


def is_redirected(claim: Claim, category: ClaimCategory) -> bool:
    """Whether another contact answers claims with this reason."""
    reason = category.reasons.get(claim.reason or "")
    return reason is not None and reason.redirected_to is not None


def _known_reasons(
    claim: Claim, category: ClaimCategory | None, policy: Policy, now: datetime
) -> Collection[str] | None:
    """The reasons that the category takes; None if it takes any.

    Where the category excuses the events of a rule, the reason names that rule, unless the claim
    has an action reference.
    """
    if category is None:
        return None
    if "reason" in category.must_state:
        return category.reasons
    if category.excuses.those_of == "rule" and claim.action_reference is None:
        return policy.claims.rule_events.on(claim.day(policy, now))
    return None


def _faults(
    claim: Claim, category: ClaimCategory | None, known_reasons: Collection[str] | None
) -> Iterator[tuple[str, str]]:
    """Every field that is missing or unknown, with its fault."""
    if claim.raised_at is None:
        yield "raised_at", MISSING
    if not claim.is_known_seller:
        yield "seller_id", MISSING if claim.seller_id is None else "unknown"
    if category is None:
        yield "category", MISSING if claim.category is None else "unknown"
        return
    for field in _asked_for(claim, category):
        if not _states(claim, field, category):
            yield field, _shortfall(claim, field, category)
    for fields in category.must_state_one_of:
        if not any(_states(claim, field, category) for field in fields):
            yield " or ".join(fields), MISSING
    if known_reasons is not None and claim.reason not in (None, *known_reasons):
        yield "reason", "unknown"
    yield from _unknown(claim, category)


def _asked_for(claim: Claim, category: ClaimCategory) -> list[str]:
    reason = category.reasons.get(claim.reason or "")
    return [*category.must_state, *(reason.must_state if reason else ())]


def _states(claim: Claim, field: str, category: ClaimCategory) -> bool:
    if field == "attachments":
        return _attached(claim) >= category.attachments
    return getattr(claim, field) is not None


def _shortfall(claim: Claim, field: str, category: ClaimCategory) -> str:
    if field == "attachments" and _attached(claim):
        return f"{category.attachments} are needed, {_attached(claim)} given"
    return MISSING


def _attached(claim: Claim) -> int:
    return sum(1 for name in claim.attachments or () if name and name.strip())


def _unknown(claim: Claim, category: ClaimCategory) -> Iterator[tuple[str, str]]:
    if category.transaction_types and claim.transaction_type not in (
        None,
        *category.transaction_types,
    ):
        yield "transaction_type", "unknown"
    if claim.action_reference is not None:
        if not claim.has_referenced_action:
            yield "action_reference", "unknown"
    elif claim.order_number is not None and claim.is_known_seller:
        # The order must hold an item of the claim's seller.
        if claim.seller_items == 0:
            yield "order_number", "unknown"
        elif claim.claimed_items == 0:
            yield "sku", "unknown"


def _is_late(claim: Claim, category: ClaimCategory, time_zone: ZoneInfo) -> bool:
    raised_at = claim.raised_at
    if raised_at is None:
        return False
    if category.order_age_months is not None and claim.order_created_at is not None:
        created_at = claim.order_created_at.astimezone(time_zone)
        if raised_at >= _months_after(created_at, category.order_age_months):
            return True
    closes_at = claim.evidence_closes_at
    return category.is_bound_to_evidence_window and closes_at is not None and raised_at >= closes_at


def _months_after(at: datetime, months: int) -> datetime:
    """The same local day and time so many calendar months later, or that month's last day."""
    year, month = divmod(at.month - 1 + months, 12)
    year, month = at.year + year, month + 1
    day = min(at.day, calendar.monthrange(year, month)[1])
    return at.replace(year=year, month=month, day=day)
