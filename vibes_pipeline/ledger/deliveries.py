"""Attempts to send notices, recorded many at a time (Rulebook §2; every row appended).

Here belongs what a sender records. Which notices are open is `notices`'s; what a sender has done
and not recorded yet is kept by the outbox's journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from vibes_pipeline.errors import LedgerError, first_line
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.database import IS_HURRIED, IS_RECORDING
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.states import State, Status

# A live ledger refuses a delivery that is older than a quarter of an hour.
RECORDED_LATE = timedelta(minutes=14)
# The reply of a mail server that takes a mail over.
ACCEPTED = 250


@dataclass(frozen=True)
class Delivery:
    """One attempt as a sender knows it: when it began and, once it has ended, how and when.

    `actions` are those that the mail lists, if it is an alert: once it is accepted they become
    `alerted`, as of `slot_now`. One that is `undeliverable` has not begun; one whose outcome is
    known to be recorded as begun has no `began_at` either.
    """

    notice_id: UUID
    attempt: int
    began_at: datetime | None
    status: str = Status.SENDING
    at: datetime | None = None
    code: int | None = None
    detail: str | None = None
    address_hash: str | None = None
    actions: Sequence[UUID] = ()
    slot_now: datetime | None = None

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """Its rows of `deliveries`, the beginning first."""
        common = {
            "notice_id": self.notice_id,
            "attempt": self.attempt,
            "address_hash": self.address_hash,
        }
        if self.began_at is not None:
            begun = {"status": Status.SENDING, "at": self.began_at, "code": None, "detail": None}
            yield {**common, **begun}
        if self.at is not None:
            yield {
                **common,
                "status": self.status,
                "at": self.at,
                "code": self.code,
                "detail": self.detail,
            }


@contextmanager
def recording(ledger: Ledger, *, is_simulated: bool) -> Iterator[sa.Connection]:
    """A connection for who records deliveries; each call of `record` is one transaction.

    On a simulated ledger a commit does not wait for the disk: what a power cut could lose there, a
    replay makes again.
    """
    with ledger.engine.connect() as connection:
        yield connection.execution_options(**{IS_HURRIED: is_simulated, IS_RECORDING: True})


def record(ledger: Ledger, connection: sa.Connection, deliveries: Sequence[Delivery]) -> int:
    """Append the rows of deliveries that are not there yet; give how many are new.

    With an accepted alert its actions become `alerted` in the same transaction, which waits its
    turn among those that change states; the events bear the slot's instant, the delivery the moment
    of the server's reply. Raises `LedgerError` when the database refuses a row: then none is
    recorded.
    """
    accepted = {(d.notice_id, d.attempt): d for d in deliveries if d.status == Status.SENT}
    try:
        if any(delivery.actions for delivery in accepted.values()):
            ledger.take_turn(connection)
        appended = _append(connection, [row for d in deliveries for row in d.rows])
        new = [(notice, number) for notice, number, status in appended if status == Status.SENT]
        _record_alerted(connection, [accepted[attempt] for attempt in new])
        connection.commit()
    except IntegrityError as error:
        connection.rollback()
        told = f"{len(deliveries)} deliveries" if len(deliveries) > 1 else "a delivery"
        raise LedgerError(
            f"the ledger refused {told}, of notice {deliveries[0].notice_id}"
            f"{' and others' if len(deliveries) > 1 else ''}: {first_line(error.orig)}"
        ) from None
    return len(appended)


def record_late(
    ledger: Ledger, connection: sa.Connection, deliveries: Sequence[Delivery], now: datetime
) -> int:
    """Append what an earlier sender did and could not record; give how many rows are new.

    What the ledger has of it already, or what came before a mail that is known to be accepted, is
    left out. On a live ledger, which takes no delivery that is long past, such a one bears `now`:
    an acceptance then counts as notice from a later moment on, never from an earlier one.
    """
    settled, begun = _known(connection, {delivery.notice_id for delivery in deliveries})
    is_simulated = ledger.mode_seen_by(connection) == "simulated"

    def in_time(at: datetime | None) -> datetime | None:
        if at is None or is_simulated or now - RECORDED_LATE <= at <= now:
            return at
        return now

    return record(
        ledger,
        connection,
        [
            replace(
                d,
                began_at=None if (d.notice_id, d.attempt) in begun else in_time(d.began_at),
                at=in_time(d.at),
            )
            for d in deliveries
            if d.notice_id not in settled and (d.notice_id, d.attempt) not in settled
        ],
    )


def accept_all(ledger: Ledger, kind: NoticeKind, period: date, now: datetime) -> None:
    """Count every notice of a slot as accepted at `now`, though no mail goes out (Rulebook §16).

    Its actions become `alerted`. Raises `LedgerError` on a live ledger.
    """
    n, na = schema.notices.c, schema.notice_actions.c
    of_slot = (n.country == ledger.country, n.kind == kind, n.period == period)
    at = sa.literal(now, schema.INSTANT)
    with ledger.writing(is_simulated=True, now=now) as connection:
        for status, code in ((Status.SENDING, None), (Status.SENT, ACCEPTED)):
            attempt = sa.select(
                n.notice_id,
                sa.literal(1),
                sa.literal(status, sa.Text),
                at,
                sa.literal(code, sa.Integer),
            )
            connection.execute(
                insert(schema.deliveries).from_select(
                    ["notice_id", "attempt", "status", "at", "code"], attempt.where(*of_slot)
                )
            )
        alerted = sa.select(
            na.action_id,
            sa.literal(State.ALERTED, sa.Text),
            at,
            sa.literal("alert accepted"),
            na.notice_id,
        ).join(schema.notices, n.notice_id == na.notice_id)
        connection.execute(
            insert(schema.action_events).from_select(
                ["action_id", "state", "at", "cause", "notice_id"], alerted.where(*of_slot)
            )
        )


def mark_of(ledger: Ledger) -> str:
    """What tells this ledger from all others: the numbers of server and database, its country.

    A copy of the database is another ledger.
    """
    with ledger.reading() as connection:
        server, database = connection.execute(
            sa.text(
                "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), "
                "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
            )
        ).one()
    return f"{server}/{database}/{ledger.country}"


def _known(
    connection: sa.Connection, notices: Collection[UUID]
) -> tuple[set[object], set[tuple[UUID, int]]]:
    """Notices that are accepted and attempts that have ended; attempts that have begun."""
    d = schema.deliveries.c
    settled: set[object] = set()
    begun: set[tuple[UUID, int]] = set()
    query = sa.select(d.notice_id, d.attempt, d.status).where(d.notice_id.in_(notices))
    for notice_id, attempt, status in connection.execute(query):
        if status == Status.SENDING:
            begun.add((notice_id, attempt))
        else:
            settled.add((notice_id, attempt))
        if status == Status.SENT:
            settled.add(notice_id)
    return settled, begun


def _append(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Notice, attempt and status of each row that was not there yet."""
    if not rows:
        return []
    given = _given({c: [row[c.name] for row in rows] for c in schema.deliveries.c})
    key = [schema.deliveries.c[name] for name in ("notice_id", "attempt", "status")]
    appending = insert(schema.deliveries).from_select(list(given.c), sa.select(given))
    appended = connection.execute(
        appending.on_conflict_do_nothing(index_elements=key).returning(*key)
    )
    return [tuple(row) for row in appended]


def _record_alerted(connection: sa.Connection, accepted: Sequence[Delivery]) -> None:
    """Actions become `alerted` that an accepted alert lists and that nothing else happened to."""
    told = [(action, d) for d in accepted for action in d.actions]
    if not told:
        return
    e = schema.action_events.alias()
    listed = _given(
        {
            e.c.action_id: [action for action, _ in told],
            e.c.notice_id: [d.notice_id for _, d in told],
            e.c.at: [d.slot_now for _, d in told],
        }
    )
    went_on = sa.select(1).where(e.c.action_id == listed.c.action_id, e.c.state != State.PROPOSED)
    connection.execute(
        insert(schema.action_events).from_select(
            ["action_id", "state", "at", "cause", "notice_id"],
            sa.select(
                listed.c.action_id,
                sa.literal(State.ALERTED, sa.Text),
                listed.c.at,
                sa.literal("alert accepted"),
                listed.c.notice_id,
            ).where(sa.not_(went_on.exists())),
        )
    )


def _given(values: Mapping[sa.ColumnElement[Any], Sequence[Any]]) -> sa.TableValuedAlias:
    """Rows as a relation, column by column: so many parameters, however many rows."""
    columns = [sa.column(column.name, column.type) for column in values]
    arrays = (sa.literal([*those], sa.ARRAY(column.type)) for column, those in values.items())
    return sa.func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
