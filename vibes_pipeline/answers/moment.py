"""The instant that an answer is given for, and the engine that answers as of it (Rulebook §14).

Here belongs what all answers share: the ledger and the warehouse as they stood at the instant, and
the cycle that is decided next. What is asked of them is in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.engine.scratch import ASKED, ScratchEngine
from vibes_pipeline.ledger.as_of import LedgerThen, Subject, cycles_by
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.run import SlotRun


@dataclass(frozen=True)
class Moment:
    """Ledger and warehouse as of `at`, under the policy at hand.

    `first_cycle` is the ledger's first; `next_cycle` the first that is not frozen by then. Of a
    ledger without cycles both are the one whose alert was due last.
    """

    ledger: Ledger = field(repr=False)
    settings: Settings = field(repr=False)
    policy: Policy = field(repr=False)
    at: datetime
    first_cycle: date
    next_cycle: date

    @classmethod
    def of(cls, ledger: Ledger, settings: Settings, policy: Policy, at: datetime) -> Moment:
        """The given instant."""
        at = at.astimezone(policy.time_zone)
        cycles = cycles_by(ledger, at)
        first = cycles.first or policy.slot_calendar.period_of(Slot.WEEKLY_ALERT, at)
        following = cycles.newest and cycles.newest + timedelta(weeks=1)
        return cls(ledger, settings, policy, at, first, following or first)

    def alert_of(self, cycle: date) -> datetime:
        """When the alert of a cycle is due."""
        return self.policy.slot_calendar.due_at(Slot.WEEKLY_ALERT, cycle)

    def run(self, cycle: date) -> SlotRun:
        """The alert of a cycle as it would decide at this instant."""
        return SlotRun.begin(
            Slot.WEEKLY_ALERT,
            cycle,
            self.policy,
            self.settings,
            now=self.at,
            is_simulated=True,
        )

    def answer(self, relation: str, asked: Subject, *, cycle: date | None = None) -> pl.DataFrame:
        """The rows of an answer, as the next cycle's alert, or a given cycle's, would see it."""
        run = self.run(cycle or self.next_cycle)
        engine = ScratchEngine.over(run.engine, ASKED)
        models = (*closure(ASKED.values()), *closure([relation], made=ASKED))
        needed = {r for model in models for r in model.depends_on if r.startswith("ledger.")}
        then = LedgerThen(self.ledger.country, self.at, asked)
        names = {relation.removeprefix("ledger.") for relation in needed}
        write_ledger(engine, then.read(self.ledger, names, run.period))
        parameters = {
            **run.parameters(first_cycle=self.first_cycle),
            **vars(asked),
            "of_charges": False,
        }
        for model in models:
            engine.materialize(model, parameters)
        return engine.read(relation)


def write_ledger(engine: Engine, relations: Mapping[str, pl.DataFrame]) -> None:
    """Put what an answer needs of the ledger where models read it."""
    for name, rows in relations.items():
        engine.write(f"ledger.{name}", rows)
