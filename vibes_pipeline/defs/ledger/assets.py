"""The history that rules read, and the frozen cycle."""

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP, HISTORY, PAST, asset_key
from vibes_pipeline.defs.sql_assets import kept_in, read_in_weekly_alert
from vibes_pipeline.engine.weekly import SHOWN_BESIDE
from vibes_pipeline.slots import weekly


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The history, the past of what is at hand, and the frozen cycle."""
    return [_history(location), _past(location), _frozen_cycle(location)]


def _history(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=HISTORY,
        deps=[CLAIMS_STEP],
        kinds={"postgres", "parquet"},
        partitions_def=location.weekly,
        description=(
            "What the ledger leaves open or in force: open charges, account delistings, excused "
            "events, undecided claims; a snapshot kept beside the cycle it was decided on."
        ),
    )
    def history(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """One snapshot of the ledger."""
        taken = weekly.take_history(vibes.slot_run(Slot.WEEKLY_ALERT, context), vibes.ledger)
        return dg.MaterializeResult(
            metadata={
                "last_event": taken.last_event,
                "first_cycle": str(taken.first_cycle),
                "rows": {name: frame.height for name, frame in taken.frames.items()},
            }
        )

    return history


def _past(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=PAST,
        deps=sorted({HISTORY, *map(asset_key, weekly.PAST_IS_OF)}),
        kinds={"postgres", "parquet"},
        partitions_def=location.weekly,
        description=(
            "What was decided before about the items, products and accounts at hand, however long "
            "ago: their charges, sales regulations and delistings, reviews. Kept beside the cycle "
            "like the history; a cycle decided before keeps what it was decided on."
        ),
    )
    def past(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """One look at the ledger, by the ids at hand."""
        taken = weekly.take_past(vibes.slot_run(Slot.WEEKLY_ALERT, context), vibes.ledger)
        return dg.MaterializeResult(
            metadata={"rows": {name: frame.height for name, frame in taken.items()}}
        )

    return past


def _frozen_cycle(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=["ledger", "frozen_cycle"],
        # After freezing nothing more of the cycle is made: all that is shown comes before.
        deps=sorted(
            read_in_weekly_alert(weekly.FROZEN_FROM) | {asset_key(r) for r in SHOWN_BESIDE}
        ),
        kinds={"postgres"},
        partitions_def=location.weekly,
        metadata=kept_in("ledger.cycles"),
        description=(
            "The week's actions as the sellers are told of them, frozen and hashed: Saturday "
            "implements exactly that, minus what was withdrawn, never more, never at a higher "
            "amount (Rulebook §2). Run again, it changes nothing.\n\n"
            + location.quoted(*(r.sentence for r in location.policy.contact.advance_notice))
        ),
    )
    def frozen_cycle(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
        """Append the proposal to the ledger; once, ever."""
        frozen = weekly.freeze_proposal(vibes.slot_run(Slot.WEEKLY_ALERT, context), vibes.ledger)
        frozen_at = frozen.frozen_at.astimezone(vibes.policy.time_zone)
        return dg.MaterializeResult(
            metadata={
                "actions": frozen.actions,
                "proposal_hash": frozen.proposal_hash,
                "frozen_at": f"{frozen_at:%Y-%m-%d %H:%M}",
                "policy_version": frozen.policy_version[:12],
            }
        )

    return frozen_cycle
