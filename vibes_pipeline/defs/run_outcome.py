"""The outcome of a run in one line: what it did, or why it failed.

Here belongs what terminals and operators are told of a run. All of it is taken from the run's own
events. Of sellers only ids are told; addresses are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from vibes_pipeline.listing import counted
from vibes_pipeline.notices.replies import without_addresses

# For each asset the figures that say what the slot did: name in the metadata, singular, plural.
_MAILS = (
    ("sent", "mail sent", "mails sent"),
    ("deferred", "mail deferred", "mails deferred"),
    ("failed", "mail refused", "mails refused"),
    ("undeliverable", "mail undeliverable", "mails undeliverable"),
    ("unknown", "mail without an answer", "mails without an answer"),
)
DID: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "claims/settled_claims": (
        ("claims", "claim settled", "claims settled"),
        ("actions_undone", "action undone", "actions undone"),
        ("accounts_kept", "account kept", "accounts kept"),
    ),
    "ledger/frozen_cycle": (("actions", "action", "actions"),),
    "notices/weekly_alerts": (("sent", "alert sent", "alerts sent"), *_MAILS[1:]),
    "enforcement/implementation": (
        ("actions", "action implemented", "actions implemented"),
        ("withdrawn_for_want_of_evidence", "withdrawn", "withdrawn"),
        ("awaiting_evidence", "awaits its evidence", "await their evidence"),
    ),
    "notices/post_implementation_mails": _MAILS,
    "late_orders/proposed_cancellations": (("actions", "late item", "late items"),),
    "notices/late_alerts": (("sent", "alert sent", "alerts sent"), *_MAILS[1:]),
    "late_orders/cancellations": (("cancelled", "item cancelled", "items cancelled"),),
    "notices/late_cancellation_mails": _MAILS,
    "notices/claim_mails": _MAILS,
    "notices/outbox": _MAILS,
}
ENDED = {
    dg.DagsterRunStatus.SUCCESS: "done in",
    dg.DagsterRunStatus.FAILURE: "failed after",
    dg.DagsterRunStatus.CANCELED: "was ended after",
}
# A recorded error begins with this if it is one of ours.
OURS = "vibes_pipeline."


def how_it_ended(instance: dg.DagsterInstance, record: dg.RunRecord) -> str:
    """Of a run that is over: `done in 3.1 s: 212 actions, 64 alerts sent`, or why it failed."""
    run, ended_at = record.dagster_run, record.end_time or record.update_timestamp.timestamp()
    words = f"{ENDED[run.status]} {ended_at - (record.start_time or ended_at):.1f} s"
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return f"{words}: {did(instance, run.run_id)}"
    if run.status is dg.DagsterRunStatus.FAILURE:
        return f"{words}: {without_addresses(why_failed(instance, run.run_id))}"
    return words


def did(instance: dg.DagsterInstance, run_id: str) -> str:
    """The figures of what the run did, in the order in which it did it."""
    counts: list[str] = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.asset_materialization
        figures = DID.get(made.asset_key.to_user_string(), ()) if made else ()
        for name, one, several in figures:
            count = made.metadata[name].value if made and name in made.metadata else 0
            if isinstance(count, int) and count:
                counts.append(counted(count, one, several))
    return ", ".join(counts) or "nothing was to be done"


def why_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """Our error that stopped the run, else the check that did, else another's first line."""
    errors, message = [], ""
    for error, said in _failures(instance, run_id):
        message = said or message
        if error:
            errors.append(error)
    for error in errors:
        for link in _chain(error):
            if link.message.startswith(OURS):
                return " ".join(link.message.partition(": ")[2].split())
    if why := blocked_by(instance, run_id):
        return why
    words = _chain(errors[0])[-1].message if errors else message
    # Further lines of an error that is not ours may quote data, which may be personal.
    return (words or "no cause was recorded").strip().splitlines()[0]


def blocked_by(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The description of the first check that stopped the run; None if no check did."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.get_dagster_event().asset_check_evaluation_data
        stops = check.blocking and check.severity is dg.AssetCheckSeverity.ERROR
        if not check.passed and stops and check.description:
            return check.description
    return None


def _failures(
    instance: dg.DagsterInstance, run_id: str
) -> Iterator[tuple[SerializableErrorInfo | None, str | None]]:
    """The errors and words of the steps that failed, then those of the run."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for entry in instance.all_logs(run_id, of_type=kind):
            event = entry.get_dagster_event()
            yield getattr(event.event_specific_data, "error", None), event.message


def _chain(error: SerializableErrorInfo) -> list[SerializableErrorInfo]:
    """An error, its cause, the cause of that."""
    return [error, *(_chain(error.cause) if error.cause else [])]
