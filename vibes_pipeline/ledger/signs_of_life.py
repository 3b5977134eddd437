"""Which Dagster runs are alive: each holds a lock in the database for as long as it runs.

A process that is killed, or whose machine goes down, says nothing; but its connection ends, and
with it the lock. So whoever finds a run's lock free knows that nobody runs it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from vibes_pipeline.ledger.ledger import Ledger

RUN_LOCK = "vibes run "


@contextmanager
def running(ledger: Ledger, run_id: str) -> Iterator[None]:
    """Hold the run's lock over a connection of its own."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(_lock(run_id))))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_lock(run_id))))


def is_running(ledger: Ledger, run_id: str) -> bool:
    """Whether some process holds the run's lock."""
    with ledger.engine.begin() as connection:
        is_free = sa.select(sa.func.pg_try_advisory_xact_lock(_lock(run_id)))
        return not connection.execute(is_free).scalar_one()


def _lock(run_id: str) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(RUN_LOCK + run_id, 0)
