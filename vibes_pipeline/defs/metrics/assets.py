"""The models of sql/metrics, one asset each."""

import dagster as dg

from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.sql_assets import model_assets


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """One asset per metric."""
    return model_assets(location, "metrics")
