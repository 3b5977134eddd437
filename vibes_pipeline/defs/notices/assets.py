"""The mails of each slot, and the outbox; sending that failed is never green."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.severity import ASKS_FOR_A_PERSON, INFORMS
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.defs.sql_assets import kept_in, read_by
from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger.notice_kinds import KIND_OF_SLOT
from vibes_pipeline.ledger.notices import count_notices, not_accepted
from vibes_pipeline.ledger.states import Status
from vibes_pipeline.listing import listed, some_of
from vibes_pipeline.notices import delivery
from vibes_pipeline.notices.directory import READ
from vibes_pipeline.slots import mail
from vibes_pipeline.slots.catch_up import GRACE
from vibes_pipeline.slots.run import SlotRun

# Where the names and addresses of a mail are read.
ADDRESSES = sorted(read_by(READ))
# Notices in these states are tried again without anybody doing something.
TRIED_AGAIN = (Status.QUEUED, Status.SENDING, Status.DEFERRED)
WHEN_RED = (
    f"Its freshness turns red when the slot has not run {GRACE.seconds // 60} minutes after its "
    "time, and green once it has. Over a simulated ledger, such as the demo's, slots run only when "
    "they are replayed, so there it turns red at the next slot's time."
)


@dataclass(frozen=True)
class Mails:
    """A slot's mails: the asset that sends them, and the one that has planned them."""

    name: str
    slot: Slot
    after: dg.AssetKey
    what: str


MAILS = (
    Mails(
        "weekly_alerts",
        Slot.WEEKLY_ALERT,
        dg.AssetKey(["ledger", "frozen_cycle"]),
        "One alert to each seller about all their actions of the cycle, and the actions alerted "
        "once the mail server has accepted it (Rulebook §2, §10).",
    ),
    Mails(
        "post_implementation_mails",
        Slot.WEEKLY_IMPLEMENTATION,
        dg.AssetKey(["enforcement", "implementation"]),
        "One mail to each seller about what was implemented, at once after it (Rulebook §2, §10).",
    ),
    Mails(
        "late_alerts",
        Slot.LATE_ALERT,
        dg.AssetKey(["late_orders", "proposed_cancellations"]),
        "One alert to each seller and day about the items that will be cancelled tonight unless "
        "they are updated (Rulebook §9, §10).",
    ),
    Mails(
        "late_cancellation_mails",
        Slot.LATE_CANCELLATION,
        dg.AssetKey(["late_orders", "cancellations"]),
        "One mail to each seller about what was cancelled tonight (Rulebook §9, §10).",
    ),
)


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The mails of each slot, and what sends those that it could not."""
    return [*(_mails(location, mails) for mails in MAILS), outbox, claim_mails]


def _mails(location: CodeLocation, of_slot: Mails) -> dg.AssetsDefinition:
    """An asset that sends a slot's notices, and the check that shows whom they did not reach."""
    slot = of_slot.slot
    key = dg.AssetKey(["notices", of_slot.name])
    kind, (deadline, punctual) = KIND_OF_SLOT[slot], location.today.deadline(slot)

    @dg.asset(
        key=key,
        deps=[of_slot.after, *ADDRESSES],
        kinds={"email"},
        partitions_def=location.weekly if slot.is_weekly else location.daily,
        metadata=kept_in("ledger.notice_states"),
        freshness_policy=dg.FreshnessPolicy.cron(
            deadline_cron=deadline,
            lower_bound_delta=punctual,
            timezone=location.policy.time_zone.key,
        ),
        description=f"{of_slot.what}\n\n{_words(location, slot)}\n\n{WHEN_RED}",
        check_specs=[
            dg.AssetCheckSpec(
                "every_notice_is_accepted",
                asset=key,
                description=(
                    "For a person: the mail server has accepted the notice to every seller. An "
                    "alert that is not accepted leaves its actions unimplemented until the address "
                    "in the warehouse is mended; the mail then goes out by itself. For information "
                    "as long as all that is missing is tried again by itself."
                ),
            )
        ],
    )
    def mails(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        run = vibes.slot_run(slot, context)
        warnings: list[str] = []
        try:
            outcomes = mail.finish(run, vibes.ledger, vibes.clock, warnings.append)
        except MailError:
            # The slot is not done and will be run again; meanwhile the check shows who has no mail.
            yield _accepted(vibes, run, kind)
            raise
        yield dg.MaterializeResult(
            metadata={**_counts(outcomes), **({"too_slow": warnings[0]} if warnings else {})},
            check_results=[_accepted(vibes, run, kind)],
        )

    return mails


@dg.asset(
    key=["notices", "outbox"],
    deps=ADDRESSES,
    kinds={"email"},
    metadata=kept_in("ledger.notice_states"),
    description=(
        "Notices that a slot could not deliver, attempted again: deferred ones after their pause, "
        "refused and undeliverable ones once the address in the warehouse is mended (Rulebook §2). "
        "It fails when the mail server takes no mails, whoever they are to."
    ),
)
def outbox(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
    """What is due of all open notices."""
    return dg.MaterializeResult(metadata=_counts(_deliver(vibes)))


@dg.asset(
    key=["notices", "claim_mails"],
    deps=[CLAIMS_STEP, *ADDRESSES],
    kinds={"email"},
    metadata=kept_in("ledger.notice_states"),
    description=(
        "A receipt for each new claim, with what is missing or that it came too late, and a mail "
        "about each decision: what was cancelled or credited, and what stays (Rulebook §11)."
    ),
)
def claim_mails(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
    """What is due of all open notices: claims' among them."""
    return dg.MaterializeResult(metadata=_counts(_deliver(vibes)))


def _words(location: CodeLocation, slot: Slot) -> str:
    """The programme's own words on when a slot's mails are sent."""
    due = location.today.next_due(slot)
    references = location.policy.slots.of(slot).dated_on(due.period).references
    return location.quoted(" ".join(r.sentence for r in references))


def _deliver(vibes: Vibes) -> Counter[str]:
    """Attempt every open notice that is due, as of the run's instant."""
    return delivery.deliver_notices(
        vibes.ledger, vibes.policy, vibes.settings, vibes.clock, slot_now=vibes.now
    )


def _counts(outcomes: Counter[str]) -> Mapping[str, int]:
    # Dagster takes no enumerations of others.
    by_status = {str(status): count for status, count in sorted(outcomes.items())}
    return {"notices_attempted": outcomes.total(), **by_status}


def _accepted(vibes: Vibes, run: SlotRun, kind: str) -> dg.AssetCheckResult:
    missing = not_accepted(vibes.ledger, kind, run.period)
    notices = count_notices(vibes.ledger, kind, run.period)
    waits_for_a_person = any(status not in TRIED_AGAIN for _, status in missing)
    return dg.AssetCheckResult(
        check_name="every_notice_is_accepted",
        passed=not missing,
        severity=ASKS_FOR_A_PERSON if waits_for_a_person else INFORMS,
        metadata={
            "not_accepted": len(missing),
            "sellers": dict(missing[:20]),
        },
        description=None
        if not missing
        else f"{some_of(len(missing), notices, 'sellers')} without an accepted notice "
        f"({listed([s for s, _ in missing])}): mend the addresses in raw.sellers of those failed "
        "or undeliverable, or send them anew with `vibes mail resend`; what is deferred or queued "
        "is tried again by itself.",
    )
