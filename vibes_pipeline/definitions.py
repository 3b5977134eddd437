"""Dagster's entry: everything in `defs/`, for the country of `VIBES_COUNTRY`."""

import dagster as dg

from vibes_pipeline import defs
from vibes_pipeline.defs.jobs import JOBS, notice_delivery
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.schedules import SCHEDULES
from vibes_pipeline.defs.sensors import SENSORS
from vibes_pipeline.files import keep_to_owner

# Dagster may have been started in another way than by `vibes up`.
keep_to_owner()

definitions = dg.Definitions(
    assets=dg.load_assets_from_package_module(defs, include_specs=True),
    asset_checks=dg.load_asset_checks_from_package_module(defs),
    jobs=[*JOBS.values(), notice_delivery],
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources={"vibes": Vibes()},
    # A process per step costs seconds and buys nothing; and a slot has one instant, which steps in
    # processes of their own would each take anew.
    executor=dg.in_process_executor,
)
