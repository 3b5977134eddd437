"""What stopped a slot, in one line: errors of the database and the disk as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError, VibesError, first_line
from vibes_pipeline.files import disk_refusal


def fault_of(error: BaseException) -> VibesError | None:
    """The error of ours that an error is, or was raised from; None for one that nobody foresaw."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, VibesError):
            return inner
        if isinstance(inner, sa.exc.DBAPIError):
            return LedgerError(
                f"PostgreSQL went away: {first_line(inner.orig)}; run the slot again, "
                "it goes on where it was"
            )
        if words := disk_refusal(inner):
            return VibesError(f"a disk took no more: {words}; make room and run the slot again")
        inner = inner.__cause__ or inner.__context__
    return None


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """What stops the block is raised as an error of ours, if it is one that can be understood."""
    try:
        yield
    except VibesError:
        raise
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault from error
