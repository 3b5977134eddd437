"""Evidence that a slot looked for and did not find: recorded, counted, listed (Rulebook §2, §9)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.events import is_among
from vibes_pipeline.ledger.states import OPEN


def record_missing(
    connection: sa.Connection,
    actions: Collection[UUID],
    slot: Slot,
    period: date,
    now: datetime,
    patience_slots: int,
) -> list[UUID]:
    """Note the open ones among the actions whose evidence the slot did not find.

    Gives those for which that many slots in a row have looked in vain: they wait no longer.
    """
    s, w = views.action_states.c, views.awaiting_evidence.c
    missed = sa.select(
        s.action_id, sa.literal(slot), sa.literal(period), sa.literal(now, schema.INSTANT)
    ).where(is_among(s.action_id, actions), s.state.in_(OPEN))
    connection.execute(
        insert(schema.missing_evidence).from_select(["action_id", "slot", "period", "at"], missed)
    )
    return list(
        connection.execute(
            sa.select(w.action_id).where(
                is_among(w.action_id, actions), w.slots_in_vain >= patience_slots
            )
        ).scalars()
    )


def is_missed_by(slot: Slot, period: date) -> sa.ColumnElement[bool]:
    """Whether the slot looked for an action's evidence in vain."""
    m = schema.missing_evidence.c
    return (
        sa.select(1)
        .where(m.action_id == views.action_states.c.action_id, m.slot == slot, m.period == period)
        .exists()
    )
