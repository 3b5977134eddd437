"""Evidence looked up again: what its outcomes mean for the slot that looked (Rulebook §2, §9).

Here belongs what the weekly implementation and the late cancellation share. SQL decides what has
become of each action's evidence; the ledger does and records what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import polars as pl

from vibes_pipeline.errors import TooMuchMissingEvidence
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.slots.run import SlotRun

MISSING = "missing"


def by_outcome(looked_up: pl.DataFrame) -> Mapping[str, list[UUID]]:
    """The looked-up actions (columns `action_id`, `outcome`), grouped by outcome."""
    actions: dict[str, list[UUID]] = {}
    for action_id, outcome in looked_up.select("action_id", "outcome").iter_rows():
        actions.setdefault(outcome, []).append(UUID(action_id))
    return actions


def missing(looked_up: pl.DataFrame) -> pl.Series:
    """The ids of the looked-up actions whose evidence was not found, sorted."""
    return looked_up.filter(pl.col("outcome") == MISSING)["action_id"].sort()


def require_evidence(run: SlotRun, ledger: Ledger, looked_up: pl.DataFrame) -> None:
    """`TooMuchMissingEvidence` when so much is missing that the load must have failed (§2).

    A slot whose effects are recorded is not asked again: the actions it implemented are no longer
    open, so the share of the missing ones would be too high.
    """
    if ledger.is_effected(run.slot, run.period):
        return
    lost, rules = len(missing(looked_up)), run.policy.warehouse
    limit = rules.bad_row_limit_pct.on(run.period)
    is_mass = lost >= rules.missing_evidence_minimum.on(run.period)
    if is_mass and 100 * lost > limit * looked_up.height:
        raise TooMuchMissingEvidence(
            f"the evidence of {lost} of the {looked_up.height} actions looked up is missing from "
            f"the warehouse or set aside, more than {short(limit)}%: load order_items "
            "again, with sellers, products, dropoff_qc and counterfeit_cases, and the slot is "
            "tried again; where the rows are really gone, raise "
            "warehouse.missing_evidence_minimum in a policy of your own"
        )
