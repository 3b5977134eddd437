"""What must hold of a proposal before it is frozen; each check shows the actions at fault."""

import dagster as dg
import polars as pl

from vibes_pipeline import audits, weekly
from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.evidence import listed
from vibes_pipeline.defs.resources import Vibes


def _blocking(audit: audits.Audit) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=audit.__name__,
        asset=["decisions", "proposal"],
        blocking=True,
        description=f"{audit.__doc__} Blocks: until it holds nothing is frozen.",
    )
    def check(context: dg.AssetCheckExecutionContext, vibes: Vibes) -> dg.AssetCheckResult:
        run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
        at_fault: pl.DataFrame = audit(weekly.read_proposal(run), run)
        first = at_fault["reference"].head(20).to_list()
        return dg.AssetCheckResult(
            passed=at_fault.is_empty(),
            description=None
            if at_fault.is_empty()
            else f"{at_fault.height} proposed actions fail the audit {audit.__name__} "
            f"({listed(first, at_fault.height)}); nothing is "
            "frozen until the warehouse, the policy or the rule is mended",
            metadata={
                "actions_at_fault": at_fault.height,
                "first_references": first,
            },
        )

    return check


checks = [_blocking(audit) for audit in audits.AUDITS]
