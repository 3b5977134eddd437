"""A seller's regulations of a decided cycle, calculated again without the excused events (§11).

They are calculated as of their alert: from the partitions that the cycle was decided on, under the
policy it was decided under, with the same SQL. Only the models that depend on excused events are
run again, over the order items of this seller alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.engine.models import Model, closure
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.ledger.claims import policy_content
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.loader import parse_former_policy
from vibes_pipeline.slots.run import SlotRun

EXCUSED = "warehouse.excused_events"
ITEMS = "warehouse.order_items"
REGULATIONS = {
    "order_regulation": "decisions.order_regulations",
    "sales_regulation": "decisions.sales_regulations",
}


@dataclass(frozen=True)
class DecidedCycle:
    """A cycle to calculate from; `run` is its weekly alert, with the instant and policy it had."""

    run: SlotRun

    def regulations(self, rule: str, seller_id: str, excuses: pl.DataFrame) -> pl.DataFrame:
        """The seller's decisions of a rule, as its SQL makes them with these excuses."""
        relation = REGULATIONS[rule]
        self.run.require_decided(ITEMS)
        engine = ScratchEngine.over(self.run.engine)
        items = engine.scan(ITEMS).filter(pl.col("seller_id") == seller_id).collect()
        # Cycles decided by an earlier version kept customers' ids, which are counted alike.
        engine.write(ITEMS, items.rename({"customer_id": "customer_hash"}, strict=False))
        engine.write("ledger.excuses", excuses)
        for model in _resting_on_excuses(relation):
            engine.materialize(model, self.run.parameters())
        return engine.read(relation).filter(pl.col("seller_id") == seller_id)


def policy_decided_under(connection: sa.Connection, present: Policy, version: str) -> Policy:
    """The policy of a version that the ledger keeps; the present one if it is that."""
    if version == present.version:
        return present
    return parse_former_policy(present.source, policy_content(connection, version), present.text)


def _resting_on_excuses(target: str) -> list[Model]:
    """The target's models that depend on the excused events, each after those it reads."""
    reached = {EXCUSED}
    models = []
    for model in closure([target]):
        if model.relation in reached or reached & set(model.upstream):
            reached.add(model.relation)
            models.append(model)
    return models
