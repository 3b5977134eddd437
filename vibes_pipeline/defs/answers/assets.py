"""Where sellers stand: what operations and sellers' managers ask before the week is over."""

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.sql_assets import frame_metadata, kept_in, read_by, written
from vibes_pipeline.engine.models import load_models
from vibes_pipeline.slots import standings as slot_standings


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The morning's standings."""
    return [_standings(location)]


def _standings(location: CodeLocation) -> dg.AssetsDefinition:
    model = load_models()[slot_standings.STANDINGS]

    @dg.asset(
        key=["answers", "standings"],
        deps=[["notices", "late_alerts"], *sorted(read_by([slot_standings.STANDINGS]))],
        kinds={"duckdb", "parquet", "postgres"},
        partitions_def=location.daily,
        metadata=kept_in("finance.standings"),
        description=(
            "What each seller's week would bring if it ended this morning: the record so far, the "
            "band and its limits, and how many more shipped or cancelled items another band is "
            "away. Made after the morning's mails, so it keeps none back. `vibes standing` says "
            "the same of one seller at any instant, with the charges, products and due items "
            "(Rulebook §15)."
        ),
    )
    def standings(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """Run the models over the part of the week, and leave their rows where others look."""
        run = vibes.slot_run(Slot.LATE_ALERT, context)
        rows = slot_standings.refresh(run, vibes.ledger)
        nearly = rows.filter(pl.col("shipments_to_lighter_band") == 1).height
        return dg.MaterializeResult(
            metadata={
                **frame_metadata(run.policy, rows, model),
                **written(run, slot_standings.STANDINGS),
                "would_be_limited": rows.filter(pl.col("daily_order_limit").is_not_null()).height,
                "one_shipment_from_a_lighter_band": nearly,
            }
        )

    return standings
