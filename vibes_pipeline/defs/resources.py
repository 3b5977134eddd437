"""What comes from outside: settings, policy, ledger, and of a run its one instant.

`Vibes` is for the assets and checks of a run, `Country` for sensors and schedules.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime

import dagster as dg
from pydantic import PrivateAttr

from vibes_pipeline.calendar import Slot, parse_local
from vibes_pipeline.clock import Clock, SimulatedClock, WallClock
from vibes_pipeline.defs.slot_assets import AS_OF_TAG, PERIOD_TAG, SLOT_TAG, Wanted, wanted_of
from vibes_pipeline.ledger.ledger import Ledger, shared_ledger
from vibes_pipeline.ledger.run_locks import running
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.instant import Instant
from vibes_pipeline.slots.run import SlotRun

Partitioned = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


@dataclass(frozen=True)
class Country:
    """What sensors and schedules go by: the policy they were loaded with, the present settings.

    A policy that can no longer be read stops no tick: the run that it requests says what is wrong.
    """

    policy: Policy

    @property
    def settings(self) -> Settings:
        """Of the environment at this look."""
        return Settings.from_environment()

    @property
    def ledger(self) -> Ledger:
        """The country's ledger; one pool of connections per process."""
        return shared_ledger(self.settings, self.policy.country)


class Vibes(dg.ConfigurableResource[None]):
    """One run's settings, policy, ledger and state of the warehouse, at its one instant.

    `at` makes the run, and its ledger, simulated.
    """

    at: str | None = None
    _instant: Instant = PrivateAttr()
    _run: SlotRun | None = PrivateAttr(default=None)
    _while_running: ExitStack = PrivateAttr(default_factory=ExitStack)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Fix the run's settings, policy and one instant before anything else (Rulebook §2)."""
        settings = Settings.from_environment()
        policy = load_policy(settings.country, settings.policy)
        clock = (
            WallClock()
            if self.at is None
            else SimulatedClock(parse_local(self.at, policy.time_zone))
        )
        ledger = shared_ledger(settings, policy.country)
        self._instant = Instant.take(settings, policy, ledger, clock)
        if context.run is not None:
            wanted = wanted_of(context.run)
            self._require_may_begin(wanted)
            if context.instance is not None:
                context.instance.add_run_tags(context.run.run_id, self._tags(wanted))
            self._while_running.enter_context(running(ledger, context.run.run_id))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Let go of what was held for as long as the run went on."""
        self._while_running.close()

    @property
    def settings(self) -> Settings:
        """Of the environment as the run began."""
        return self._instant.settings

    @property
    def policy(self) -> Policy:
        """Of the settings' country or file, as the run began."""
        return self._instant.policy

    @property
    def now(self) -> datetime:
        """The run's one instant."""
        return self._instant.now

    @property
    def ledger(self) -> Ledger:
        """The country's ledger; one pool of connections per process."""
        return self._instant.ledger

    @property
    def clock(self) -> Clock:
        """Moves on during a live run: deliveries bear the moment of the server's reply."""
        return self._instant.clock

    def claims_run(self) -> SlotRun:
        """The claims slot, which every other one begins with, at the run's instant."""
        return self._instant.claims_run()

    def slot_run(self, slot: Slot, context: Partitioned) -> SlotRun:
        """The run's slot for the cycle, or the day, that its partition names."""
        if self._run is None:
            self._run = self._instant.run(slot, date.fromisoformat(context.partition_key))
        return self._run

    def _require_may_begin(self, wanted: Wanted | None) -> None:
        """Refuse the run before its first step: it may have been started in the UI (§2)."""
        if wanted is None:
            self._instant.require_may_deliver()
        else:
            self._instant.period_to_begin(wanted.slot, wanted.period)

    def _tags(self, wanted: Wanted | None) -> dict[str, str]:
        """What the UI shows and finds the run by, however it was started."""
        now = self.now.astimezone(self.policy.time_zone)
        tags = {AS_OF_TAG: f"{now:%Y-%m-%d %H:%M:%S}"}
        if wanted is not None:
            tags[SLOT_TAG] = wanted.slot.value
            tags[PERIOD_TAG] = str(wanted.period or now.date())
        return tags
