"""The ledger as it stood at an instant: what answers about that moment read (Rulebook §14).

Here belong the same relations as in `history`, each with what was recorded by an instant alone. The
rows are only appended and bear their time, so nothing is lost by looking back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from vibes_pipeline.ledger.at_hand import is_among
from vibes_pipeline.ledger.frames import read
from vibes_pipeline.ledger.history import EXCUSE_COLUMNS, stands_in_later_cycles
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import (
    action_events,
    actions,
    claim_decisions,
    claim_intakes,
    cycles,
    excuses,
    moments,
)
from vibes_pipeline.ledger.states import OPEN, STANDING
from vibes_pipeline.rules import CHARGES, Evidence


@dataclass(frozen=True)
class Cycles:
    """The ledger's cycles: its `first`, and the `newest` frozen by an instant; None before it."""

    first: date | None
    newest: date | None


def present(ledger: Ledger) -> datetime | None:
    """What time it is for the ledger: now, or a simulated one's newest slot; None while unused."""
    with ledger.reading() as connection:
        return connection.execute(
            sa.select(moments.c.at).where(moments.c.country == ledger.country)
        ).scalar()


def cycles_by(ledger: Ledger, at: datetime) -> Cycles:
    """The ledger's first cycle, of whatever time, and the newest that was frozen by the instant."""
    c = cycles.c
    newest = sa.func.max(c.cycle).filter(c.frozen_at <= at)
    with ledger.reading() as connection:
        row = connection.execute(
            sa.select(sa.func.min(c.cycle), newest).where(c.country == ledger.country)
        ).one()
    return Cycles(*row)


@dataclass(frozen=True)
class Subject:
    """Whom or what relations are asked about: one item, one seller, one product; all if None."""

    item: str | None = None
    seller: str | None = None
    product: str | None = None

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """Whether a row of `actions` is about it."""
        a = actions.c
        asked = ((a.order_item_id, self.item), (a.seller_id, self.seller), (a.sku, self.product))
        return sa.and_(sa.true(), *(is_among(c, [name]) for c, name in asked if name is not None))


@dataclass(frozen=True)
class LedgerThen:
    """The ledger of a country as it stood at an instant, as relations about a subject."""

    country: str
    at: datetime
    subject: Subject = field(default_factory=Subject)

    def read(
        self, ledger: Ledger, only: Collection[str], cycle: date | None = None
    ) -> Mapping[str, pl.DataFrame]:
        """Relations by name, read in one moment; `cycle_actions` are those of `cycle`."""
        selects: Mapping[str, Callable[[], sa.Select[Any]]] = {
            "charges": self._charges,
            "open_charges": self._open_charges,
            "excuses": self._excuses,
            "undecided_counterfeit_claims": self._undecided_counterfeit_claims,
            "account_delistings": self._account_delistings,
            "product_delistings": self._product_delistings,
            "sales_regulations": self._sales_regulations,
            "cycle_actions": lambda: self._cycle_actions(cycle),
        }
        with ledger.reading() as connection:
            return {name: read(connection, selects[name]()) for name in only}

    @property
    def _state(self) -> sa.ScalarSelect[str]:
        """The state of a row of `actions`; null before the action was proposed."""
        e = action_events.c
        return (
            sa.select(e.state)
            .where(e.action_id == actions.c.action_id, e.at <= self.at)
            .order_by(e.event_id.desc())
            .limit(1)
            .scalar_subquery()
        )

    def _known(self, rules: Collection[str], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Columns of the subject's actions of some rules that were proposed by then."""
        a = actions.c
        return sa.select(*columns).where(
            a.country == self.country,
            a.rule.in_(rules),
            self.subject.condition,
            self._state.is_not(None),
        )

    def _charges(self) -> sa.Select[Any]:
        a, is_standing = actions.c, self._state.in_(STANDING).label("is_standing")
        columns = (a.rule, a.order_item_id, a.amount, is_standing, a.reference, a.cycle)
        return self._known(CHARGES, *columns)

    def _open_charges(self) -> sa.Select[Any]:
        a = actions.c
        named = (a.evidence[k].astext.label(k) for k in (Evidence.QC_ID, Evidence.CASE_ID))
        return self._known(CHARGES, a.order_item_id, *named).where(self._state.in_(OPEN))

    def _excuses(self) -> sa.Select[Any]:
        """The same columns as `history.select_excuses`, of the claims upheld by then."""
        d = claim_decisions.c
        upheld = (
            sa.select(1)
            .where(
                d.country == self.country,
                d.claim_id == excuses.c.claim_id,
                d.decision == "upheld",
                d.at <= self.at,
            )
            .exists()
        )
        return sa.select(*EXCUSE_COLUMNS).where(excuses.c.country == self.country, upheld)

    def _undecided_counterfeit_claims(self) -> sa.Select[Any]:
        i, d = claim_intakes.c, claim_decisions.c
        stated = (
            sa.select(claim_intakes)
            .ext(distinct_on(i.claim_id))
            .where(i.country == self.country, i.at <= self.at)
            .order_by(i.claim_id, i.event_id.desc())
            .subquery()
        )
        s = stated.c
        decided = (
            sa.select(1)
            .where(d.country == self.country, d.claim_id == s.claim_id, d.at <= self.at)
            .exists()
        )
        return sa.select(
            *(s[n].label(n) for n in ("claim_id", "seller_id", "order_number", "sku", "raised_at"))
        ).where(s.category == "counterfeit", s.state != "incomplete", ~decided)

    def _account_delistings(self) -> sa.Select[Any]:
        """Of all accounts: a product's is asked for by its seller, who is not known here."""
        a = actions.c
        return replace(self, subject=Subject())._known(
            ["account_delisting"],
            a.seller_id,
            a.evidence[Evidence.DECISION_ID].astext.label(Evidence.DECISION_ID),
            self._state.in_(STANDING).label("is_standing"),
        )

    def _product_delistings(self) -> sa.Select[Any]:
        known = self._known(["product_delisting"], actions.c.sku, sa.true().label("is_standing"))
        return known.where(stands_in_later_cycles(self._state))

    def _sales_regulations(self) -> sa.Select[Any]:
        a = actions.c
        stands = stands_in_later_cycles(self._state).label("is_standing")
        return self._known(["sales_regulation"], a.sku, a.cycle, a.occurrence, stands)

    def _cycle_actions(self, cycle: date | None) -> sa.Select[Any]:
        a = actions.c
        columns = (a.rule, a.seller_id, a.sku, a.reference)
        return self._known(["order_regulation", "sales_regulation"], *columns).where(
            a.cycle == cycle
        )
