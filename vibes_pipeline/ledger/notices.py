"""Notices in the ledger: planned, then sent attempt by attempt (Rulebook §2; every row appended).

Here belong planning notices and what the outbox asks about them. A notice's state is its last
attempt's outcome; attempts are recorded by `deliveries`. What a mail says and how it travels is not
known here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.at_hand import is_unsent
from vibes_pipeline.ledger.copying import MANY, copy_rows, count_anew, instant
from vibes_pipeline.ledger.identity import notice_ids
from vibes_pipeline.ledger.ledger import OUTBOX_LOCK, Ledger
from vibes_pipeline.ledger.locks import Hold
from vibes_pipeline.ledger.notice_kinds import ALERTS, NoticeKind
from vibes_pipeline.ledger.states import OPEN, State, Status

# A sender holds the outbox until all is sent, which a slow relay draws out.
OUTBOX_IS_WAITED_FOR = timedelta(hours=1)


@dataclass(frozen=True)
class OpenNotice:
    """A notice that no server has accepted yet and that is not pointless."""

    notice_id: UUID
    kind: str
    is_alert: bool
    period: date
    seller_id: str
    planned_at: datetime
    status: str
    attempts: int
    last_at: datetime | None
    address_hash: str | None
    unknowns: int
    claim_event_id: int | None
    notice_hours: int | None
    actions: Sequence[UUID]

    @property
    def is_about_a_claim(self) -> bool:
        """Such a notice is sent even if it lists no action."""
        return self.claim_event_id is not None

    def still_lists(self, state: str) -> bool:
        """Whether it lists an action that is in this state by now."""
        if self.is_about_a_claim:
            return True
        return state in OPEN if self.is_alert else state == State.IMPLEMENTED


def plan_notices(
    connection: sa.Connection,
    *,
    country: str,
    kind: NoticeKind,
    period: date,
    actions: pl.DataFrame,
    now: datetime,
    pointless_at: datetime | None = None,
) -> None:
    """One notice per seller about their actions (columns `seller_id`, `action_id`).

    From `pointless_at` on it is not sent any more.
    """
    sellers = actions["seller_id"].unique(maintain_order=True)
    ids = notice_ids(country, kind, period, sellers).alias("notice_id")
    notices = pl.DataFrame([ids, sellers])
    copy_rows(
        connection,
        schema.notices,
        notices.with_columns(
            country=pl.lit(country),
            kind=pl.lit(kind.value),
            is_alert=pl.lit(kind in ALERTS),
            period=period,
            planned_at=instant(now),
            pointless_at=instant(pointless_at),
        ),
    )
    listed = actions.join(notices, on="seller_id").select("notice_id", "action_id")
    copy_rows(connection, schema.notice_actions, listed)
    if listed.height >= MANY:
        # What follows is thousands of small look-ups.
        count_anew(connection, schema.action_events, schema.notices, schema.notice_actions)


def open_notices(ledger: Ledger, now: datetime) -> list[OpenNotice]:
    """Notices not accepted yet, oldest first, each with the actions that it still has to list."""
    n = views.notice_states.c
    waiting = select_open(ledger.country, now).order_by(n.planned_at, n.notice_id)
    with ledger.reading() as connection:
        rows = connection.execute(waiting).mappings().all()
    return [OpenNotice(**row) for row in rows]


def select_open(country: str, now: datetime) -> sa.Select[Any]:
    """The notices not accepted yet (fields of `OpenNotice`).

    An alert lists actions that are open, a notice about a claim all of its actions, any other
    notice implemented ones; a notice with none left, or past its time, has become pointless and is
    not among them.
    """
    n, na, s = views.notice_states.c, schema.notice_actions.c, views.action_states.c
    is_to_list = sa.or_(
        n.claim_event_id.is_not(None),
        sa.and_(n.is_alert, s.state.in_(OPEN)),
        sa.and_(sa.not_(n.is_alert), s.state == State.IMPLEMENTED),
    )
    return (
        sa.select(
            n.notice_id,
            n.kind,
            n.is_alert,
            n.period,
            n.seller_id,
            n.planned_at,
            n.status,
            n.attempts,
            n.last_at,
            n.address_hash,
            n.unknowns,
            n.claim_event_id,
            sa.func.max(s.notice_hours).label("notice_hours"),
            sa.func.array_remove(sa.func.array_agg(s.action_id), None).label("actions"),
        )
        .join(schema.notice_actions, na.notice_id == n.notice_id, isouter=True)
        .join(views.action_states, s.action_id == na.action_id, isouter=True)
        .where(*_is_unsent_in_time(n, country, now), is_to_list)
        .group_by(*list(n))
    )


def count_open(
    connection: sa.Connection, country: str, now: datetime
) -> list[tuple[str, int, datetime]]:
    """Of each status how many notices are open, and when the oldest was planned.

    Which are open says `select_open`; only to count them, one action that they list is enough.
    """
    n = views.notice_states.c
    rows = connection.execute(
        sa.select(n.status, sa.func.count(), sa.func.min(n.planned_at))
        .where(*_is_unsent_in_time(n, country, now), _lists_any(n))
        .group_by(n.status)
        .order_by(n.status)
    )
    return [(status, count, oldest_at) for status, count, oldest_at in rows]


def is_any_open(ledger: Ledger, now: datetime) -> bool:
    """Whether any notice is open."""
    n = schema.notices.c
    is_any = sa.select(1).where(*_is_unsent_in_time(n, ledger.country, now), _lists_any(n)).exists()
    with ledger.reading() as connection:
        return connection.execute(sa.select(is_any)).scalar_one()


def _lists_any(n: Any) -> sa.ColumnElement[bool]:
    """Whether a notice has anything to tell: it is about a claim, or lists an action."""
    na = schema.notice_actions.c
    listed = sa.select(1).where(na.notice_id == n.notice_id, _is_listed(n, na.action_id))
    return sa.or_(n.claim_event_id.is_not(None), listed.exists())


def _is_unsent_in_time(n: Any, country: str, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    in_time = sa.or_(n.pointless_at.is_(None), n.pointless_at > now)
    return n.country == country, is_unsent(n.notice_id), in_time


def _is_listed(n: Any, action_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether a notice has to list an action as it is now: each condition looks up one row."""
    o, e = schema.open_actions.c, schema.action_events.c
    is_open = sa.select(1).where(o.action_id == action_id).exists()
    entered = {
        state: sa.select(1).where(e.action_id == action_id, e.state == state).exists()
        for state in (State.IMPLEMENTED, State.REVERSED)
    }
    return sa.case(
        (n.is_alert, is_open),
        else_=sa.and_(entered[State.IMPLEMENTED], sa.not_(entered[State.REVERSED])),
    )


def actions_to_list(
    connection: sa.Connection, notices: Sequence[OpenNotice]
) -> dict[UUID, list[dict[str, Any]]]:
    """Of each notice the actions that it has to list by now, as rows of `action_states`."""
    rows = actions_listed(connection, {action for n in notices for action in n.actions})
    connection.commit()
    listed_in: dict[UUID, list[OpenNotice]] = {}
    for notice in notices:
        for action in notice.actions:
            listed_in.setdefault(action, []).append(notice)
    told: dict[UUID, list[dict[str, Any]]] = {notice.notice_id: [] for notice in notices}
    for row in rows:
        for notice in listed_in[row["action_id"]]:
            if notice.still_lists(row["state"]):
                told[notice.notice_id].append(row)
    return told


def claims_of_notices(ledger: Ledger, events: Collection[int]) -> dict[int, dict[str, Any]]:
    """By event, the claim as it was taken in or decided by the event that a notice is about.

    Columns of `claim_states`, but `state` is the event's.
    """
    if not events:
        return {}
    i, d, c = schema.claim_intakes.c, schema.claim_decisions.c, views.claim_states.c
    told = sa.union_all(
        sa.select(i.event_id, i.claim_id, i.state).where(i.event_id.in_(events)),
        sa.select(d.event_id, d.claim_id, d.decision).where(d.event_id.in_(events)),
    ).subquery()
    query = sa.select(views.claim_states, told.c.event_id, told.c.state.label("told_state")).join(
        told, told.c.claim_id == c.claim_id
    )
    with ledger.reading() as connection:
        rows = connection.execute(query.where(c.country == ledger.country)).mappings().all()
    return {row["event_id"]: {**row, "state": row["told_state"]} for row in rows}


def actions_listed(
    connection: sa.Connection, actions: Collection[UUID]
) -> Sequence[dict[str, Any]]:
    """Actions in the order in which a mail lists them, as rows of `action_states`."""
    s = views.action_states.c
    rows = connection.execute(
        sa.select(views.action_states)
        .where(s.action_id.in_(actions))
        .order_by(s.rule, s.event_at, s.order_number, s.order_item_id, s.sku)
    ).mappings()
    return [dict(row) for row in rows]


def not_accepted(ledger: Ledger, kind: str, period: date) -> list[tuple[str, str]]:
    """(seller, status) of every notice of a kind and period that no server has accepted."""
    n = views.notice_states.c
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(n.seller_id, n.status)
            .where(
                n.country == ledger.country,
                n.kind == kind,
                n.period == period,
                n.status != Status.SENT,
            )
            .order_by(n.seller_id)
        )
        return [(seller, status) for seller, status in rows]


def count_notices(ledger: Ledger, kind: str, period: date) -> int:
    """How many notices of a kind and period there are."""
    n = schema.notices.c
    with ledger.reading() as connection:
        return connection.execute(
            sa.select(sa.func.count()).where(
                n.country == ledger.country, n.kind == kind, n.period == period
            )
        ).scalar_one()


def only_sender(ledger: Ledger) -> AbstractContextManager[Hold]:
    """Hold the outbox for one sender; a dead sender's hold ends with its connection.

    So an attempt found in `sending` by the holder was broken off, not going on elsewhere; the
    holder asks before each message whether it still holds.
    """
    return ledger.holding(OUTBOX_LOCK, gives_up_after=OUTBOX_IS_WAITED_FOR)
