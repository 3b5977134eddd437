"""Finance's postings of each implementation."""

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.sql_assets import frame_metadata, kept_in
from vibes_pipeline.exports import tables


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """Finance's table."""
    return [_charges(location)]


def _charges(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["finance", "charges"],
        deps=[["enforcement", "implementation"]],
        kinds={"postgres"},
        partitions_def=location.weekly,
        metadata=kept_in("finance.charges"),
        description=(
            "What finance books, one row per posting: a debit when a charge is implemented, an "
            "equal credit when it is reversed. `vibes export charges` writes all of them as CSV, "
            "Parquet or XLSX."
        ),
    )
    def charges(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """The postings of the cycle's actions so far."""
        run = vibes.slot_run(Slot.WEEKLY_IMPLEMENTATION, context)
        source = tables.Source(vibes.ledger, vibes.settings.lake, run.policy.time_zone, run.period)
        charges = tables.read_table("charges", source)
        return dg.MaterializeResult(metadata=frame_metadata(run.policy, charges))

    return charges
