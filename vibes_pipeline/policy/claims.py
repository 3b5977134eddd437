"""Raise A Claim: what a claim of each category must state, and what it excuses (Rulebook §11).

Here belong the shapes. Taking a claim in and applying it are not the policy's.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from vibes_pipeline.policy.parameter import Group, Parameter, Strict, problem
from vibes_pipeline.policy.rules import Event
from vibes_pipeline.policy.scalars import Code, Count, Flag, NotEmpty, Text
from vibes_pipeline.rules import Rule

ClaimField = Literal[
    "shop_name",
    "country",
    "order_number",
    "sku",
    "tracking_number",
    "reason",
    "api_endpoint",
    "statement_period",
    "transaction_type",
    "amount",
    "action_reference",
    "comment",
    "attachments",
]
"""The columns of a claim that a category may ask for."""

Category = Literal[
    "counterfeit", "seko_warehouse", "cancel_wrong_orders", "bill_problem", "vibes_action"
]


class ClaimReason(Strict):
    """A reason a claim may give; with `redirected_to`, it is answered with that contact."""

    name: Text
    must_state: tuple[ClaimField, ...] = ()
    redirected_to: Text | None = None


class Excuses(Strict):
    """What an upheld claim excuses: named events, or those of the charge or rule it is about."""

    events: tuple[Event, ...] = ()
    those_of: Literal["charge", "rule"] | None = None
    transaction_types: tuple[Code, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.events) == bool(self.those_of):
            raise problem("needs events or those_of, and not both")
        return self


class ClaimCategory(Strict):
    """What a claim of a category must state, by when, and what it excuses (Rulebook §11).

    `must_state_one_of` holds alternatives: one field of each inner list must be stated.
    `attachments` is how many are needed once attachments must be stated. `reasons` is the whole
    list where the reason must be stated; elsewhere it names those that are answered specially, and
    any other may be given, or any rule's name where those of the rule are excused.
    """

    name: Text
    must_state: tuple[ClaimField, ...]
    must_state_one_of: tuple[Annotated[tuple[ClaimField, ...], NotEmpty], ...] = ()
    attachments: Count = 1
    reasons: dict[Code, ClaimReason] = Field(default_factory=dict)
    transaction_types: dict[Code, Text] = Field(default_factory=dict)
    order_age_months: Count | None = None
    is_bound_to_evidence_window: Flag = False
    excuses: Excuses

    @model_validator(mode="after")
    def _asks_only_for_what_it_lists(self) -> Self:
        if "reason" in self.must_state and not self.reasons:
            raise problem("must state a reason, but lists no reasons", "must_state")
        if ("transaction_type" in self.must_state) != bool(self.transaction_types):
            raise problem(
                "must_state names transaction_type exactly when transaction_types are listed",
                "must_state",
            )
        for code in self.excuses.transaction_types:
            if code not in self.transaction_types:
                raise problem(
                    f"{code} is not among the transaction_types", "excuses", "transaction_types"
                )
        return self


class Claims(Group):
    """Raise A Claim: the categories, and which events each rule rests on (Rulebook §11)."""

    categories: dict[Category, Parameter[ClaimCategory]]
    rule_events: Parameter[dict[Rule, tuple[Event, ...]]]
    decision_waits_at_most_hours: Parameter[Count]
    claim_target_working_days: Parameter[Count]

    @model_validator(mode="after")
    def _no_category_lacks(self) -> Self:
        for category in get_args(Category):
            if category not in self.categories:
                raise problem(f"has no category {category}", "categories")
        return self
