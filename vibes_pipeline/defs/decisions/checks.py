"""What must hold of a proposal before it is frozen; each check shows the actions at fault."""

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.listing import named
from vibes_pipeline.slots import audits, weekly


def _blocking(audit: audits.Audit) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=audit.__name__,
        asset=["decisions", "proposal"],
        blocking=True,
        description=(
            f"{audit.__doc__} Blocks: until it holds nothing is frozen. A failure names the item, "
            "order, SKU and seller that each action comes from."
        ),
    )
    def check(context: dg.AssetCheckExecutionContext, vibes: Vibes) -> dg.AssetCheckResult:
        run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
        at_fault: pl.DataFrame = audit(weekly.read_proposal(run), run)
        actions = [named(action) for action in at_fault.head(20).iter_rows(named=True)]
        return dg.AssetCheckResult(
            passed=at_fault.is_empty(),
            description=None if at_fault.is_empty() else audits.in_words(audit, at_fault),
            metadata={"actions_at_fault": at_fault.height, "first_actions": actions},
        )

    return check


checks = [_blocking(audit) for audit in audits.AUDITS]
