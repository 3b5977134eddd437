"""The jobs over a marketplace and a real ledger, run in this process as the daemon would run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import dagster as dg
from cli import troubles
from ledger import made
from rules.marketplace import Marketplace
from slots_direct import DirectSlots

from vibes_pipeline.calendar import Slot, parse_local
from vibes_pipeline.dagster_host import in_process
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.settings import Settings


@dataclass
class Factory:
    """A marketplace, a ledger, and the jobs over them with their event log."""

    ledger: Ledger
    folder: Path
    instance: dg.DagsterInstance
    market: Marketplace = field(default_factory=troubles.market)

    def run(self, slot: Slot, at: str, period: date = made.CYCLE) -> None:
        self.market.write(self.folder / "raw")
        instant = parse_local(at, self.market.policy.time_zone)
        in_process.run_slot(slot, period, self.instance, at=instant)

    def alert(self, at: str = troubles.ALERT_AT) -> None:
        self.run(Slot.WEEKLY_ALERT, at)

    def implement(self, at: str = troubles.IMPLEMENTATION_AT) -> None:
        self.run(Slot.WEEKLY_IMPLEMENTATION, at)

    def past(self, slot: Slot, at: str, period: date = made.CYCLE) -> None:
        """A slot whose run is not looked at: the same steps, and no run in Dagster.

        It takes a fifth of the time of its job.
        """
        self.market.write(self.folder / "raw")
        instant = parse_local(at, self.market.policy.time_zone)
        settings = Settings.from_environment()
        DirectSlots(self.ledger, settings, self.market.policy).run(slot, period, instant)

    def past_alert(self, at: str = troubles.ALERT_AT) -> None:
        self.past(Slot.WEEKLY_ALERT, at)

    def past_implementation(self, at: str = troubles.IMPLEMENTATION_AT) -> None:
        self.past(Slot.WEEKLY_IMPLEMENTATION, at)

    def log(self) -> list[dg.EventLogEntry]:
        """The newest run's events."""
        return list(self.instance.all_logs(self.instance.get_runs(limit=1)[0].run_id))

    def evaluations(self) -> dict[str, dg.AssetCheckEvaluation]:
        """The newest run's checks by name."""
        events = [entry.dagster_event for entry in self.log() if entry.dagster_event]
        found = [
            event.asset_check_evaluation_data
            for event in events
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        return {evaluation.check_name: evaluation for evaluation in found}

    def materialized(self) -> set[str]:
        """The assets that the newest run made."""
        events = [entry.dagster_event for entry in self.log() if entry.dagster_event]
        return {
            event.asset_key.to_user_string()
            for event in events
            if event.is_step_materialization and event.asset_key
        }

    def events_in_ledger(self) -> list[str]:
        return [state for (state,) in made.rows(self.ledger, schema.action_events.c.state)]
