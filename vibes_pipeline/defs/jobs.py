"""One job per slot; the location's executor runs each in one process."""

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.slot_assets import OF_SLOT, job_name

DESCRIPTIONS = {
    Slot.WEEKLY_ALERT: "Decide the cycle's actions, freeze them, send each seller one alert.",
    Slot.WEEKLY_IMPLEMENTATION: (
        "Implement what was alerted, send each seller one mail about it, write the report."
    ),
    Slot.LATE_ALERT: "Find items that will be overdue tonight, send each seller one alert.",
    Slot.LATE_CANCELLATION: (
        "Cancel what is overdue still, then send each seller one mail about it."
    ),
    Slot.CLAIMS: "Take in claims, apply decisions on claims and accounts, write to the sellers.",
}

JOBS = {
    slot: dg.define_asset_job(
        job_name(slot), selection=sorted(OF_SLOT[slot]), description=description
    )
    for slot, description in DESCRIPTIONS.items()
}

claims = JOBS[Slot.CLAIMS]

notice_delivery = dg.define_asset_job(
    "notice_delivery",
    selection=dg.AssetSelection.assets(["notices", "outbox"]),
    description="Attempt again what a slot could not deliver.",
)

operators_mail = dg.define_asset_job(
    "operators_mail",
    selection=dg.AssetSelection.assets(["reports", "operators_mail"]),
    description="Mail the operators what waits for them, once a day.",
)
