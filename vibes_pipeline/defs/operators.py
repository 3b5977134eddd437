"""What operators are mailed: of each morning, and of a run that failed; and what is sent again.

What starts and sends these mails is here; what they say is in `operations` and `run_outcome`.
"""

import re
from collections import Counter
from datetime import datetime, timedelta

import dagster as dg

from vibes_pipeline.clock import WallClock
from vibes_pipeline.defs.jobs import operators_mail
from vibes_pipeline.defs.record_decision import record_decision
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.defs.run_outcome import why_failed
from vibes_pipeline.defs.runs import held_back, runs_since_success, why_not_live
from vibes_pipeline.defs.slot_assets import PARTITION_TAG
from vibes_pipeline.ledger import operators
from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.ledger.operators import Kind, OperatorsMail
from vibes_pipeline.notices.operators import by_hash, due_mails, send_due
from vibes_pipeline.operations import morning
from vibes_pipeline.slots.catch_up import PUNCTUAL

NOBODY = "VIBES_OPERATORS is not set: nobody is written to."
WAYS_OUT = (
    "Each step of a slot is done as a whole or not at all. The slot is tried again with growing "
    "pauses; weekly slots run in order, so later ones wait for it.\n"
    "Once the cause is mended, the next attempt finishes it; `vibes run SLOT` runs the oldest "
    "missing slot of its kind at once. Nothing is done twice, however often a slot is run.\n"
    "You are told again only if it fails for another cause, or after it was done."
)
# So long a mail about a failed run is worth sending.
NEWS_FOR = timedelta(days=1)


def why_no_mail_to_operators(
    country: Country, now: datetime, patience: timedelta = timedelta()
) -> str | None:
    """Why the day's mail is not to be planned at an instant; None if it is due and is not there.

    Before its `patience` is over it is left to its schedule.
    """
    policy, ledger = country.policy, country.ledger
    if not country.settings.operators:
        return NOBODY
    if not_live := why_not_live(ledger):
        return not_live
    day = policy.local_date(now)
    due_at = policy.operations.mail_due_at(day, policy.time_zone)
    if now < due_at + patience:
        return f"The mail of {day} is due at {due_at:%H:%M}."
    if morning.is_planned(ledger, day):
        return f"The mail of {day} is in the ledger: what is not sent of it is tried again."
    return None


@dg.sensor(
    job=operators_mail,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Sends again the mails to operators that a relay did not take, and runs the day's mail "
        "that its schedule missed."
    ),
)
def undelivered_operators_mails(
    context: dg.SensorEvaluationContext, country: dg.ResourceParam[Country]
) -> dg.RunRequest | dg.SkipReason:
    """The ledger says what was planned and sent; these mails are few, so a tick sends them."""
    now, ledger = WallClock().now(), country.ledger
    if not country.settings.operators:
        return dg.SkipReason(NOBODY)
    sent = "No mail to operators is open."
    if due_mails(ledger, now):
        outcomes = _send_due(country)
        sent = f"Mails to operators: {', '.join(f'{n} {s}' for s, n in sorted(outcomes.items()))}."
    # Its own schedule comes first.
    if why_not := why_no_mail_to_operators(country, now, PUNCTUAL):
        return dg.SkipReason(f"{sent} {why_not}")
    runs = runs_since_success(context.instance, operators_mail.name)
    if held := held_back(runs, now, country.policy.time_zone):
        return dg.SkipReason(f"{sent} The day's mail {held}.")
    return dg.RunRequest()


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Mails VIBES_OPERATORS of a run that failed, once for each cause: which, why, what to do."
    ),
)
def failed_runs(
    context: dg.RunFailureSensorContext, country: dg.ResourceParam[Country]
) -> dg.SkipReason | None:
    """The mail gives the cause in its own words; of sellers it has only ids."""
    settings, ledger, run = country.settings, country.ledger, context.dagster_run
    if not settings.operators:
        return dg.SkipReason(NOBODY)
    if run.job_name == record_decision.name:
        return dg.SkipReason("Whoever recorded a decision sees in the UI why it was refused.")
    now = WallClock().now()
    today = country.policy.local_date(now)
    if run.job_name == operators_mail.name and morning.is_planned(ledger, today):
        return dg.SkipReason("The day's mail is in the ledger, and is sent again by itself.")
    period = run.tags.get(PARTITION_TAG)
    what = f"{run.job_name} of {period}" if period else run.job_name
    why = why_failed(context.instance, run.run_id)
    told = {"cause": _in_general(why)}
    before = operators.newest(ledger, Kind.FAILED_RUN, what)
    if before and before.told == told and not _was_done_since(context.instance, run, before):
        at = before.planned_at.astimezone(country.policy.time_zone)
        return dg.SkipReason(
            f"{what} fails as before: the operators were written to on {at:%Y-%m-%d %H:%M}."
        )
    mail = OperatorsMail(
        kind=Kind.FAILED_RUN,
        about=what,
        told=told,
        planned_at=now,
        pointless_at=now + NEWS_FOR,
        subject=f"VIBES {country.policy.country}: {what} failed",
        body=(
            f"The job {what} failed:\n\n{why}\n\nRun {run.run_id} in the Dagster UI.\n\n{WAYS_OUT}"
        ),
    )
    operators.plan(ledger, mail, list(by_hash(settings)), occasion=run.run_id)
    _send_due(country)
    return None


def _send_due(country: Country) -> Counter[str]:
    ledger = country.ledger
    is_simulated = ledger.mode() is LedgerMode.SIMULATED
    return send_due(ledger, country.settings, WallClock(), is_simulated=is_simulated)


def _in_general(why: str) -> str:
    """A cause as it is compared: numbers, times and ids differ from one attempt to the next."""
    return re.sub(r"\w*\d\w*", "0", why)


def _was_done_since(
    instance: dg.DagsterInstance, run: dg.DagsterRun, before: OperatorsMail
) -> bool:
    """Whether the job has succeeded, for the run's period, since operators were written to."""
    period = run.tags.get(PARTITION_TAG)
    tags = {PARTITION_TAG: period} if period else {}
    done = dg.RunsFilter(job_name=run.job_name, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    last = instance.get_run_records(done, limit=1)
    return bool(last) and (last[0].end_time or 0.0) > before.planned_at.timestamp()
