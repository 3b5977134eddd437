"""What the rules need to know of the past, as relations that SQL reads by `ledger.*`.

A snapshot is taken once per slot and kept beside the slot's partitions, so that a decision can be
explained, and computed again, from the same history. What grows with the ledger's age is asked for
only about what is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger import recorded, states_at
from vibes_pipeline.ledger.at_hand import is_among, is_open
from vibes_pipeline.ledger.frames import Schema, frame_schema, in_frame, read
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import (
    account_reviews,
    action_events,
    actions,
    claim_decisions,
    claim_intakes,
    cycles,
    excuses,
    reviewed_counterfeits,
)
from vibes_pipeline.ledger.states import OPEN, STANDING, State
from vibes_pipeline.ledger.views import claim_states
from vibes_pipeline.rules import CHARGES, Evidence

# The relations that `past` gives.
PAST = frozenset(
    (
        "charges",
        "sales_regulations",
        "product_delistings",
        "account_reviews",
        "reviewed_counterfeits",
    )
)


@dataclass(frozen=True)
class History:
    """Frames by relation name; `last_event` and `first_cycle` say what ledger they show.

    `last_event` is the newest event's id (0 for none): freezing checks that no event came since.
    """

    frames: dict[str, pl.DataFrame]
    last_event: int
    first_cycle: date | None


@dataclass(frozen=True)
class Keys:
    """What decisions are at hand about: ids of order items, SKUs, sellers."""

    items: Collection[str] = ()
    products: Collection[str] = ()
    sellers: Collection[str] = ()


def take(
    ledger: Ledger, *, only: Collection[str] | None = None, at: datetime | None = None
) -> History:
    """The country's history, read in one moment; `only` names the relations that are needed.

    It has what is open or in force; `past` has what was decided before about what is at hand. With
    `at` both show the ledger as it stood then.
    """
    selects = _in_force(ledger.country, at)
    with ledger.reading() as connection:
        frames = {
            name: read(connection, select)
            for name, select in selects.items()
            if only is None or name in only
        }
        return History(
            frames, last_event(connection, ledger.country), _first_cycle(connection, ledger, at)
        )


Standing = Callable[[sa.ColumnElement[str]], sa.ColumnElement[bool]]
"""Whether an action in a state stands."""


def stands_in_later_cycles(state: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether an action that does not outlive its cycle stands in the cycles after it.

    Only once implemented: one that is not, by the time the next cycle is frozen, expires then
    (Rulebook §2).
    """
    return state == State.IMPLEMENTED


def stands(state: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether an action stands at the moment: also one that is yet to be implemented (§1)."""
    return state.in_(STANDING)


def past(
    ledger: Ledger,
    keys: Keys,
    *,
    at: datetime | None = None,
    standing: Standing = stands_in_later_cycles,
) -> dict[str, pl.DataFrame]:
    """What the ledger holds, of whatever age, about the items, products and sellers at hand.

    Frames by relation name, read in one moment. `standing` says which regulations and delistings
    of products stand.
    """
    with ledger.reading() as connection:
        return {
            name: read(connection, select)
            for name, select in _past(ledger.country, keys, at, standing).items()
        }


def _in_force(country: str, at: datetime | None) -> dict[str, sa.Select[Any]]:
    a = states_at.action_states(at).c
    return {
        "open_charges": sa.select(
            in_frame(a.action_id),
            a.rule,
            a.seller_id,
            a.order_item_id,
            *(
                a.evidence[key].astext.label(key)
                for key in (Evidence.REASON, Evidence.QC_ID, Evidence.CASE_ID)
            ),
        ).where(
            a.country == country,
            a.rule.in_(CHARGES),
            is_open(a.action_id) if at is None else a.state.in_(OPEN),
        ),
        "account_delistings": select_account_delistings(country, at),
        # The models leave out those of a later instant.
        "recorded_account_decisions": recorded.select_account_decisions(country),
        "excuses": select_excuses(country, at),
        "undecided_counterfeit_claims": select_counterfeit_claims(country, at),
    }


def _past(
    country: str, keys: Keys, at: datetime | None, standing: Standing
) -> dict[str, sa.Select[Any]]:
    a, r, k = states_at.action_states(at).c, account_reviews.c, reviewed_counterfeits.c
    decided = sa.select(cycles.c.cycle).where(
        cycles.c.country == country, states_at.before(cycles.c.frozen_at, at)
    )
    mine = a.country == country
    of_products = sa.and_(mine, is_among(a.sku, keys.products))
    return {
        "charges": sa.select(
            a.rule, a.order_item_id, a.amount, stands(a.state).label("is_standing")
        ).where(mine, a.rule.in_(CHARGES), is_among(a.order_item_id, keys.items)),
        "sales_regulations": sa.select(
            a.sku,
            a.cycle,
            a.occurrence,
            standing(a.state).label("is_standing"),
        ).where(of_products, a.rule == "sales_regulation"),
        "product_delistings": sa.select(a.sku, sa.true().label("is_standing")).where(
            of_products, a.rule == "product_delisting", standing(a.state)
        ),
        "account_reviews": sa.select(
            r.seller_id, r.quality_returns, r.dropoff_failures, r.counterfeits
        ).where(r.country == country, is_among(r.seller_id, keys.sellers), r.cycle.in_(decided)),
        "reviewed_counterfeits": sa.select(k.seller_id, k.order_item_id)
        .where(
            k.country == country,
            is_among(k.order_item_id, keys.items),
            k.cycle.in_(decided),
        )
        .distinct(),
    }


def select_account_delistings(country: str, at: datetime | None = None) -> sa.Select[Any]:
    """Every account delisting with its decision, whether it stands or not."""
    s = states_at.action_states(at).c
    return sa.select(
        s.seller_id,
        s.evidence[Evidence.DECISION_ID].astext.label(Evidence.DECISION_ID),
        stands(s.state).label("is_standing"),
    ).where(s.country == country, s.rule == "account_delisting")


EXCUSE_COLUMNS = tuple(
    excuses.c[name]
    for name in ("seller_id", "order_number", "sku", "order_item_id", "event", "claim_id")
)
EXCUSES: Schema = frame_schema(EXCUSE_COLUMNS)


def select_excuses(country: str, at: datetime | None = None) -> sa.Select[Any]:
    """What upheld claims excuse (columns `EXCUSES`)."""
    return sa.select(*EXCUSE_COLUMNS).where(
        excuses.c.country == country, states_at.is_excused_by(at)
    )


def select_counterfeit_claims(country: str, at: datetime | None = None) -> sa.Select[Any]:
    """The claims that hold a counterfeit charge."""
    c = states_at.claim_states(at).c
    return sa.select(c.claim_id, c.seller_id, c.order_number, c.sku, c.raised_at).where(
        c.country == country, holds_counterfeit_charge(c)
    )


def holds_counterfeit_charge(c: Any = claim_states.c) -> sa.ColumnElement[bool]:
    """Whether a claim of `claim_states` is a complete, undecided counterfeit claim (§6)."""
    return sa.and_(
        c.category == "counterfeit",
        c.intake_state != "incomplete",
        c.decision.is_(None),
    )


def last_event(connection: sa.Connection, country: str) -> int:
    """The id of the country's newest event, of an action or a claim; 0 if there is none."""
    of_actions = (
        sa.select(action_events.c.event_id)
        .join(actions, actions.c.action_id == action_events.c.action_id)
        .where(actions.c.country == country)
        # With the index on it that is a look at its end; a maximum would read all events.
        .order_by(action_events.c.event_id.desc())
        .limit(1)
    )
    of_claims = [
        sa.select(sa.func.max(table.c.event_id)).where(table.c.country == country)
        for table in (claim_intakes, claim_decisions, excuses)
    ]
    newest = sa.func.greatest(*(s.scalar_subquery() for s in (of_actions, *of_claims)))
    return connection.execute(sa.select(newest)).scalar() or 0


def _first_cycle(connection: sa.Connection, ledger: Ledger, at: datetime | None) -> date | None:
    return connection.execute(
        sa.select(sa.func.min(cycles.c.cycle)).where(
            cycles.c.country == ledger.country, states_at.before(cycles.c.frozen_at, at)
        )
    ).scalar()
