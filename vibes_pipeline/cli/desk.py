"""What the commands on claims and on reviews share: the instant, the question, the slot after it.

Here belongs how a decision gets from the terminal into the ledger. What is shown of a claim or a
seller is `answers`'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import click

from vibes_pipeline.calendar import Slot, parse_local
from vibes_pipeline.cli.common import say, settings_and_policy_for_slots
from vibes_pipeline.cli.run import run_shown
from vibes_pipeline.clock import Clock, SimulatedClock, WallClock
from vibes_pipeline.errors import VibesError

if TYPE_CHECKING:
    from vibes_pipeline.answers.moment import Moment
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.ledger.recorded import Decision
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.settings import Settings
    from vibes_pipeline.slots.run import SlotRun

Command = Callable[..., Any]


def deciding(command: Command) -> Command:
    """The options of a command that records a decision."""
    options = (
        click.option("--by", "decided_by", required=True, metavar="NAME", help="Who decided."),
        click.option("--note", metavar="TEXT", help="Why, on one line."),
        click.option("--yes", is_flag=True, help="Do not ask before it is recorded."),
        click.option(
            "--at",
            metavar="LOCAL",
            help="Of a simulated ledger: the local time of the decision, such as 2026-11-24T10:00.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class Desk:
    """Settings, policy and ledger as of an instant, at which nothing is begun yet."""

    settings: Settings
    policy: Policy
    ledger: Ledger
    clock: Clock

    @classmethod
    def open(cls) -> Self:
        """Over the ledger that is there, as of now, or of a simulated ledger's newest event."""
        from vibes_pipeline.answers.instant import latest_instant
        from vibes_pipeline.ledger.ledger import Ledger

        settings, policy = settings_and_policy_for_slots()
        ledger = Ledger.open_existing(settings, policy.country)
        return cls(settings, policy, ledger, SimulatedClock(latest_instant(ledger, policy)))

    @classmethod
    def open_at(cls, at: str | None) -> Self:
        """To decide: as of the wall clock, or of a simulated ledger's time that is given."""
        from vibes_pipeline.ledger.ledger import Ledger

        settings, policy = settings_and_policy_for_slots()
        clock = SimulatedClock(parse_local(at, policy.time_zone)) if at else WallClock()
        return cls(settings, policy, Ledger.open_existing(settings, policy.country), clock)

    @cached_property
    def run(self) -> SlotRun:
        """The claims slot as it would be at the instant, over one state of the warehouse."""
        from vibes_pipeline.slots.instant import Instant

        return Instant.take(self.settings, self.policy, self.ledger, self.clock).claims_run()

    @property
    def moment(self) -> Moment:
        """The instant as answers know it."""
        from vibes_pipeline.answers.moment import Moment

        return Moment.of(self.ledger, self.settings, self.policy, self.clock.now())

    def require_possible(self, decision: Decision) -> None:
        """Refuse before anything is shown or asked."""
        from vibes_pipeline.slots.claims import deciding

        deciding.require_possible(self.ledger, self.policy, decision, self.clock)

    def record(self, decision: Decision, *, is_sure: bool, log_level: str) -> None:
        """Ask, unless the person is sure; record the decision; run the claims slot."""
        from vibes_pipeline.ledger.recorded import may_run_slots
        from vibes_pipeline.slots.claims import deciding

        if not is_sure:
            click.confirm(f"Record {decision.decision!r}?", abort=True)
        decided_at = deciding.record(self.ledger, self.policy, decision, self.clock)
        local = decided_at.astimezone(self.policy.time_zone)
        say(f"{decision.decision} recorded at {local:%Y-%m-%d %H:%M:%S}")
        if not may_run_slots(self.ledger):
            say("this database user runs no slots: the claims slot of the services applies it")
            return
        try:
            self._apply(log_level)
        except VibesError as error:
            raise type(error)(
                f"the decision is recorded, and the next claims slot applies it; this one failed: "
                f"{error}"
            ) from error

    def _apply(self, log_level: str) -> None:
        at = self.clock.now() if self.clock.is_simulated else None
        run_shown(
            Slot.CLAIMS,
            self.policy.local_date(self.clock.now()),
            self.settings,
            self.policy,
            at=at,
            log_level=log_level,
        )
