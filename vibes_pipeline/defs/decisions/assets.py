"""The models of sql/decisions, one asset a rule, and the proposal that gathers them."""

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import asset_key
from vibes_pipeline.defs.sql_assets import frame_metadata, model_assets, written
from vibes_pipeline.engine.weekly import decision
from vibes_pipeline.rules import WEEKLY_RULES
from vibes_pipeline.slots import weekly


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """One asset per rule, and the proposal of all."""
    return [*model_assets(location, "decisions"), _proposal(location)]


def _proposal(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["decisions", "proposal"],
        deps=[asset_key(decision(rule).relation) for rule in WEEKLY_RULES],
        kinds={"polars", "parquet"},
        partitions_def=location.weekly,
        description=(
            "Every action that the cycle's decisions make, of all rules, with its id and "
            "reference: what is frozen once the checks have passed (Rulebook §2, §12)."
        ),
    )
    def proposal(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """The decisions of all rules as actions."""
        run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
        frame = weekly.write_proposal(run, vibes.ledger)
        by_rule = frame.group_by("rule").agg(pl.len(), pl.col("amount").sum()).sort("rule")
        return dg.MaterializeResult(
            metadata={
                **frame_metadata(run.policy, frame.drop("evidence")),
                **written(run, weekly.PROPOSAL),
                "actions_by_rule": {rule: count for rule, count, _ in by_rule.iter_rows()},
            }
        )

    return proposal
