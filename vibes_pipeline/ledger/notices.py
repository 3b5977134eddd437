"""Notices in the ledger: planned, then sent attempt by attempt (Rulebook §2; every row appended).

Here belong what the outbox asks and records. A notice's state is its last attempt's outcome. What
a mail says and how it travels is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import polars as pl
import sqlalchemy as sa
from psycopg2.errors import UniqueViolation
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from vibes_pipeline.errors import LedgerError, first_line
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.at_hand import is_unsent
from vibes_pipeline.ledger.copying import MANY, copy_rows, count_anew, instant
from vibes_pipeline.ledger.database import IS_HURRIED
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
    """Notices not accepted yet, oldest first, each with the actions that it still has to list.

    An alert lists actions that are open, a notice about a claim all of its actions, any other
    notice implemented ones; a notice with none left, or past its time, has become pointless and is
    not among them.
    """
    n, na, s = schema.notice_states.c, schema.notice_actions.c, schema.action_states.c
    is_to_list = sa.or_(
        n.claim_event_id.is_not(None),
        sa.and_(n.is_alert, s.state.in_(OPEN)),
        sa.and_(sa.not_(n.is_alert), s.state == State.IMPLEMENTED),
    )
    waiting = (
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
        .join(schema.action_states, s.action_id == na.action_id, isouter=True)
        .where(
            n.country == ledger.country,
            is_unsent(n.notice_id),
            sa.or_(n.pointless_at.is_(None), n.pointless_at > now),
            is_to_list,
        )
        .group_by(*list(n))
        .order_by(n.planned_at, n.notice_id)
    )
    with ledger.reading() as connection:
        rows = connection.execute(waiting).mappings().all()
    return [OpenNotice(**row) for row in rows]


def actions_to_list(connection: sa.Connection, notice: OpenNotice) -> list[dict[str, Any]]:
    """The actions that a notice has to list by now, as rows of `action_states`."""
    s = schema.action_states.c
    if notice.is_about_a_claim:
        listed = actions_listed(connection, notice)
    else:
        is_to_list = s.state.in_(OPEN) if notice.is_alert else s.state == State.IMPLEMENTED
        listed = actions_listed(connection, notice, is_to_list)
    connection.commit()
    return listed


def claim_of_notice(ledger: Ledger, claim_event_id: int) -> dict[str, Any]:
    """The claim as it was taken in or decided by the event that a notice is about.

    Columns of `claim_states`, but `state` is the event's.
    """
    i, d = schema.claim_intakes.c, schema.claim_decisions.c
    with ledger.reading() as connection:
        event = connection.execute(
            sa.union_all(
                sa.select(i.claim_id, i.state).where(i.event_id == claim_event_id),
                sa.select(d.claim_id, d.decision).where(d.event_id == claim_event_id),
            )
        ).one()
        c = schema.claim_states.c
        row = (
            connection.execute(
                sa.select(schema.claim_states).where(
                    c.country == ledger.country, c.claim_id == event.claim_id
                )
            )
            .mappings()
            .one()
        )
    return {**row, "state": event.state}


def actions_listed(
    connection: sa.Connection, notice: OpenNotice, *only: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    """A notice's actions in the order in which its mail lists them, as rows of `action_states`."""
    s = schema.action_states.c
    rows = connection.execute(
        sa.select(schema.action_states)
        .where(s.action_id.in_(notice.actions), *only)
        .order_by(s.rule, s.event_at, s.order_number, s.order_item_id, s.sku)
    ).mappings()
    return [dict(row) for row in rows]


def not_accepted(ledger: Ledger, kind: str, period: date) -> list[tuple[str, str]]:
    """(seller, status) of every notice of a kind and period that no server has accepted."""
    n = schema.notice_states.c
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


@contextmanager
def sending(ledger: Ledger, *, is_simulated: bool) -> Iterator[sa.Connection]:
    """A connection for one thread that sends; it commits before and after each message.

    On a simulated ledger a commit does not wait for the disk: what a power cut could lose there, a
    replay makes again.
    """
    with ledger.engine.connect() as connection:
        yield connection.execution_options(**{IS_HURRIED: is_simulated})


def record_attempt(
    ledger: Ledger,
    connection: sa.Connection,
    notice: OpenNotice,
    attempt: int,
    status: str,
    at: datetime,
    *,
    code: int | None = None,
    detail: str | None = None,
    address_hash: str | None = None,
    slot_now: datetime | None = None,
) -> bool:
    """Append one row of an attempt; False if another sender was there first.

    With `sent`, the alert's actions become `alerted` in the same transaction, which waits its turn
    among those that change states; the events bear the slot's instant, the delivery the moment of
    the server's reply. Raises `LedgerError` when the database refuses the row.
    """
    try:
        if status == Status.SENT and notice.is_alert:
            ledger.take_turn(connection)
        connection.execute(
            insert(schema.deliveries).values(
                notice_id=notice.notice_id,
                attempt=attempt,
                status=status,
                at=at,
                code=code,
                detail=detail,
                address_hash=address_hash,
            )
        )
        if status == Status.SENT and notice.is_alert:
            _record_alerted(connection, notice, slot_now or at)
        connection.commit()
    except IntegrityError as error:
        connection.rollback()
        if isinstance(error.orig, UniqueViolation):
            return False
        raise LedgerError(
            f"the ledger refused a delivery of notice {notice.notice_id}: {first_line(error.orig)}"
        ) from None
    return True


def _record_alerted(connection: sa.Connection, notice: OpenNotice, at: datetime) -> None:
    s = schema.action_states.c
    alerted = sa.select(
        s.action_id,
        sa.literal(State.ALERTED, sa.Text),
        sa.literal(at, schema.INSTANT),
        sa.literal("alert accepted"),
        sa.literal(notice.notice_id, schema.notices.c.notice_id.type),
    ).where(s.action_id.in_(notice.actions), s.state == State.PROPOSED)
    connection.execute(
        insert(schema.action_events).from_select(
            ["action_id", "state", "at", "cause", "notice_id"], alerted
        )
    )
