"""The one instant of a slot, and what all its steps share at it (Rulebook §2).

Here belongs how a slot is begun: by a run of Dagster, by the runner without Dagster, by the sensor
that looks for claims. `order` says whether the slot may be begun; `run` is the slot once begun.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Self

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import Clock
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.order import period_to_begin
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.warehouse.source import Warehouse


@dataclass(frozen=True)
class Instant:
    """Settings, policy, ledger and warehouse as of `now`, which is taken once.

    The clock moves on during a live run: deliveries bear the moment of the server's reply.
    """

    settings: Settings = field(repr=False)
    policy: Policy
    ledger: Ledger
    clock: Clock
    now: datetime
    warehouse: Warehouse

    @classmethod
    def take(
        cls,
        settings: Settings,
        policy: Policy,
        ledger: Ledger,
        clock: Clock,
        warehouse: Warehouse | None = None,
    ) -> Self:
        """The clock's present instant; the warehouse is read by the first step that needs it."""
        return cls(
            settings, policy, ledger, clock, clock.now(), warehouse or Warehouse.of(settings)
        )

    def period_to_begin(self, slot: Slot, period: date | None = None) -> date:
        """The period for which the slot may be begun now; raises the refusals of `order`."""
        return period_to_begin(
            self.ledger,
            self.policy,
            slot,
            period,
            now=self.now,
            is_simulated=self.clock.is_simulated,
        )

    def require_may_deliver(self) -> None:
        """`LedgerError` when no mail may go out now: by the ledger's mode, or by its time."""
        self.ledger.require_mode(is_simulated=self.clock.is_simulated)
        self.ledger.require_not_before(self.now.astimezone(self.policy.time_zone))

    def run(self, slot: Slot, period: date) -> SlotRun:
        """The slot of a period; all runs of an instant see the same state of the warehouse."""
        return SlotRun.begin(
            slot,
            period,
            self.policy,
            self.settings,
            now=self.now,
            is_simulated=self.clock.is_simulated,
            warehouse=self.warehouse,
        )

    def claims_run(self) -> SlotRun:
        """The claims slot, with which every other slot begins."""
        return self.run(Slot.CLAIMS, self.policy.local_date(self.now))
