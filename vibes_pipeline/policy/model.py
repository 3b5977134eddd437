"""What a policy is: the groups that it consists of, and what must be true of them together.

Here belong the whole and what its parts must agree on. The groups are in modules of their own:
`rules`, `slots`, `claims`, `fulfilment`, `warehouse`, `operations` and `contact`. Reading a file
and saying in which line an error stands is the loader's; relations for SQL are `tables`'s; what one
value may be is `scalars`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from vibes_pipeline.calendar import Calendar, SlotCalendar
from vibes_pipeline.policy.claims import Claims
from vibes_pipeline.policy.contact import Contact
from vibes_pipeline.policy.fulfilment import Fulfilment
from vibes_pipeline.policy.operations import Operations
from vibes_pipeline.policy.parameter import (
    DECISION,
    Key,
    Parameter,
    Reference,
    Stretch,
    Strict,
    problem,
    walk,
)
from vibes_pipeline.policy.rules import (
    AccountDelisting,
    CommissionCharge,
    CommissionFamily,
    CounterfeitCharge,
    LateData,
    LateOrders,
    OrderRegulation,
    ProductDelisting,
    QualityCharge,
    RuleText,
    SalesRegulation,
    Standing,
)
from vibes_pipeline.policy.scalars import (
    Code,
    CountryCode,
    CurrencyCode,
    Text,
    Zone,
)
from vibes_pipeline.policy.slots import Notice, Slots, check_notice_margin
from vibes_pipeline.policy.warehouse import Lake, Warehouse
from vibes_pipeline.rules import CHARGES, Rule


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
    lake: Lake
    standing: Standing
    operations: Operations
    contact: Contact

    def money(self, amount: Decimal) -> str:
        """An amount as terminals, the UI and the report show it: `₦1,500.00`, `−₦1,500.00`."""
        return f"{'−' if amount < 0 else ''}{self.currency_symbol}{abs(amount):,.2f}"

    def accounts_on(self, day: date) -> dict[str, tuple[str, str]]:
        """Each charge rule's receivable and income account on a local date (Rulebook §17)."""
        accounts = {rule: getattr(self, rule).accounts.on(day) for rule in CHARGES}
        return {rule: (named.receivable, named.income) for rule, named in accounts.items()}

    @cached_property
    def calendar(self) -> Calendar:
        """The fulfilment clock's calendar over the years whose holidays are listed."""
        return Calendar(
            self.time_zone,
            self.fulfilment.weekdays.on,
            self.fulfilment.working_weekdays.on,
            self.fulfilment.public_holidays.names,
        )

    @cached_property
    def slot_calendar(self) -> SlotCalendar:
        """When each slot of each period is due, through all amendments."""
        return SlotCalendar(self.time_zone, self.slots.times_on)

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
        check_notice_margin(
            self.slots,
            self.notice,
            self.slot_calendar,
            self.calendar.first_day,
            self.calendar.last_day,
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

    def __hash__(self) -> int:
        # Equal versions need not be equal policies: a former one takes what it lacks from the
        # present one.
        return hash(self.version)

    @property
    def short_version(self) -> str:
        return self.version[:12]

    @cached_property
    def amended_on(self) -> list[date]:
        """Every day on which some value begins or ceases to hold, in order."""
        return sorted(
            {
                edge
                for _, parameter in parameters(self)
                for stretch in parameter.stretches()
                for edge in (stretch.valid_from, stretch.valid_until)
            }
        )

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
