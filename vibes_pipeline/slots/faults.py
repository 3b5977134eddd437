"""What stopped a slot, in one line: errors of the database and the disk as `VibesError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError, VibesError, first_line
from vibes_pipeline.files import disk_refusal


def fault_of(error: BaseException) -> VibesError | None:
    """The `VibesError` that an error is, comes from or is told as; None for an unforeseen error."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, VibesError):
            return inner
        if isinstance(inner, sa.exc.DBAPIError):
            return LedgerError(
                f"PostgreSQL went away: {first_line(inner.orig)}; run the slot again, "
                "it goes on where it was"
            )
        if isinstance(inner, duckdb.OutOfMemoryException):
            return VibesError(
                "DuckDB needs more memory than it may hold, or more room for the rest than the "
                "disk has; raise VIBES_MEMORY or make room, and run the slot again"
            )
        if words := disk_refusal(inner):
            return VibesError(f"a disk took no more: {words}; make room and run the slot again")
        inner = inner.__cause__ or inner.__context__
    return None


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Raise what stops the block as its `VibesError`, or as it is if nobody foresaw it."""
    try:
        yield
    except VibesError:
        raise
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error
