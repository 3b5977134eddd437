"""A look that found nothing to settle, kept for as long as another one would find the same.

What the claims step finds follows from the state of the order warehouse, from what the ledger holds
of claims, decisions and account delistings, and from the slot's instant. Most slots, and nearly all
looks of the sensor, come when none of these has changed: they take the last look's answer. Here
belongs whether they may; how to look is `settle`'s.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

from vibes_pipeline.engine.models import load_models
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.ledger.claims import Marks, marks
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.undecipherable import Undecipherable
from vibes_pipeline.slots.run import SlotRun

NEXT_MOMENT = "claims.next_moment"


class State(NamedTuple):
    """All that a look goes by, but for its instant."""

    policy: str
    warehouse: Hashable
    ledger: Marks

    @classmethod
    def of(cls, run: SlotRun, ledger: Ledger) -> State | None:
        """The state before a look; None if the warehouse does not tell one load from another."""
        warehouse = run.engine.warehouse
        version = warehouse.version()
        if version is None:
            return None
        load = (warehouse.path, version)
        return cls(run.policy.version, load, marks(ledger, run.now))


@dataclass(frozen=True)
class Quiet:
    """A look at `since` that found no more than values that cannot be read.

    It holds in the same state until `until`, when the warehouse has something new; None: never.
    """

    state: State
    since: datetime
    until: datetime | None
    undecipherable: Sequence[Undecipherable]

    def holds(self, state: State | None, now: datetime) -> bool:
        """Whether a look at `now` would find the same."""
        return self.state == state and self.since <= now and (not self.until or now < self.until)


# The last such look at each ledger.
_last: WeakKeyDictionary[Ledger, Quiet] = WeakKeyDictionary()


def recall(ledger: Ledger, state: State | None, now: datetime) -> Quiet | None:
    """The last look, if one at `now` would find the same."""
    last = _last.get(ledger)
    return last if last is not None and last.holds(state, now) else None


def keep(
    ledger: Ledger,
    state: State | None,
    run: SlotRun,
    engine: Engine,
    undecipherable: Sequence[Undecipherable],
) -> None:
    """Keep that a look found nothing to settle; `state` is that from before it."""
    if state is not None:
        (until,) = engine.evaluate(load_models()[NEXT_MOMENT], run.view)["next_moment"]
        _last[ledger] = Quiet(state, run.now, until, undecipherable)
