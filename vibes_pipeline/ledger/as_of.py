"""What an answer reads of the ledger as it stood at an instant, about one subject (Rulebook §14).

Here belong `history`'s relations as answers need them, with the references of what they name. How
the ledger stood then, `states_at` says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger import history, states_at
from vibes_pipeline.ledger.at_hand import is_among
from vibes_pipeline.ledger.frames import read
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import cycles
from vibes_pipeline.ledger.states import OPEN
from vibes_pipeline.ledger.views import moments
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

    def is_of(self, a: Any) -> sa.ColumnElement[bool]:
        """Whether an action, by its columns, is about it."""
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
        at = states_at.instant_of(ledger, self.at)
        selects: Mapping[str, Callable[[], sa.Select[Any]]] = {
            "charges": lambda: self._charges(at),
            "open_charges": lambda: self._open_charges(at),
            "excuses": lambda: history.select_excuses(self.country, at),
            "undecided_counterfeit_claims": lambda: history.select_counterfeit_claims(
                self.country, at
            ),
            # Of all accounts: a product's is asked for by its seller, who is not known here.
            "account_delistings": lambda: history.select_account_delistings(self.country, at),
            "product_delistings": lambda: self._product_delistings(at),
            "sales_regulations": lambda: self._sales_regulations(at),
            "cycle_actions": lambda: self._cycle_actions(at, cycle),
        }
        with ledger.reading() as connection:
            return {name: read(connection, selects[name]()) for name in only}

    def _is_mine(self, a: Any, *rules: str) -> sa.ColumnElement[bool]:
        return sa.and_(a.country == self.country, a.rule.in_(rules), self.subject.is_of(a))

    def _charges(self, at: datetime | None) -> sa.Select[Any]:
        a = states_at.action_states(at).c
        is_standing = history.stands(a.state).label("is_standing")
        return sa.select(
            a.rule, a.order_item_id, a.amount, is_standing, a.reference, a.cycle
        ).where(self._is_mine(a, *CHARGES))

    def _open_charges(self, at: datetime | None) -> sa.Select[Any]:
        a = states_at.action_states(at).c
        named = (a.evidence[k].astext.label(k) for k in (Evidence.QC_ID, Evidence.CASE_ID))
        return sa.select(a.order_item_id, *named).where(
            self._is_mine(a, *CHARGES), a.state.in_(OPEN)
        )

    def _product_delistings(self, at: datetime | None) -> sa.Select[Any]:
        a = states_at.action_states(at).c
        return sa.select(a.sku, sa.true().label("is_standing")).where(
            self._is_mine(a, "product_delisting"), history.stands_in_later_cycles(a.state)
        )

    def _sales_regulations(self, at: datetime | None) -> sa.Select[Any]:
        a = states_at.action_states(at).c
        stands = history.stands_in_later_cycles(a.state).label("is_standing")
        return sa.select(a.sku, a.cycle, a.occurrence, stands).where(
            self._is_mine(a, "sales_regulation")
        )

    def _cycle_actions(self, at: datetime | None, cycle: date | None) -> sa.Select[Any]:
        a = states_at.action_states(at).c
        return sa.select(a.rule, a.seller_id, a.sku, a.reference).where(
            self._is_mine(a, "order_regulation", "sales_regulation"), a.cycle == cycle
        )
