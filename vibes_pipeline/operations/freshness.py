"""How far the warehouse says that it is complete, and what the slots due by now lack of it (§13).

A warehouse that is busy, missing or not as the contract demands is a line here, never an error:
who asks how things stand must be told.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from vibes_pipeline.errors import BusyWarehouse, WarehouseError
from vibes_pipeline.operations.slot_states import SlotState, SlotStatus
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.freshness import needs
from vibes_pipeline.warehouse.freshness import Loads, loaded_through, not_complete
from vibes_pipeline.warehouse.source import Warehouse

# Of a slot that is done, the warehouse was as fresh as it needed.
STILL_NEEDED = (SlotState.DUE, SlotState.RUNNING, SlotState.LATE, SlotState.FAILED)


@dataclass(frozen=True)
class Lack:
    """Tables, each with its own, that are not complete through the instant that a slot needs."""

    slot: str
    tables: Loads
    through: datetime


@dataclass(frozen=True)
class Freshness:
    """`tables` says of each table up to when it is complete; None where the warehouse does not say.

    `fault` is why it cannot be read; one that is only busy will be read the next time.
    """

    tables: Loads | None = None
    lacks: tuple[Lack, ...] = ()
    fault: str | None = None
    is_busy: bool = False


NOT_READ = Freshness()


@dataclass
class WarehouseLoads:
    """Reads what the warehouse says, once a load: each reading would keep a loader out."""

    settings: Settings
    _seen: tuple[Hashable, Loads | None] | None = field(default=None, init=False)

    def read(self) -> Loads | None:
        """Up to when each table is complete; `WarehouseError` if that cannot be read."""
        warehouse = Warehouse.of(self.settings, patience_seconds=0)
        version = warehouse.version()
        if self._seen is None or version is None or version != self._seen[0]:
            self._seen = version, loaded_through(warehouse)
        return self._seen[1]


def freshness(
    source: WarehouseLoads, slots: Iterable[SlotStatus], policy: Policy, now: datetime
) -> Freshness:
    """How fresh the warehouse is at `now`, which is local."""
    try:
        loads = source.read()
    except WarehouseError as error:
        return Freshness(fault=str(error), is_busy=isinstance(error, BusyWarehouse))
    if loads is None:
        return Freshness()
    zone = policy.time_zone
    return Freshness(
        {name: at and at.astimezone(zone) for name, at in loads.items()},
        tuple(lack for slot in slots for lack in _lacks(slot, loads, policy, now)),
    )


def _lacks(slot: SlotStatus, loads: Loads, policy: Policy, now: datetime) -> Iterable[Lack]:
    if slot.period is None or slot.state not in STILL_NEEDED:
        return
    for tables, through in needs(policy, slot.slot, slot.period, now):
        if stale := not_complete(loads, through, tables):
            yield Lack(slot.slot, stale, through.astimezone(policy.time_zone))
