"""The models of sql/events, one asset each, and what of them waits for a person."""

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.severity import ASKS_FOR_A_PERSON
from vibes_pipeline.defs.slot_assets import asset_key
from vibes_pipeline.defs.sql_assets import model_assets
from vibes_pipeline.engine.weekly import counting_events
from vibes_pipeline.listing import listed, some_of

FINDINGS = "events.counterfeit_findings"


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """One asset per kind of event."""
    return model_assets(location, "events")


@dg.asset_check(
    asset=asset_key(FINDINGS),
    description=(
        "For a person: of every counterfeit the seller was notified, on a day of the years whose "
        "holidays the policy lists. Others are never charged until the warehouse, or the policy, "
        "is mended."
    ),
)
def every_counterfeit_has_an_evidence_window(
    context: dg.AssetCheckExecutionContext, vibes: Vibes
) -> dg.AssetCheckResult:
    """Asks for a person; gives the ids of the cases."""
    found = vibes.slot_run(Slot.WEEKLY_ALERT, context).engine.scan(FINDINGS)
    findings = counting_events(found)
    cases = findings.select(pl.len()).collect().item()
    without = (
        findings.filter(pl.col("evidence_closes_at").is_null())
        .sort("event_at", "case_id")
        .select("case_id")
        .collect()["case_id"]
        .to_list()
    )
    return dg.AssetCheckResult(
        passed=not without,
        severity=ASKS_FOR_A_PERSON,
        metadata={"cases": len(without), "first_cases": without[:20]},
        description=None
        if not without
        else f"{some_of(len(without), cases, 'counterfeit cases')} without an evidence window "
        f"({listed(without)}): see the week's report, and give them the notified_at that "
        "they lack.",
    )
