"""Up to when the warehouse must be complete for a slot: one list, for the gates and for `status`.

How far it is complete, the warehouse says itself (`warehouse.freshness`, Rulebook §13).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from vibes_pipeline.calendar import ObservedWeek, Slot
from vibes_pipeline.policy import Policy
from vibes_pipeline.warehouse.contract import RAW_TABLES
from vibes_pipeline.warehouse.freshness import require_complete

if TYPE_CHECKING:
    from vibes_pipeline.slots.run import SlotRun

EVERY_TABLE = tuple(RAW_TABLES)
ORDER_ITEMS = ("order_items",)


class Need(NamedTuple):
    """Tables that must be complete through an instant."""

    tables: Sequence[str]
    through: datetime


def needs(policy: Policy, slot: Slot, period: date, now: datetime) -> list[Need]:
    """What a timed slot of a period needs when it is run at `now`."""
    staleness = policy.warehouse
    if not slot.is_weekly:
        minutes = staleness.max_staleness_minutes.on(period)
        return [Need(ORDER_ITEMS, now - timedelta(minutes=minutes))]
    week = Need(EVERY_TABLE, ObservedWeek(period, policy.time_zone).end)
    if slot is Slot.WEEKLY_ALERT:
        return [week]
    hours = staleness.evidence_staleness_hours.on(period)
    return [week, Need(ORDER_ITEMS, now - timedelta(hours=hours))]


def require_fresh(run: SlotRun) -> bool:
    """Stop before anything is done unless the warehouse is as fresh as the slot needs it.

    False when the warehouse does not say how far it is complete.
    """
    return all(
        require_complete(run.engine.warehouse, through, run.policy.time_zone, tables)
        for tables, through in needs(run.policy, run.slot, run.period, run.now)
    )
