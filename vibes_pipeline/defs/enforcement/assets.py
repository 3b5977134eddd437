"""Saturday: evidence looked up again, alerted actions implemented."""

from collections.abc import Iterator

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.gates import evidence_checks, fresh_check, require_fresh
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.defs.sql_assets import kept_in, outcome_metadata, read_by
from vibes_pipeline.engine.models import load_models
from vibes_pipeline.ledger.implementation import held_charges
from vibes_pipeline.ledger.proposals import changed_cycles, changed_in_words, frozen_cycle
from vibes_pipeline.slots import weekly

EVIDENCE = dg.AssetKey(["enforcement", "evidence"])
FRESH = "warehouse_is_fresh"


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The evidence, then what is implemented on it."""
    return [_evidence(location), _implementation(location)]


def _evidence(location: CodeLocation) -> dg.AssetsDefinition:
    hours = location.policy.warehouse.evidence_staleness_hours.on(location.today.day)

    @dg.asset(
        key=EVIDENCE,
        deps=[
            CLAIMS_STEP,
            ["ledger", "frozen_cycle"],
            ["raw", "loads"],
            *sorted(read_by([weekly.EVIDENCE])),
        ],
        kinds={"duckdb", "parquet"},
        partitions_def=location.weekly,
        description=load_models()[weekly.EVIDENCE].description,
        check_specs=[
            fresh_check(
                EVIDENCE,
                FRESH,
                "Every raw table is complete through the observed week's end, and order items to "
                f"within {hours} hours of the slot's instant (Rulebook §13). Blocks: until then "
                "nothing is implemented and nothing is withdrawn.",
            )
        ],
    )
    def evidence(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        """Look each open charge's event up again, as of now."""
        run = vibes.slot_run(Slot.WEEKLY_IMPLEMENTATION, context)
        yield from require_fresh(FRESH, lambda: weekly.require_fresh_evidence(run, vibes.ledger))
        looked_up = weekly.look_up_evidence(run, vibes.ledger)
        yield dg.MaterializeResult(metadata=outcome_metadata(run, weekly.EVIDENCE, looked_up))

    return evidence


charge_checks = evidence_checks(EVIDENCE, Slot.WEEKLY_IMPLEMENTATION, weekly.EVIDENCE, "charges")


@dg.asset_check(
    asset=EVIDENCE,
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
    changed = changed_cycles(vibes.ledger, run.period)
    return dg.AssetCheckResult(
        passed=not changed,
        description=changed_in_words(changed) if changed else None,
        metadata={
            "proposal_hash": frozen.proposal_hash if frozen else "not frozen",
            "changed_cycles": [str(cycle) for cycle in changed],
        },
    )


def _implementation(location: CodeLocation) -> dg.AssetsDefinition:
    policy = location.policy
    hours = policy.notice.notice_hours.on(
        location.today.next_due(Slot.WEEKLY_IMPLEMENTATION).period
    )

    @dg.asset(
        key=["enforcement", "implementation"],
        deps=[EVIDENCE],
        kinds={"postgres"},
        partitions_def=location.weekly,
        metadata=kept_in("ledger.action_events"),
        description=(
            "What was alerted in time is implemented: charges posted, regulations in force, "
            f"delistings done; never without an alert accepted {hours} hours before, which the "
            "database itself refuses (Rulebook §2, §12).\n\n"
            + location.quoted(*(r.sentence for r in policy.contact.advance_notice))
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
                "posted": run.policy.money(done.posted),
                "posted_ngn": float(done.posted),
                "withdrawn_for_want_of_evidence": done.withdrawn,
                "awaiting_evidence": done.awaiting,
                "held_by_claims": len(held),
                "first_held": held[:20],
                "policy_version": run.policy.short_version,
            }
        )

    return implementation
