"""What a policy is: its groups and parameters, and what must be true of them together.

Here belong the shapes and the integrity rules. Reading a file and saying in which line an error
stands is the loader's; relations for SQL are `tables`'s; what one value may be is `scalars`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from vibes_pipeline.calendar import Calendar, SlotCalendar, SlotTimes, WeeklyTime
from vibes_pipeline.policy.parameter import (
    DECISION,
    Group,
    Key,
    Parameter,
    Reference,
    References,
    Stretch,
    Strict,
    problem,
    walk,
)
from vibes_pipeline.policy.scalars import (
    Amount,
    Code,
    Count,
    CountryCode,
    CurrencyCode,
    Day,
    Flag,
    Multiple,
    NamedWeekday,
    NotEmpty,
    Percent,
    Phone,
    Text,
    Time,
    Url,
    Whole,
    Year,
    Zone,
)


class Rule(StrEnum):
    """The rules that make actions, as the rulebook names them."""

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


class RuleText(Strict):
    """What mails and asset descriptions say of a rule, in the programme's own words."""

    title: Text
    references: References = Field(alias="reference")
    exemptions: Reference | None = None

    @property
    def words(self) -> str:
        return " ".join(" ".join(r.sentence.split()) for r in self.references)


class WeeklySlot(Strict):
    """A weekday and a local time."""

    weekday: NamedWeekday
    time: Time


class DailySlot(Strict):
    """A local time of every day."""

    time: Time


class Slots(Group):
    """When the slots are due (Rulebook §2)."""

    weekly_alert: Parameter[WeeklySlot]
    weekly_implementation: Parameter[WeeklySlot]
    late_alert: Parameter[DailySlot]
    late_cancellation: Parameter[DailySlot]

    @model_validator(mode="after")
    def _alerts_come_first(self) -> Self:
        for parameter in (self.weekly_alert, self.weekly_implementation):
            for day in (value.from_ for value in parameter.values):
                alert, implementation = (
                    self.weekly_alert.on(day),
                    self.weekly_implementation.on(day),
                )
                if (alert.weekday, alert.time) >= (implementation.weekday, implementation.time):
                    raise problem(
                        f"on {day} comes no later in the week than weekly_alert",
                        "weekly_implementation",
                    )
        for daily in (self.late_alert, self.late_cancellation):
            for day in (value.from_ for value in daily.values):
                if self.late_alert.on(day).time >= self.late_cancellation.on(day).time:
                    raise problem(
                        f"on {day} comes no later in the day than late_alert", "late_cancellation"
                    )
        return self


class Notice(Group):
    """How long before implementation an alert must have been accepted (Rulebook §2)."""

    notice_hours: Parameter[Whole]
    late_notice_hours: Parameter[Whole]


class PublicHolidays(Strict):
    """The public holidays of every listed year: `years[2016][date(2016, 1, 1)]` is a name."""

    description: Text
    unit: Text
    references: References = Field(alias="reference")
    years: Annotated[dict[Year, Annotated[dict[Day, Text], NotEmpty]], NotEmpty]

    @model_validator(mode="after")
    def _years_are_whole(self) -> Self:
        for year, days in self.years.items():
            for day in days:
                if day.year != year:
                    raise problem(f"{day} is not in {year}", "years", str(year), str(day))
        for before, after in pairwise(self.years):
            if after != before + 1:
                raise problem(
                    f"{after} follows {before}; list every year once, in order",
                    *("years", str(after)),
                )
        return self

    @property
    def names(self) -> dict[date, str]:
        return {day: name for days in self.years.values() for day, name in days.items()}


Weekdays = Annotated[tuple[NamedWeekday, ...], NotEmpty]


class Fulfilment(Group):
    """The fulfilment clock and the working days (Rulebook §3)."""

    hours: Parameter[Count]
    weekdays: Parameter[Weekdays]
    working_weekdays: Parameter[Weekdays]
    public_holidays: PublicHolidays

    @model_validator(mode="after")
    def _weekdays_hold_in_every_listed_year(self) -> Self:
        days = self.public_holidays.names
        first, last = date(min(days).year, 1, 1), date(max(days).year, 12, 31)
        if not self.weekdays.covers(first, last):
            raise problem(
                f"has no value for some day of the listed years {first.year} to {last.year}",
                "weekdays",
            )
        return self


class CancelReason(Strict):
    """What a reason for cancelling an item means (Rulebook §4, §6, §11)."""

    is_accountable: Flag
    is_out_of_stock: Flag
    is_late: Flag


class ReturnReason(Strict):
    """What a reason for returning an item means (Rulebook §6)."""

    is_quality: Flag


class Warehouse(Group):
    """What the order warehouse may hold, and how fresh and clean it must be (Rulebook §13)."""

    cancel_reasons: Parameter[dict[Code, CancelReason]]
    return_reasons: Parameter[dict[Code, ReturnReason]]
    failure_reasons: Parameter[tuple[Code, ...]]
    product_types: Parameter[tuple[Code, ...]]
    bad_row_limit_pct: Parameter[Percent]
    max_staleness_minutes: Parameter[Whole]
    evidence_staleness_hours: Parameter[Whole]
    evidence_patience_slots: Parameter[Count]
    missing_evidence_minimum: Parameter[Count]

    @model_validator(mode="after")
    def _lists_hold_each_code_once(self) -> Self:
        for name in ("failure_reasons", "product_types"):
            for index, dated in enumerate(getattr(self, name).values):
                if len(set(dated.value)) < len(dated.value):
                    raise problem("names a code twice", name, "values", index, "value")
        return self


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
    edges = [(Decimal(0), False)]
    edges += [(b.up_to_pct, bool(b.includes_upper)) for b in bands if b.up_to_pct is not None]
    for number, (before, after) in enumerate(pairwise(edges)):
        # A first band "up to 0, included" holds the rate 0 and nothing else; any other is empty.
        is_zero_alone = number == 0 and after == (Decimal(0), True)
        if after[0] <= before[0] and not is_zero_alone:
            raise problem(
                f"band {number} ends at {after[0]}%, not above {before[0]}%; let bands ascend",
                *at,
                number,
                "up_to_pct",
            )


class CommissionCharge(Group):
    """A charge in multiples of the commission (Rulebook §6)."""

    commission_multiple: Parameter[Multiple]
    cap: Parameter[Amount]
    exempt_first_days: Parameter[Whole]


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

    @model_validator(mode="after")
    def _every_amount_has_its_text(self) -> Self:
        for reason in sorted(self.amounts.keys() ^ self.texts.keys()):
            lacking = "texts" if reason in self.amounts else "amounts"
            raise problem(f"has no entry for {reason}", lacking)
        return self


class CounterfeitCharge(Group):
    """The charge per proven counterfeit and its evidence window (Rulebook §6)."""

    amount: Parameter[Amount]
    evidence_working_days: Parameter[Whole]


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


# --- claims -------------------------------------------------------------------------------------


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
    any other may be given.
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

    @model_validator(mode="after")
    def _no_category_lacks(self) -> Self:
        for category in get_args(Category):
            if category not in self.categories:
                raise problem(f"has no category {category}", "categories")
        return self


class Links(Group):
    """Where the source texts' links lead."""

    raise_a_claim: Parameter[Url]
    banned_items: Parameter[Url]
    tutorials: Parameter[Url]
    youtube_channel: Parameter[Url]
    training_sessions: Parameter[Url]
    package_tracking: Parameter[Url]
    seko_contact: Parameter[Url]


class Contact(Group):
    """How a seller reaches a person, and how to object (Rulebook §10)."""

    phones: Parameter[Annotated[tuple[Phone, ...], NotEmpty]]
    links: Links
    advance_notice: References
    how_to_object: References


# --- the whole ----------------------------------------------------------------------------------


class PolicyContent(Strict):
    """All that stands in a policy file; `Policy` adds what the loader knows of the file."""

    country: CountryCode
    currency: CurrencyCode
    currency_symbol: Text
    time_zone: Zone
    documents: dict[Code, Text]
    rules: dict[Rule, RuleText]
    slots: Slots
    notice: Notice
    fulfilment: Fulfilment
    warehouse: Warehouse
    order_regulation: OrderRegulation
    out_of_stock_charge: CommissionCharge
    late_fulfilment_charge: CommissionCharge
    commission_family: CommissionFamily
    returns_charge: QualityCharge
    dropoff_qc_charge: QualityCharge
    counterfeit_charge: CounterfeitCharge
    late_data: LateData
    sales_regulation: SalesRegulation
    product_delisting: ProductDelisting
    account_delisting: AccountDelisting
    late_orders: LateOrders
    claims: Claims
    contact: Contact

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        _check_documents(self)
        for rule in Rule:
            if rule not in self.rules:
                raise problem(f"has no text for the rule {rule}", "rules")
        _check_codes(
            [
                Stretch(start, end, [r for r, means in reasons.items() if means.is_quality])
                for start, end, reasons in self.warehouse.return_reasons.stretches()
            ],
            self.returns_charge.amounts,
            ("returns_charge", "amounts"),
        )
        _check_codes(
            self.warehouse.failure_reasons.stretches(),
            self.dropoff_qc_charge.amounts,
            ("dropoff_qc_charge", "amounts"),
        )
        _check_codes(
            self.warehouse.product_types.stretches(),
            {name: pair.return_over_pct for name, pair in self.sales_regulation.thresholds.items()},
            ("sales_regulation", "thresholds"),
        )
        return self


def _check_documents(content: PolicyContent) -> None:
    for key, reference in references(content):
        if reference.document not in (DECISION, *content.documents):
            known = ", ".join([*content.documents, DECISION])
            raise problem(
                f"unknown document {reference.document!r}; the documents are {known}",
                *key,
                "document",
            )


def _check_codes(
    stretches: Iterable[Stretch[Any]], numbers: Mapping[str, Parameter[Decimal]], at: Key
) -> None:
    """Every code the warehouse may hold has its number whenever it may, and no other has one."""
    known: set[str] = set()
    for valid_from, valid_until, codes in stretches:
        known.update(codes)
        for code in codes:
            if code not in numbers or not numbers[code].covers(valid_from, valid_until):
                raise problem(
                    f"has nothing for {code} on some day from {valid_from} until {valid_until}, "
                    "when the warehouse may hold it; add it",
                    *at,
                )
    for code in sorted(numbers.keys() - known):
        raise problem("is no code that the warehouse may hold; add it there or drop it", *at, code)


class Policy(PolicyContent):
    """A country's policy: its content, the file it was read from and that content's hash."""

    source: Path
    text: str
    version: str

    @property
    def short_version(self) -> str:
        return self.version[:12]

    @cached_property
    def calendar(self) -> Calendar:
        """The fulfilment clock's calendar over the years whose holidays are listed."""
        return Calendar(
            self.time_zone,
            self.fulfilment.weekdays.on,
            self.fulfilment.working_weekdays.on,
            self.fulfilment.public_holidays.names,
        )

    def slot_times(self, day: date) -> SlotTimes:
        """The slot times in force on a local date."""
        alert, implementation = (
            WeeklyTime(slot.weekday, slot.time)
            for slot in (
                self.slots.weekly_alert.on(day),
                self.slots.weekly_implementation.on(day),
            )
        )
        return SlotTimes(
            alert,
            implementation,
            self.slots.late_alert.on(day).time,
            self.slots.late_cancellation.on(day).time,
        )

    @cached_property
    def slot_calendar(self) -> SlotCalendar:
        """When each slot of each period is due, through all amendments."""
        return SlotCalendar(self.time_zone, self.slot_times)

    def local_date(self, instant: datetime) -> date:
        """The local date of an instant, by which a dated value is chosen."""
        if instant.tzinfo is None:
            raise ValueError(f"{instant.isoformat()} has no time zone")
        return instant.astimezone(self.time_zone).date()


def parameters(policy: PolicyContent) -> Iterator[tuple[str, Parameter[Any]]]:
    """Every parameter by its dotted key, such as `order_regulation.window_weeks`."""
    for key, part in walk(policy):
        if isinstance(part, Parameter):
            yield ".".join(map(str, key)), part


def references(policy: PolicyContent) -> Iterator[tuple[Key, Reference]]:
    """Every citation with its key path."""
    for key, part in walk(policy):
        if isinstance(part, Reference):
            yield key, part
