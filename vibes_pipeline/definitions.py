"""Dagster's entry: everything in `defs/`, for the country of `VIBES_COUNTRY`."""

import dagster as dg

from vibes_pipeline import defs
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.schedules import SCHEDULES

definitions = dg.Definitions(
    assets=dg.load_assets_from_package_module(defs, include_specs=True),
    asset_checks=dg.load_asset_checks_from_package_module(defs),
    jobs=list(JOBS.values()),
    schedules=SCHEDULES,
    resources={"vibes": Vibes()},
)
