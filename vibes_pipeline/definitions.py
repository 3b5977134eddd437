"""Dagster's entry: everything in `defs/`, for the country of `VIBES_COUNTRY`."""

import os

import dagster as dg

from vibes_pipeline import defs
from vibes_pipeline.defs.answers import assets as answers
from vibes_pipeline.defs.claims import assets as claims
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.day_at_hand import DayAtHand
from vibes_pipeline.defs.decisions import assets as decisions
from vibes_pipeline.defs.enforcement import assets as enforcement
from vibes_pipeline.defs.events import assets as events
from vibes_pipeline.defs.finance import assets as finance
from vibes_pipeline.defs.jobs import JOBS, notice_delivery, operators_mail
from vibes_pipeline.defs.late_orders import assets as late_orders
from vibes_pipeline.defs.ledger import assets as ledger
from vibes_pipeline.defs.lineage import in_the_flow
from vibes_pipeline.defs.metrics import assets as metrics
from vibes_pipeline.defs.notices import assets as notices
from vibes_pipeline.defs.record_decision import record_decision
from vibes_pipeline.defs.reports import assets as reports
from vibes_pipeline.defs.resources import Country, Vibes
from vibes_pipeline.defs.schedules import schedules
from vibes_pipeline.defs.sensors import SENSORS
from vibes_pipeline.defs.shown_from import shown_from
from vibes_pipeline.defs.warehouse import assets as warehouse
from vibes_pipeline.files import keep_to_owner
from vibes_pipeline.settings import DUCKDB, Settings

# Dagster may have been started in another way than by `vibes up`.
keep_to_owner()

# The one place where loading the code location reads the environment.
settings = Settings.from_environment()
location = CodeLocation(
    DayAtHand.today(settings),
    shown_from(os.environ),
    weekly_kind="duckdb" if settings.engine == DUCKDB else "spark",
)
STAGES = (
    warehouse,
    events,
    metrics,
    claims,
    decisions,
    ledger,
    enforcement,
    finance,
    late_orders,
    notices,
    reports,
    answers,
)

definitions = dg.Definitions(
    assets=[in_the_flow(asset) for stage in STAGES for asset in stage.assets(location)],
    asset_checks=dg.load_asset_checks_from_package_module(defs),
    jobs=[*JOBS.values(), notice_delivery, operators_mail, record_decision],
    schedules=schedules(location),
    sensors=SENSORS,
    resources={"vibes": Vibes(), "country": Country(location.policy)},
    # All steps run in one process: a process per step would cost seconds, and each would take its
    # own instant, but a slot has one instant.
    executor=dg.in_process_executor,
)
