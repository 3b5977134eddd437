"""The rows of a table, handed over in frames, so that a long table is never all in memory.

Here belongs what a reader of rows and a writer of them agree on; `tables` reads, `files` writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from vibes_pipeline.ledger.frames import Schema


@dataclass(frozen=True)
class Rows:
    """Rows of one schema. `count` says how many there are; `each` runs a function with them all.

    The function gets some thousand rows at a time, in order, and nothing where there are none.
    """

    schema: Schema
    count: Callable[[], int]
    each: Callable[[Callable[[pl.DataFrame], object]], None]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Rows:
        """The rows of a frame."""
        return cls(frame.schema, lambda: frame.height, lambda do: _once(do, frame))

    @property
    def empty(self) -> pl.DataFrame:
        """A frame of the schema without rows."""
        return pl.DataFrame(schema=self.schema)

    def in_one(self) -> pl.DataFrame:
        """All of them as one frame."""
        frames = [self.empty]
        self.each(frames.append)
        return pl.concat(frames)

    def mapped(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Rows:
        """The same rows, each frame changed alike; as many as before."""
        return Rows(
            change(self.empty).schema, self.count, lambda do: self.each(lambda f: do(change(f)))
        )


Progress = Callable[[int], object]


class Counted:
    """Rows that are counted as they are handed over; `progress` is told of each frame's number."""

    def __init__(self, rows: Rows, progress: Progress) -> None:
        self._given = rows
        self._progress = progress
        self.so_far = 0

    @property
    def rows(self) -> Rows:
        """The same rows."""
        return Rows(self._given.schema, self._given.count, self._each)

    def _each(self, do: Callable[[pl.DataFrame], object]) -> None:
        def counted(frame: pl.DataFrame) -> None:
            do(frame)
            self.so_far += frame.height
            self._progress(frame.height)

        self._given.each(counted)


def _once(do: Callable[[pl.DataFrame], object], frame: pl.DataFrame) -> None:
    do(frame)
