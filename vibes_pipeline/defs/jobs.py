"""One job per slot; the location's executor runs each in one process."""

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.lineage import ON_CALL
from vibes_pipeline.defs.slot_assets import DELIVERING, OF_SLOT, job_name

# What the UI calls "Materialize all" on a job's page starts the job.
ONE_PARTITION = (
    "Its schedule starts it. By hand: `Materialize all` with one partition, the oldest that is "
    "missing; when run again it does what is not done yet."
)
DESCRIPTIONS = {
    Slot.WEEKLY_ALERT: (
        "Decide what the observed week brings, freeze it, send each seller one alert. "
        f"{ONE_PARTITION}"
    ),
    Slot.WEEKLY_IMPLEMENTATION: (
        "Implement what was alerted, send each seller one mail about it, write the report. "
        f"{ONE_PARTITION}"
    ),
    Slot.LATE_ALERT: (
        f"Find items that will be overdue tonight, send each seller one alert. {ONE_PARTITION}"
    ),
    Slot.LATE_CANCELLATION: (
        f"Cancel what is overdue still, then send each seller one mail about it. {ONE_PARTITION}"
    ),
    Slot.CLAIMS: "Take in claims, apply decisions on claims and accounts, write to the sellers.",
}

JOBS = {
    slot: dg.define_asset_job(
        job_name(slot),
        selection=sorted(OF_SLOT[slot]),
        description=description,
        owners=[ON_CALL],
    )
    for slot, description in DESCRIPTIONS.items()
}

claims = JOBS[Slot.CLAIMS]

DELIVERIES = {
    "notice_delivery": "Attempt again what a slot could not deliver.",
    "operators_mail": "Mail the operators what waits for them, once a day.",
}

notice_delivery, operators_mail = (
    dg.define_asset_job(job, selection=[key], description=DELIVERIES[job], owners=[ON_CALL])
    for key, job in DELIVERING.items()
)
