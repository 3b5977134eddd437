"""The only place that reads the wall clock.

A slot fixes its `now` once (Rulebook §2). With a clock that is fixed at a past instant, history can
be replayed; a ledger whose slots use such a clock is simulated for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the present instant, zone-aware; `is_simulated` is false only for the wall clock."""

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
    """Stands still at one instant: no time passes while a replayed slot runs."""

    at: datetime
    is_simulated: bool = True

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a simulated clock needs a zone-aware instant")

    def now(self) -> datetime:
        return self.at
