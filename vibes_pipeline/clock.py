"""The only place that reads the wall clock.

A slot fixes its `now` once (Rulebook §2). A clock with a fixed instant makes history replayable;
a ledger that has seen one is simulated for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the present instant, zone-aware; `is_simulated` unless it is the wall clock's."""

    @property
    def is_simulated(self) -> bool: ...

    def now(self) -> datetime: ...


@dataclass(frozen=True)
class WallClock:
    """The real time, in UTC."""

    is_simulated: bool = False

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class SimulatedClock:
    """Stands still at one instant: a replayed slot happens in no time."""

    at: datetime
    is_simulated: bool = True

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a simulated clock needs a zone-aware instant")

    def now(self) -> datetime:
        return self.at
