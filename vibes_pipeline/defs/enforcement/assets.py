"""Saturday: charges without evidence withdrawn, alerted actions implemented."""

import dagster as dg

from vibes_pipeline import weekly
from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.partitions import POLICY, TODAY, WEEKLY
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.defs.sql_assets import ENGINEERS, frame_metadata, kept_in, quoted, written
from vibes_pipeline.ledger.implementation import held_charges
from vibes_pipeline.ledger.proposals import changed_cycles, frozen_cycle

EVIDENCE_GONE = dg.AssetKey(["enforcement", "evidence_gone"])


@dg.asset(
    key=EVIDENCE_GONE,
    deps=[CLAIMS_STEP, ["ledger", "frozen_cycle"], ["raw", "order_items"]],
    group_name="enforcement",
    kinds={"duckdb", "parquet"},
    owners=ENGINEERS,
    partitions_def=WEEKLY,
    description=(
        "Charges not yet implemented whose event the warehouse no longer holds: the reason was "
        "corrected, the return undone. They are withdrawn, not implemented (Rulebook §2)."
    ),
)
def evidence_gone(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
    """Look each open charge's event up again, as of now."""
    run = vibes.slot_run(Slot.WEEKLY_IMPLEMENTATION, context)
    gone = weekly.look_up_evidence(run, vibes.ledger)
    return dg.MaterializeResult(
        metadata={**frame_metadata(run.policy, gone), **written(run, weekly.EVIDENCE)}
    )


@dg.asset_check(
    asset=EVIDENCE_GONE,
    blocking=True,
    description=(
        "The actions to be implemented still make the hash they were frozen with. Blocks: nothing "
        "else than what was alerted is implemented."
    ),
)
def proposal_is_unchanged(
    context: dg.AssetCheckExecutionContext, vibes: Vibes
) -> dg.AssetCheckResult:
    """Blocks the implementation: it must be exactly what was alerted."""
    run = vibes.slot_run(Slot.WEEKLY_IMPLEMENTATION, context)
    frozen = frozen_cycle(vibes.ledger, run.period)
    changed = [str(cycle) for cycle in changed_cycles(vibes.ledger, run.period)]
    return dg.AssetCheckResult(
        passed=not changed,
        description=f"the actions of cycle {', '.join(changed)} in the ledger are not those that "
        "were frozen; nothing is implemented until ledger.actions is restored from a backup"
        if changed
        else None,
        metadata={
            "proposal_hash": frozen.proposal_hash if frozen else "not frozen",
            "changed_cycles": changed,
        },
    )


@dg.asset(
    key=["enforcement", "implementation"],
    deps=[EVIDENCE_GONE],
    group_name="enforcement",
    kinds={"postgres"},
    owners=ENGINEERS,
    partitions_def=WEEKLY,
    metadata=kept_in("ledger.action_events"),
    description=(
        "What was alerted in time is implemented: charges posted, regulations in force, delistings "
        "done; never without an alert accepted "
        f"{POLICY.notice.notice_hours.on(TODAY.next_due(Slot.WEEKLY_IMPLEMENTATION).period)} hours "
        "before, which the "
        "database itself refuses (Rulebook §2, §12).\n\n"
        + quoted(*(r.sentence for r in POLICY.contact.advance_notice))
    ),
)
def implementation(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
    """One transaction; run again, it changes nothing."""
    run = vibes.slot_run(Slot.WEEKLY_IMPLEMENTATION, context)
    done = weekly.implement_alerted(run, vibes.ledger)
    held = held_charges(vibes.ledger)
    return dg.MaterializeResult(
        metadata={
            "actions": sum(done.by_rule.values()),
            "actions_by_rule": done.by_rule,
            "posted": f"{run.policy.currency_symbol}{done.posted:,.2f}",
            "posted_ngn": float(done.posted),
            "withdrawn_for_want_of_evidence": done.withdrawn,
            "held_by_claims": len(held),
            "first_held": held[:20],
            "policy_version": run.policy.short_version,
        }
    )
