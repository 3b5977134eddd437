"""The ledger as it stood at an instant: what only events up to then have made.

Here belong the same relations as `views`, by the same column names, for an instant
that lies before the ledger's newest event. Which rows are asked for is `history`'s.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import State


def instant_of(ledger: Ledger, now: datetime) -> datetime | None:
    """`now` if the ledger has an event after it; else None, for it stands now as it stood then."""
    newest = ledger.newest_event_at()
    return now if newest is not None and now < newest else None


def action_states(at: datetime | None) -> sa.FromClause:
    """Every action with its state at `at` (`ledger.action_states`); None: the present one.

    An action proposed later is not there.
    """
    if at is None:
        return views.action_states
    a, e = schema.actions, schema.action_events.c
    last = aggregate_order_by(e.state, e.event_id.desc())
    so_far = (
        sa.select(
            sa.func.array_agg(last, type_=sa.ARRAY(sa.Text))[1].label("state"),
            sa.func.min(e.at).filter(e.state == State.IMPLEMENTED).label("implemented_at"),
        )
        .where(e.action_id == a.c.action_id, e.at <= at)
        .lateral()
    )
    return (
        sa.select(*a.c, *so_far.c)
        .join(so_far, sa.true())
        .where(so_far.c.state.is_not(None))
        .subquery("action_states")
    )


def claim_states(at: datetime | None) -> sa.FromClause:
    """Every claim as taken in and decided by `at` (`ledger.claim_states`); None: at present."""
    if at is None:
        return views.claim_states
    i, d = schema.claim_intakes.c, schema.claim_decisions.c
    # A claim rejected first and upheld then is upheld: the greater word.
    decision = (
        sa.select(sa.func.max(d.decision))
        .where(d.country == i.country, d.claim_id == i.claim_id, d.at <= at)
        .scalar_subquery()
    )
    names = ("country", "claim_id", *schema.CLAIM_COLUMNS)
    return (
        sa.select(*(i[name] for name in names), i.state.label("intake_state"))
        .add_columns(decision.label("decision"))
        .where(i.at <= at)
        .ext(distinct_on(i.country, i.claim_id))
        .order_by(i.country, i.claim_id, i.event_id.desc())
        .subquery("claim_states")
    )


def is_excused_by(at: datetime | None) -> sa.ColumnElement[bool]:
    """Whether an excuse of `ledger.excuses` was there at `at`; None: at present."""
    if at is None:
        return sa.true()
    x, d = schema.excuses.c, schema.claim_decisions.c
    return (
        sa.select(sa.literal(1))
        .where(
            d.country == x.country,
            d.claim_id == x.claim_id,
            d.decision == "upheld",
            d.at <= at,
        )
        .exists()
    )


def before(column: sa.ColumnElement[Any], at: datetime | None) -> sa.ColumnElement[bool]:
    """Whether what bears this instant was there at `at`; None: at present."""
    return sa.true() if at is None else column <= at
