"""The day's two slots: overdue items proposed at 06:00, cancelled or withdrawn at 23:00."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.gates import evidence_checks, fresh_check, require_fresh
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.defs.sql_assets import (
    frame_metadata,
    kept_in,
    outcome_metadata,
    policy_in_force,
    read_by,
    written,
)
from vibes_pipeline.engine.models import load_models
from vibes_pipeline.rules import LATE_RULES, Rule
from vibes_pipeline.slots import freshness, late_orders
from vibes_pipeline.slots.run import SlotRun

LOADS = dg.AssetKey(["late_orders", "loads"])
OUTCOMES = dg.AssetKey(["late_orders", "outcomes"])
FRESH = "order_items_are_fresh"


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The assets of the morning, then those of the night."""
    return [
        _loads(location),
        _overdue_items(location),
        _late_cancellations(location),
        _proposed_cancellations(location),
        _outcomes(location),
        _cancellations(location),
    ]


def _rules(location: CodeLocation) -> str:
    """The programme's own words on late orders."""
    rules = (Rule.LATE_PENDING_CANCELLATION, Rule.LATE_READY_TO_SHIP_CANCELLATION)
    return location.quoted(*(location.policy.rules[rule].words for rule in rules))


def _fresh_check(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    return fresh_check(
        asset,
        FRESH,
        "Order items are complete to shortly before the slot's instant (Rulebook §13). Blocks: "
        "until then nobody is written to and nothing is cancelled.",
    )


def _require_fresh(run: SlotRun) -> Iterator[dg.AssetCheckResult]:
    """Yield the gate's result; raise what closes it."""
    yield from require_fresh(FRESH, lambda: freshness.require_fresh(run))


def _loads(location: CodeLocation) -> dg.AssetsDefinition:
    minutes = location.policy.warehouse.max_staleness_minutes.on(location.today.day)

    @dg.asset(
        key=LOADS,
        deps=[CLAIMS_STEP, ["raw", "loads"]],
        kinds={"duckdb"},
        partitions_def=location.daily,
        description=(
            "Whether the warehouse is fresh enough to speak of late orders: order items must be "
            f"complete to within {minutes} minutes of now; otherwise the slot stops before "
            "anything is done, and is tried again (Rulebook §13)."
        ),
        check_specs=[_fresh_check(LOADS)],
    )
    def loads(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        """Stop the slot before it reads a stale warehouse."""
        yield from _require_fresh(vibes.slot_run(Slot.LATE_ALERT, context))
        yield dg.MaterializeResult()

    return loads


def _overdue_items(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["late_orders", "overdue_items"],
        deps=[LOADS, *sorted(read_by([late_orders.OVERDUE], stand_ins=late_orders.STAND_INS))],
        kinds={"duckdb", "parquet"},
        partitions_def=location.daily,
        description=load_models()[late_orders.OVERDUE].description,
    )
    def overdue_items(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """Read of the warehouse only the items that can be overdue."""
        run, model = vibes.slot_run(Slot.LATE_ALERT, context), load_models()[late_orders.OVERDUE]
        overdue = late_orders.find_overdue(run, vibes.ledger)
        return dg.MaterializeResult(
            metadata={
                **frame_metadata(run.policy, overdue, model),
                **policy_in_force(run, model),
                **written(run, late_orders.OVERDUE),
                "too_old_to_cancel": overdue.filter(~pl.col("is_looked_back_to")).height,
            }
        )

    return overdue_items


def _late_cancellations(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["late_orders", "late_cancellations"],
        deps=sorted(read_by(late_orders.DECISIONS.values(), made=[late_orders.OVERDUE])),
        kinds={"duckdb", "parquet"},
        partitions_def=location.daily,
        description=(
            "Which overdue items are to be cancelled tonight, by rule: no item twice, and those "
            f"whose earlier alert was not accepted again (Rulebook §9).\n\n{_rules(location)}"
        ),
    )
    def late_cancellations(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """The two rules over the overdue items and the ledger's earlier cancellations."""
        run = vibes.slot_run(Slot.LATE_ALERT, context)
        decided = late_orders.decide(run, vibes.ledger)
        by_rule = dict(decided.group_by("rule").len().sort("rule").iter_rows())
        return dg.MaterializeResult(
            metadata={**frame_metadata(run.policy, decided), "by_rule": by_rule}
        )

    return late_cancellations


@dg.asset_check(
    asset=["late_orders", "late_cancellations"],
    blocking=True,
    description="No item is to be cancelled under both rules, or twice under one.",
)
def every_item_is_cancelled_once(
    context: dg.AssetCheckExecutionContext, vibes: Vibes
) -> dg.AssetCheckResult:
    """Blocks the proposal; gives the ids of the items."""
    items = late_orders.decided_twice(vibes.slot_run(Slot.LATE_ALERT, context))
    return dg.AssetCheckResult(
        passed=not items,
        metadata={"first_items": items[:20]},
        description=late_orders.twice_in_words(items) if items else None,
    )


def _proposed_cancellations(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["late_orders", "proposed_cancellations"],
        deps=[["late_orders", "late_cancellations"]],
        kinds={"postgres"},
        partitions_def=location.daily,
        metadata=kept_in("ledger.actions"),
        description="The day's late actions in the ledger, and the alerts planned about them.",
    )
    def proposed_cancellations(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> dg.MaterializeResult:
        """One transaction; run again, it changes nothing."""
        day = late_orders.propose(vibes.slot_run(Slot.LATE_ALERT, context), vibes.ledger)
        return dg.MaterializeResult(metadata={"actions": sum(day.counts.values()), **day.counts})

    return proposed_cancellations


def _outcomes(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=OUTCOMES,
        deps=[
            CLAIMS_STEP,
            ["late_orders", "proposed_cancellations"],
            ["raw", "loads"],
            *sorted(read_by([late_orders.OUTCOMES], stand_ins=late_orders.STAND_INS)),
        ],
        kinds={"duckdb", "parquet"},
        partitions_def=location.daily,
        description=load_models()[late_orders.OUTCOMES].description,
        check_specs=[_fresh_check(OUTCOMES)],
    )
    def outcomes(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        """The items looked up again, as of tonight."""
        run = vibes.slot_run(Slot.LATE_CANCELLATION, context)
        yield from _require_fresh(run)
        settled = late_orders.settle(run, vibes.ledger)
        yield dg.MaterializeResult(metadata=outcome_metadata(run, late_orders.OUTCOMES, settled))

    return outcomes


outcome_checks = evidence_checks(
    OUTCOMES, Slot.LATE_CANCELLATION, late_orders.OUTCOMES, "late cancellations"
)


def _cancellations(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["late_orders", "cancellations"],
        deps=[OUTCOMES],
        kinds={"postgres"},
        partitions_def=location.daily,
        metadata=kept_in("ledger.cancellations"),
        description=(
            "What was alerted in time and is overdue still is cancelled: the order system's feed, "
            "`ledger.cancellations` in PostgreSQL and `vibes export cancellations`. What was "
            "updated or cancelled meanwhile is withdrawn with that reason; one whose item is "
            f"missing waits (Rulebook §9).\n\n{_rules(location)}"
        ),
    )
    def cancellations(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """One transaction; run again, it changes nothing."""
        day = late_orders.cancel(vibes.slot_run(Slot.LATE_CANCELLATION, context), vibes.ledger)
        cancelled = sum(n for what, n in day.counts.items() if what in LATE_RULES)
        return dg.MaterializeResult(metadata={"cancelled": cancelled, **day.counts})

    return cancellations
