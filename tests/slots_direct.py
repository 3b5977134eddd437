"""Any of the five slots run directly, without Dagster, and without what a test does not look at.

The steps are the product's own, of `slots.steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.instant import Instant
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.slots.steps import ONLY_SHOWING, Work, steps_of

# The step that records what a slot does.
EFFECTS: Mapping[Slot, str] = {
    Slot.WEEKLY_ALERT: "ledger/frozen_cycle",
    Slot.WEEKLY_IMPLEMENTATION: "enforcement/implementation",
    Slot.LATE_ALERT: "late_orders/proposed_cancellations",
    Slot.LATE_CANCELLATION: "late_orders/cancellations",
}


def effects(run: SlotRun, ledger: Ledger) -> Any:
    """Take a slot's steps up to the one that records its effects; give what that did.

    Claims are not settled before it, and no mail is sent after it.
    """
    work = Work(run, run, ledger, SimulatedClock(run.now))
    _, *steps = steps_of(run.slot)
    for step in steps:
        done = step.do(work)
        if step.asset == EFFECTS[run.slot]:
            return done
    raise AssertionError(f"{run.slot} has no step {EFFECTS[run.slot]}")


@dataclass(frozen=True)
class DirectSlots:
    """A simulated ledger and the settings that name its state and the warehouse."""

    ledger: Ledger
    settings: Settings
    policy: Policy

    def run(self, slot: Slot, period: date, now: datetime) -> dict[str, object]:
        """One whole slot at its instant; gives what its steps did, raises what stopped it."""
        work = self.work(slot, period, now)
        steps = [step for step in steps_of(slot) if step.asset not in ONLY_SHOWING]
        return {step.asset: step.do(work) for step in steps}

    def work(self, slot: Slot, period: date, now: datetime) -> Work:
        """What the slot's steps share; refused as the slot itself would be."""
        clock = SimulatedClock(now)
        instant = Instant.take(self.settings, self.policy, self.ledger, clock)
        return Work.begin(instant, slot, period)
