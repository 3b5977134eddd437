"""The ledger as it stood at an instant: what answers about that moment read (Rulebook §14).

Here belong the same relations as in `history`, each with what was recorded by an instant alone. The
rows are only appended and bear their time, so nothing is lost by looking back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from vibes_pipeline.ledger.states import STANDING
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


def relations(
    ledger: Ledger, at: datetime, *, item: str | None = None, cycle: date | None = None
) -> Mapping[str, pl.DataFrame]:
    """What answers read of the ledger, by relation name, of one moment of the ledger.

    With `item` only that item's charges; `cycle` names the one whose actions are `cycle_actions`.
    """
    selects = {
        "charges": _charges(ledger.country, at, item),
        "excuses": _excuses(ledger.country, at),
        "undecided_counterfeit_claims": _undecided_counterfeit_claims(ledger.country, at),
        "account_delistings": _account_delistings(ledger.country, at),
        "product_delistings": _product_delistings(ledger.country, at),
        "sales_regulations": _sales_regulations(ledger.country, at),
        "cycle_actions": _cycle_actions(ledger.country, at, cycle),
    }
    with ledger.reading() as connection:
        return {name: read(connection, select) for name, select in selects.items()}


def _state(at: datetime) -> sa.ScalarSelect[str]:
    """The state of a row of `actions` at an instant; null before the action was proposed."""
    e = action_events.c
    return (
        sa.select(e.state)
        .where(e.action_id == actions.c.action_id, e.at <= at)
        .order_by(e.event_id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _known(country: str, at: datetime, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Columns of the actions that were proposed by the instant."""
    return sa.select(*columns).where(actions.c.country == country, _state(at).is_not(None))


def _charges(country: str, at: datetime, item: str | None) -> sa.Select[Any]:
    a = actions.c
    known = _known(
        country,
        at,
        a.rule,
        a.order_item_id,
        a.amount,
        _state(at).in_(STANDING).label("is_standing"),
        a.reference,
        a.cycle,
    ).where(a.rule.in_(CHARGES))
    return known if item is None else known.where(is_among(a.order_item_id, [item]))


def _excuses(country: str, at: datetime) -> sa.Select[Any]:
    """The same columns as `history.select_excuses`, of the claims upheld by then."""
    d = claim_decisions.c
    upheld = (
        sa.select(1)
        .where(
            d.country == country,
            d.claim_id == excuses.c.claim_id,
            d.decision == "upheld",
            d.at <= at,
        )
        .exists()
    )
    return sa.select(*EXCUSE_COLUMNS).where(excuses.c.country == country, upheld)


def _undecided_counterfeit_claims(country: str, at: datetime) -> sa.Select[Any]:
    i, d = claim_intakes.c, claim_decisions.c
    stated = (
        sa.select(claim_intakes)
        .ext(distinct_on(i.claim_id))
        .where(i.country == country, i.at <= at)
        .order_by(i.claim_id, i.event_id.desc())
        .subquery()
    )
    decided = (
        sa.select(1)
        .where(d.country == country, d.claim_id == stated.c.claim_id, d.at <= at)
        .exists()
    )
    s = stated.c
    return sa.select(
        *(s[n].label(n) for n in ("claim_id", "seller_id", "order_number", "sku", "raised_at"))
    ).where(s.category == "counterfeit", s.state != "incomplete", ~decided)


def _account_delistings(country: str, at: datetime) -> sa.Select[Any]:
    a = actions.c
    return _known(
        country,
        at,
        a.seller_id,
        a.evidence[Evidence.DECISION_ID].astext.label(Evidence.DECISION_ID),
        _state(at).in_(STANDING).label("is_standing"),
    ).where(a.rule == "account_delisting")


def _product_delistings(country: str, at: datetime) -> sa.Select[Any]:
    a = actions.c
    return _known(country, at, a.sku, sa.true().label("is_standing")).where(
        a.rule == "product_delisting", stands_in_later_cycles(_state(at))
    )


def _sales_regulations(country: str, at: datetime) -> sa.Select[Any]:
    a = actions.c
    return _known(
        country,
        at,
        a.sku,
        a.cycle,
        a.occurrence,
        stands_in_later_cycles(_state(at)).label("is_standing"),
    ).where(a.rule == "sales_regulation")


def _cycle_actions(country: str, at: datetime, cycle: date | None) -> sa.Select[Any]:
    a = actions.c
    columns = (a.rule, a.seller_id, a.sku, a.reference)
    return _known(country, at, *columns).where(a.cycle == cycle, a.order_item_id.is_(None))
