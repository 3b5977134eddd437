"""One seller's statement: what they owed before, each charge and reversal since, what they owe now.

Sums are exact and tie to finance's postings. Payments are not known here: a balance is what the
programme's charges came to, less what was reversed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from vibes_pipeline.calendar import Days
from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports.files import check_place
from vibes_pipeline.exports.tables import Source, charges
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.figures import NOTHING
from vibes_pipeline.reports.page import common, environment, replace_page
from vibes_pipeline.rules import CHARGES


@dataclass(frozen=True)
class Line:
    """A posting of `charges` and what the seller owes after it; of a reversal its debit's day."""

    posting: Mapping[str, Any]
    balance: Decimal
    debited_on: date | None


@dataclass(frozen=True)
class OfRule:
    """A rule's charges and reversals of the statement: how many, and their sums."""

    rule: str
    charged: int
    debits: Decimal
    reversed: int
    reversals: Decimal


@dataclass(frozen=True)
class Statement:
    """A seller's postings of some days, in order of time; `days` have both their ends."""

    seller_id: str
    shop_name: str | None
    days: Days
    opening: Decimal
    lines: Sequence[Line]
    policy: Policy
    is_simulated: bool
    as_of: datetime

    @property
    def is_over(self) -> bool:
        """Whether nothing can be posted on its days any more."""
        assert self.days.last is not None
        return self.days.last < self.as_of.date()

    @property
    def debits(self) -> Decimal:
        return sum((rule.debits for rule in self.by_rule), NOTHING)

    @property
    def reversals(self) -> Decimal:
        return sum((rule.reversals for rule in self.by_rule), NOTHING)

    @property
    def closing(self) -> Decimal:
        return self.opening + self.debits + self.reversals

    @property
    def by_rule(self) -> list[OfRule]:
        postings = sorted((line.posting for line in self.lines), key=lambda p: str(p["rule"]))
        found = {
            rule: _of_rule(rule, list(of_it))
            for rule, of_it in groupby(postings, lambda p: str(p["rule"]))
        }
        known = [found.pop(rule) for rule in CHARGES if rule in found]
        return [*known, *found.values()]


def read_statement(
    ledger: Ledger, lake: Path, policy: Policy, seller_id: str, days: Days, as_of: datetime
) -> Statement:
    """A seller's statement as the ledger stands; open ends are the first posting's day and today's.

    `UsageError` for a seller of whom the ledger has no action, or postings in several currencies.
    """
    source = Source(ledger, lake, policy.time_zone, days=Days(last=days.last), seller_id=seller_id)
    postings = charges(source).in_one()
    if foreign := set(postings["currency"]) - {policy.currency}:
        raise UsageError(
            f"{', '.join(sorted(foreign))} beside {policy.currency}: a statement is of one "
            "currency; `vibes export charges --seller` has all postings"
        )
    day = pl.col("posted_at").dt.date()
    postings = postings.with_columns(
        debited_on=pl.when(pl.col("kind") == "reversal").then(
            day.filter(pl.col("kind") == "debit").first().over("action_id")
        )
    )
    first = days.first or postings.select(day.min()).item() or policy.local_date(as_of)
    opening = Decimal(postings.filter(day < first)["amount"].sum() or NOTHING)
    names = postings["shop_name"].drop_nulls()
    return Statement(
        seller_id=seller_id,
        shop_name=names[-1] if names.len() else None,
        days=Days(first, days.last or max(first, policy.local_date(as_of))),
        opening=opening,
        lines=list(_lines(postings.filter(day >= first), opening)),
        policy=policy,
        is_simulated=ledger.mode() is LedgerMode.SIMULATED,
        as_of=as_of.astimezone(policy.time_zone),
    )


def write_statement(statement: Statement, file: Path) -> None:
    """Write the page where it is asked for; `UsageError` if it cannot be there."""
    check_place(file)
    template = environment(statement.policy).get_template("statement.html")
    replace_page(file, template.render(statement=statement, **common(statement.policy)))


def _lines(postings: pl.DataFrame, balance: Decimal) -> Iterator[Line]:
    for posting in postings.iter_rows(named=True):
        balance += posting["amount"]
        yield Line(posting, balance, posting["debited_on"])


def _of_rule(rule: str, postings: Sequence[Mapping[str, Any]]) -> OfRule:
    debits, reversals = (
        [posting["amount"] for posting in postings if posting["kind"] == kind]
        for kind in ("debit", "reversal")
    )
    return OfRule(rule, len(debits), sum(debits, NOTHING), len(reversals), sum(reversals, NOTHING))
