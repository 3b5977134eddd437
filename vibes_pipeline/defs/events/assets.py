"""The models of sql/events, one asset each."""

from vibes_pipeline.defs.sql_assets import model_assets

models = model_assets("events")
