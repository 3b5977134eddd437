"""Locks in the database, each known by its name and held by an open transaction.

A transaction holds it, not a session: behind a pooler a session's lock would be taken over one
connection and given back over another. Whoever waits asks again and again, so that a signal ends
the wait within a second, says whom it waits for, and gives up in the end.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import Any

import sqlalchemy as sa
from psycopg2.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.interrupts import interrupts_held

# The driver hears no signal while it waits for an answer, so it never waits for longer.
ASKED_EVERY = timedelta(seconds=1)
GIVES_UP_AFTER = timedelta(minutes=10)
# A lost connection mostly tells of itself; a cut network does not, and is noticed so soon.
ASKED_AGAIN_AFTER_SECONDS = 1.0

# The session that holds a lock, as others of the same role see it; ours bear their process's name.
HOLDER = sa.text("""
    SELECT pid, application_name AS name, (clock_timestamp() - xact_start) AS held_for
    FROM pg_catalog.pg_locks JOIN pg_catalog.pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = hashtextextended(:name, 0)
""")
# Waits, five seconds at most, until each is gone and its locks with it.
END_SESSIONS = sa.text("""
    SELECT pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = :name
""")

log = logging.getLogger(__name__)


def take(
    connection: sa.Connection, name: str, *, gives_up_after: timedelta = GIVES_UP_AFTER
) -> None:
    """Hold the lock until the connection's transaction ends.

    Raises `LedgerError`, naming the holder, when another has not let go of it in that time.
    """
    if try_to_take(connection, name):
        return
    began_at, is_told = monotonic(), False
    while not _is_taken_soon(connection, name):
        waited = round(monotonic() - began_at)
        held_by = _holder(connection, name)
        if waited >= gives_up_after.total_seconds():
            raise LedgerError(
                f"the lock {name!r} was not free within {waited} s: {held_by} holds it; end that "
                "process if it hangs, and try again"
            )
        if not is_told:
            log.warning("waiting for the lock %r, which %s holds", name, held_by)
            is_told = True


def try_to_take(connection: sa.Connection, name: str) -> bool:
    """Hold the lock until the connection's transaction ends, unless another holds it."""
    is_taken = sa.func.pg_try_advisory_xact_lock(_key(name))
    return bool(connection.execute(sa.select(is_taken)).scalar_one())


def end_holder(connection: sa.Connection, name: str) -> None:
    """End every session of the process that holds the lock: what it has not committed is undone."""
    holder = connection.execute(HOLDER, {"name": name}).one_or_none()
    if holder is not None and holder.name:
        connection.execute(END_SESSIONS, {"name": holder.name})


class Hold:
    """A lock that is held; `require` may be called by any thread."""

    def __init__(self, connection: sa.Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._mutex = threading.Lock()
        self._loss: LedgerError | None = None
        self._asked_at = monotonic()

    def require(self) -> None:
        """Raise `LedgerError` when the lock is lost, because its connection was ended."""
        with self._mutex:
            if self._loss is None and self._may_be_lost():
                try:
                    self._connection.execute(sa.select(1))
                    self._asked_at = monotonic()
                except LedgerError as error:
                    self._loss = error
        if self._loss is not None:
            raise LedgerError(f"{self._loss}; the lock {self._name!r} was lost with it")

    def _may_be_lost(self) -> bool:
        """Whether the server must be asked: it told us something, or was silent for a while."""
        if monotonic() - self._asked_at >= ASKED_AGAIN_AFTER_SECONDS:
            return True
        driver: Any = self._connection.connection.dbapi_connection
        heard = select.poll()
        heard.register(driver, select.POLLIN)
        return bool(heard.poll(0))


@contextmanager
def held(
    engine: sa.Engine, name: str, *, gives_up_after: timedelta = GIVES_UP_AFTER
) -> Iterator[Hold]:
    """Hold the lock over a connection of its own; it ends with the process.

    The open transaction has read nothing that it must go on seeing, so it keeps no dead row from
    being vacuumed.
    """
    connection = engine.connect()
    try:
        take(connection, name, gives_up_after=gives_up_after)
        yield Hold(connection, name)
    finally:
        # One that broke holds nothing any more.
        with suppress(LedgerError):
            connection.close()


def _holder(connection: sa.Connection, name: str) -> str:
    holder = connection.execute(HOLDER, {"name": name}).one_or_none()
    if holder is None:
        return "another session"
    held_for = round(holder.held_for.total_seconds()) if holder.held_for else 0
    return f"{holder.name or 'another session'} (PostgreSQL process {holder.pid}, for {held_for} s)"


@interrupts_held()
def _is_taken_soon(connection: sa.Connection, name: str) -> bool:
    """Wait a little in the database's own queue, where nobody is overtaken.

    An interrupt that comes meanwhile strikes at the end: the driver waits in compiled code, which
    may lose it when it puts into words that the lock was not free.
    """
    milliseconds = f"{ASKED_EVERY.total_seconds() * 1000:.0f}"
    limit = sa.func.set_config("lock_timeout", sa.bindparam("limit"), True)
    before = connection.execute(sa.select(sa.func.current_setting("lock_timeout"))).scalar_one()
    try:
        with connection.begin_nested():
            connection.execute(sa.select(limit), {"limit": milliseconds})
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(name))))
            connection.execute(sa.select(limit), {"limit": before})
    except (LedgerError, OperationalError) as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return False
        raise
    return True


def _key(name: str) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(name, 0)
