"""One job per slot, run in one process: a process per step costs seconds and buys nothing."""

from functools import partial

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.sql_assets import CLAIMS_STEP

_job = partial(dg.define_asset_job, executor_def=dg.in_process_executor)

weekly_alert = _job(
    "weekly_alert",
    selection=dg.AssetSelection.assets(["notices", "weekly_alerts"]).upstream().materializable(),
    description="Decide the cycle's actions, freeze them, send each seller one alert.",
)

weekly_implementation = _job(
    "weekly_implementation",
    selection=dg.AssetSelection.assets(
        CLAIMS_STEP,
        ["enforcement", "evidence"],
        ["enforcement", "implementation"],
        ["finance", "charges"],
        ["notices", "post_implementation_mails"],
        ["reports", "week"],
    ),
    description="Implement what was alerted, send each seller one mail about it, write the report.",
)

late_alert = _job(
    "late_alert",
    selection=dg.AssetSelection.assets(
        CLAIMS_STEP,
        ["late_orders", "loads"],
        ["late_orders", "overdue_items"],
        ["late_orders", "late_cancellations"],
        ["late_orders", "proposed_cancellations"],
        ["notices", "late_alerts"],
    ),
    description="Find items that will be overdue tonight, send each seller one alert.",
)

late_cancellation = _job(
    "late_cancellation",
    selection=dg.AssetSelection.assets(
        CLAIMS_STEP,
        ["late_orders", "outcomes"],
        ["late_orders", "cancellations"],
        ["notices", "late_cancellation_mails"],
    ),
    description="Cancel what is overdue still, then send each seller one mail about it.",
)

claims = _job(
    "claims",
    selection=dg.AssetSelection.assets(
        CLAIMS_STEP, ["claims", "claims"], ["notices", "claim_mails"]
    ),
    description="Take in claims, apply decisions on claims and accounts, write to the sellers.",
)

notice_delivery = _job(
    "notice_delivery",
    selection=dg.AssetSelection.assets(["notices", "outbox"]),
    description="Attempt again what a slot could not deliver.",
)

JOBS = {
    Slot.WEEKLY_ALERT: weekly_alert,
    Slot.WEEKLY_IMPLEMENTATION: weekly_implementation,
    Slot.LATE_ALERT: late_alert,
    Slot.LATE_CANCELLATION: late_cancellation,
    Slot.CLAIMS: claims,
}
