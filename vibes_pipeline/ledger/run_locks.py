"""Which Dagster runs are alive: each holds a lock in the database for as long as it runs.

A process that is killed, or whose machine goes down, says nothing; but its connection ends, and
with it the lock. So whoever finds a run's lock free knows that nobody runs it any more.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from vibes_pipeline.ledger import locks
from vibes_pipeline.ledger.ledger import Ledger

RUN_LOCK = "vibes run "


def running(ledger: Ledger, run_id: str) -> AbstractContextManager[locks.Hold]:
    """Hold the run's lock over a connection of its own."""
    return locks.held(ledger.engine, RUN_LOCK + run_id)


def cut_off(ledger: Ledger, run_id: str) -> None:
    """End the sessions of the process that holds the run's lock, and with them all its locks."""
    with ledger.engine.begin() as connection:
        locks.end_holder(connection, RUN_LOCK + run_id)


def is_running(ledger: Ledger, run_id: str) -> bool:
    """Whether some process holds the run's lock."""
    with ledger.engine.begin() as connection:
        return not locks.try_to_take(connection, RUN_LOCK + run_id)
