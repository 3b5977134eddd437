"""Standings: what each seller's week would bring if it ended now (Rulebook §15).

Here belongs how the models of `sql/answers` are run over a part of a week, and that the late alert
leaves their rows where others look. What one seller is told of it is `answers.standing`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

import polars as pl

from vibes_pipeline.calendar import Slot, in_utc, monday_of
from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.engine.scratch import ASKED, ScratchEngine
from vibes_pipeline.engine.weekly import resting_on
from vibes_pipeline.ledger import history, states_at
from vibes_pipeline.ledger.as_of import Subject
from vibes_pipeline.ledger.late_orders import late_cancellations
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.standings import record_standings
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.late_orders import ACTIONS, OVERDUE
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.slots.weekly import EVENTS, EVERY, PRODUCT_METRICS, ids_at_hand
from vibes_pipeline.warehouse.source import Warehouse

STANDINGS = "answers.standings"
CHARGES = "answers.standing_charges"
DUE_ITEMS = "answers.due_items"
PRODUCTS = "answers.standing_products"
RELATIONS = (STANDINGS, CHARGES, DUE_ITEMS, PRODUCTS)
PAST = frozenset((*(f"ledger.{name}" for name in history.PAST), ACTIONS))
# The records of all sellers look at no item that did nothing since the week began.
OF_WEEK = {"warehouse.stored_items": "warehouse.week_items"}


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

    def standings(
        self, ledger: Ledger, relations: Collection[str] = RELATIONS, seller: str | None = None
    ) -> Mapping[str, pl.DataFrame]:
        """The rows of all sellers, by relation; nothing is kept.

        Only the items of one seller are read, if one is named: then the other sellers' rows lack
        what befell them. The ledger is read as it stood at the instant.
        """
        is_of_week = seller is None and set(relations) == {STANDINGS}
        stand_ins = ASKED if seller is not None else OF_WEEK if is_of_week else {}
        engine = ScratchEngine.over(self.run.engine, stand_ins)
        at = states_at.instant_of(ledger, self.run.now)
        taken = history.take(ledger, at=at)
        for name, frame in taken.frames.items():
            engine.write(f"ledger.{name}", frame)
        parameters = self._parameters(taken, seller)
        if is_of_week:
            horizon = {"since": parameters["horizon"], "horizon": self._window_start}
            parameters = {**parameters, **horizon}
        models = (*closure(stand_ins.values()), *closure(relations, made=stand_ins))
        later = resting_on(PAST, models)
        for model in models:
            if model.relation not in later and not model.is_ephemeral:
                engine.materialize(model, parameters)
        made = {model.relation for model in models}
        for relation, frame in self._past(engine, ledger, at, made).items():
            engine.write(relation, frame)
        for model in models:
            if model.relation in later and not model.is_ephemeral:
                engine.materialize(model, parameters)
        return {relation: engine.read(relation) for relation in relations}

    def _parameters(self, taken: history.History, seller: str | None) -> Parameters:
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
            **vars(Subject(seller=seller)),
            "of_charges": False,
        }

    @property
    def _window_start(self) -> datetime:
        """Since when items count for the record (Rulebook §4)."""
        monday = self.run.period
        weeks = self.run.policy.order_regulation.window_weeks.on(monday)
        return self.run.day_start(monday + timedelta(weeks=1 - weeks))

    def _past(
        self, engine: ScratchEngine, ledger: Ledger, at: datetime | None, made: Collection[str]
    ) -> Mapping[str, pl.DataFrame]:
        """What the ledger holds about this week's events, and about products and items at hand."""

        def ids(column: str, relations: Iterable[str], where: pl.Expr = EVERY) -> list[str]:
            return ids_at_hand(engine, column, [name for name in relations if name in made], where)

        is_of_week = pl.col("event_at") >= in_utc(self.run.week.start)
        keys = history.Keys(
            items=ids("order_item_id", EVENTS, is_of_week), products=ids("sku", PRODUCT_METRICS)
        )
        past = history.past(ledger, keys, at=at, standing=history.stands)
        return {
            **{f"ledger.{name}": frame for name, frame in past.items()},
            ACTIONS: late_cancellations(ledger, ids("order_item_id", [OVERDUE]), at=at),
        }


def refresh(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    """All sellers' records at a slot's instant, left where others look.

    The slot's partition keeps them; `finance.standings` shows the newest. What else a standing says
    is looked up when somebody asks: it would take a look at all that the week's rules look back to.
    """
    part = PartWeek.before(run.now, run.policy, run.settings, warehouse=run.engine.warehouse)
    records = part.standings(ledger, [STANDINGS])[STANDINGS]
    run.engine.write(STANDINGS, records)
    record_standings(ledger, records, run.now)
    return records
