"""The models of sql/metrics, one asset each."""

from vibes_pipeline.defs.sql_assets import model_assets

models = model_assets("metrics")
