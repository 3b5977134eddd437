"""Events of many actions at once: appended by one statement, asked for by one parameter.

Here belongs what every slot that changes states shares. Which actions change, and why, is said in
`proposals`, `implementation`, `late_orders`, `evidence` and `claims`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.copying import copy_rows, instant
from vibes_pipeline.ledger.states import State


def record_events(
    connection: sa.Connection, state: State, actions: pl.DataFrame, now: datetime, *, cause: str
) -> None:
    """Append one event of each action (column `action_id`)."""
    events = actions.select(
        "action_id", state=pl.lit(state.value), at=instant(now), cause=pl.lit(cause)
    )
    copy_rows(connection, schema.action_events, events)


def record_change(
    connection: sa.Connection,
    state: State,
    which: sa.ColumnElement[bool],
    now: datetime,
    *,
    cause: str,
    claim_id: str | None = None,
) -> None:
    """Append one event of each action of `action_states` for which a condition holds."""
    changed = sa.select(
        views.action_states.c.action_id,
        sa.literal(state, sa.Text),
        sa.literal(now, schema.INSTANT),
        sa.literal(cause),
        sa.literal(claim_id, sa.Text),
    ).where(which)
    connection.execute(
        insert(schema.action_events).from_select(
            ["action_id", "state", "at", "cause", "claim_id"], changed
        )
    )


def is_among(column: sa.ColumnElement[UUID], actions: Collection[UUID]) -> sa.ColumnElement[bool]:
    """Whether the column is one of the ids, however many: they are one parameter."""
    ids = sa.literal([str(action) for action in actions], sa.ARRAY(sa.Text))
    return column.in_(sa.select(sa.func.unnest(sa.cast(ids, sa.ARRAY(sa.Uuid)))))
