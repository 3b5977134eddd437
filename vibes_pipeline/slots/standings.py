"""Standings: what each seller's week would bring if it ended now (Rulebook §15).

Here belongs how the models of `sql/answers` are run over a part of a week, and that the late alert
leaves their rows where others look. What one seller is told of it is `answers.standing`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from vibes_pipeline.calendar import Slot, in_utc, monday_of
from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.engine.weekly import resting_on
from vibes_pipeline.ledger import history, states_at
from vibes_pipeline.ledger.late_orders import late_cancellations
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.standings import record_standings
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.late_orders import ACTIONS, OVERDUE
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.slots.weekly import EVENTS, PRODUCT_METRICS, ids_at_hand
from vibes_pipeline.warehouse.source import Warehouse

STANDINGS = "answers.standings"
CHARGES = "answers.standing_charges"
DUE_ITEMS = "answers.due_items"
PRODUCTS = "answers.standing_products"
RELATIONS = (STANDINGS, CHARGES, DUE_ITEMS, PRODUCTS)
PAST = frozenset((*(f"ledger.{name}" for name in history.PAST), ACTIONS))


@dataclass(frozen=True)
class PartWeek:
    """The part of the observed week before an instant; `run` decides it as its alert would."""

    run: SlotRun

    @classmethod
    def before(
        cls,
        now: datetime,
        policy: Policy,
        settings: Settings,
        *,
        warehouse: Warehouse | None = None,
    ) -> Self:
        """The part of the week of `now` that lies before it."""
        run = SlotRun.begin(
            Slot.WEEKLY_ALERT,
            monday_of(policy.local_date(now)),
            policy,
            settings,
            now=now,
            # Nothing is begun, so no ledger is asked which of the two it is.
            is_simulated=False,
            warehouse=warehouse,
        )
        return cls(run)

    def standings(self, ledger: Ledger) -> Mapping[str, pl.DataFrame]:
        """The rows of all sellers, by relation (`RELATIONS`); nothing is kept.

        The ledger is read as it stood at the instant.
        """
        engine = ScratchEngine.over(self.run.engine)
        at = states_at.instant_of(ledger, self.run.now)
        taken = history.take(ledger, at=at)
        for name, frame in taken.frames.items():
            engine.write(f"ledger.{name}", frame)
        parameters = self._parameters(taken)
        models = closure(RELATIONS)
        later = resting_on(PAST, models)
        for model in models:
            if model.relation not in later and not model.is_ephemeral:
                engine.materialize(model, parameters)
        for relation, frame in self._past(engine, ledger, at).items():
            engine.write(relation, frame)
        for model in models:
            if model.relation in later and not model.is_ephemeral:
                engine.materialize(model, parameters)
        return {relation: engine.read(relation) for relation in RELATIONS}

    def _parameters(self, taken: history.History) -> Parameters:
        run = self.run
        day = run.policy.local_date(run.now)
        hours = run.policy.standing.due_within_hours.on(day)
        return {
            **run.parameters(first_cycle=taken.first_cycle),
            "week_end": run.now,
            "day": day,
            "cancels_at": run.now + timedelta(hours=hours),
            # No item is too old to be shown.
            "first_late_day": run.policy.calendar.first_day,
        }

    def _past(
        self, engine: ScratchEngine, ledger: Ledger, at: datetime | None
    ) -> Mapping[str, pl.DataFrame]:
        """What the ledger holds about this week's events, and about products and items at hand."""
        events = [engine.scan(relation) for relation in EVENTS]
        monday = in_utc(self.run.week.start)
        this_week = [e.filter(pl.col("event_at") >= monday) for e in events]
        items = pl.concat(e.select("order_item_id") for e in this_week).unique().collect()
        keys = history.Keys(
            items=items["order_item_id"].to_list(),
            products=ids_at_hand(engine, "sku", PRODUCT_METRICS),
        )
        past = history.past(ledger, keys, at=at, standing=history.stands)
        open_items = ids_at_hand(engine, "order_item_id", [OVERDUE])
        return {
            **{f"ledger.{name}": frame for name, frame in past.items()},
            ACTIONS: late_cancellations(ledger, open_items, at=at),
        }


def refresh(run: SlotRun, ledger: Ledger) -> Mapping[str, pl.DataFrame]:
    """All sellers' standings at a slot's instant, left where others look.

    The slot's partitions keep them, by relation; `finance.standings` shows the newest.
    """
    part = PartWeek.before(run.now, run.policy, run.settings, warehouse=run.engine.warehouse)
    found = part.standings(ledger)
    for relation, rows in found.items():
        run.engine.write(relation, rows)
    record_standings(ledger, found[STANDINGS], run.now)
    return found
