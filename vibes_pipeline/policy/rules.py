"""The rules that make actions: their words, and the numbers that each is decided by.

Here belongs what one rule reads (Rulebook §5 to §9). What a claim excuses of it is `claims`'s; how
a rule decides is in `sql/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from vibes_pipeline.policy.parameter import (
    Group,
    Key,
    Parameter,
    Reference,
    References,
    Strict,
    problem,
)
from vibes_pipeline.policy.scalars import (
    Account,
    Amount,
    Code,
    Count,
    Flag,
    Multiple,
    NotEmpty,
    Percent,
    Text,
    Whole,
    short,
)


class RuleText(Strict):
    """What mails and asset descriptions say of a rule, in the programme's own words."""

    title: Text
    references: References = Field(alias="reference")
    exemptions: Reference | None = None

    @property
    def words(self) -> str:
        return " ".join(" ".join(r.sentence.split()) for r in self.references)


class Band(Strict):
    """One row of the order regulation's table (Rulebook §5); its number is its position from 0."""

    up_to_pct: Percent | None = None
    includes_upper: Flag | None = None
    daily_share_pct: Percent | None = None
    daily_order_limit: Whole | None = None
    pending_to_shipped_multiple: Whole | None = None
    pending_to_shipped_limit: Whole | None = None

    @model_validator(mode="after")
    def _limits_are_whole(self) -> Self:
        daily = [self.daily_share_pct, self.daily_order_limit]
        pending = [self.pending_to_shipped_multiple, self.pending_to_shipped_limit]
        if None not in daily:
            raise problem("has both daily_share_pct and daily_order_limit; keep one")
        if None not in pending:
            raise problem(
                "has both pending_to_shipped_multiple and pending_to_shipped_limit; keep one"
            )
        if daily.count(None) != pending.count(None):
            raise problem("needs a daily limit and a pending-to-shipped limit, or neither")
        return self


class BandEdges(NamedTuple):
    """The cancellation rates that a band holds, in percent; `to_pct` None: open above."""

    from_pct: Decimal
    includes_from: bool
    to_pct: Decimal | None
    includes_to: bool

    @property
    def label(self) -> str:
        """`below 2.5%`, `2.5% to 5%`, `over 5% to 10%`, `over 10%`."""
        start = f"{'' if self.includes_from else 'over '}{short(self.from_pct)}%"
        if self.to_pct is None:
            return f"{start} and more" if self.includes_from else start
        end = f"{short(self.to_pct)}%"
        if not self.from_pct:
            return f"{'up to' if self.includes_to else 'below'} {end}"
        return f"{start} to {'' if self.includes_to else 'below '}{end}"


def band_edges(bands: Sequence[Band]) -> Iterator[BandEdges]:
    """The edges of each band: it begins where the one before it ends, the first with the rate 0."""
    from_pct, includes_from = Decimal(0), True
    for band in bands:
        yield BandEdges(from_pct, includes_from, band.up_to_pct, bool(band.includes_upper))
        if band.up_to_pct is not None:
            from_pct, includes_from = band.up_to_pct, not band.includes_upper


class OrderRegulation(Group):
    """Order regulation of stores with high cancellation rates (Rulebook §4, §5)."""

    window_weeks: Parameter[Count]
    cancellation_rate_counts: Parameter[Literal["items"]]
    shipped_counts: Parameter[Literal["orders_per_fulfilment_day"]]
    bands: Parameter[tuple[Band, ...]]
    daily_order_minimum: Parameter[Whole]
    in_force_days: Parameter[Count]
    exempts_jumia_express: Parameter[Flag]

    @model_validator(mode="after")
    def _bands_leave_no_rate_out(self) -> Self:
        for index, dated in enumerate(self.bands.values):
            _check_bands(dated.value, ("bands", "values", index, "value"))
        return self


def _check_bands(bands: tuple[Band, ...], at: Key) -> None:
    if not bands:
        raise problem("has no bands; the last one must be open above", *at)
    for number, band in enumerate(bands[:-1]):
        if band.up_to_pct is None or band.includes_upper is None:
            raise problem(
                f"band {number} needs up_to_pct and includes_upper; only the last is open above",
                *at,
                number,
            )
    last = len(bands) - 1
    if bands[-1].up_to_pct is not None or bands[-1].includes_upper is not None:
        raise problem(
            f"band {last} is the last and must be open above; leave out up_to_pct and "
            "includes_upper, or add a band",
            *at,
            last,
        )
    for number, edges in enumerate(band_edges(bands)):
        if edges.to_pct is None:
            continue
        # A first band "up to 0, included" holds the rate 0 and nothing else; any other is empty.
        is_zero_alone = number == 0 and edges.to_pct == 0 and edges.includes_to
        if edges.to_pct <= edges.from_pct and not is_zero_alone:
            raise problem(
                f"band {number} ends at {edges.to_pct}%, not above {edges.from_pct}%; "
                "let bands ascend",
                *at,
                number,
                "up_to_pct",
            )


class Accounts(Strict):
    """The accounts that a rule's postings are booked on (Rulebook §17)."""

    receivable: Account
    income: Account

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if self.receivable == self.income:
            raise problem(
                f"is the receivable account {self.receivable} too; a posting is booked on two",
                "income",
            )
        return self


class CommissionCharge(Group):
    """A charge in multiples of the commission (Rulebook §6)."""

    commission_multiple: Parameter[Multiple]
    cap: Parameter[Amount]
    exempt_first_days: Parameter[Whole]
    accounts: Parameter[Accounts]


class CommissionFamily(Group):
    """Charges that together never exceed the first named (Rulebook §6)."""

    members: Parameter[tuple[Literal["out_of_stock_charge"], Literal["late_fulfilment_charge"]]]


class ReasonText(Strict):
    """How the programme describes a reason to sellers."""

    name: Text
    definition: Reference
    example: Reference


class QualityCharge(Group):
    """A fixed charge per quality reason (Rulebook §6)."""

    amounts: dict[Code, Parameter[Amount]]
    texts: dict[Code, ReasonText]
    accounts: Parameter[Accounts]

    @model_validator(mode="after")
    def _every_amount_has_its_text(self) -> Self:
        for reason in sorted(self.amounts.keys() ^ self.texts.keys()):
            lacking = "texts" if reason in self.amounts else "amounts"
            raise problem(f"has no entry for {reason}", lacking)
        return self

    @model_validator(mode="after")
    def _every_amount_has_its_accounts(self) -> Self:
        for reason, amount in self.amounts.items():
            if not self.accounts.covers(amount.valid_from, amount.valid_until):
                raise problem(
                    f"holds from {self.accounts.valid_from} until {self.accounts.valid_until}, but "
                    f"amounts.{reason} from {amount.valid_from} until {amount.valid_until}; let "
                    "the accounts hold on all days of the amount",
                    "accounts",
                )
        return self


class CounterfeitCharge(Group):
    """The charge per proven counterfeit and its evidence window (Rulebook §6)."""

    amount: Parameter[Amount]
    evidence_working_days: Parameter[Whole]
    accounts: Parameter[Accounts]


class LateData(Group):
    """How far back events that arrive late are still taken up (Rulebook §6)."""

    late_arrival_days: Parameter[Whole]


class Thresholds(Strict):
    """Rates that must be exceeded."""

    rejection_over_pct: Percent
    return_over_pct: Percent


class ProductTypeThresholds(Group):
    """Rates that must be exceeded, each dated."""

    rejection_over_pct: Parameter[Percent]
    return_over_pct: Parameter[Percent]


class SalesRegulation(Group):
    """Sales regulation of products of bad quality (Rulebook §7)."""

    rejection_window_days: Parameter[Count]
    return_lag_weeks: Parameter[Whole]
    minimum_customers: Parameter[Whole]
    thresholds: dict[Code, ProductTypeThresholds]
    sku_overrides: Parameter[dict[Text, Thresholds]]
    in_force_days: Parameter[Count]
    occurrence_rests_on: Parameter[Literal["return_ground_or_new_rejection"]]


class ProductDelisting(Group):
    """Delisting after repeated sales regulations (Rulebook §8)."""

    occurrence: Parameter[Count]
    delists_in: Parameter[Literal["cycle_of_the_occurrence"]]


Event = Literal["stock", "lateness", "return", "rejection", "dropoff_qc", "counterfeit"]
"""The events of items that a claim may excuse, as Rulebook §11 names them."""


class AccountDelisting(Group):
    """The reserved right to delist accounts (Rulebook §8)."""

    decided_by: Parameter[Literal["person"]]
    review_events: Parameter[Annotated[tuple[Event, ...], NotEmpty]]


class LateOrders(Group):
    """The daily cancellation of what is overdue (Rulebook §9)."""

    late_lookback_days: Parameter[Whole]
    cancels: Parameter[Literal["overdue_items"]]


class Standing(Group):
    """What a standing lists besides the week's record (Rulebook §15)."""

    due_within_hours: Parameter[Count]
