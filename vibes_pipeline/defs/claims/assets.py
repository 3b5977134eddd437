"""Claims and decisions applied at once, and what of them waits for a person."""

from collections.abc import Iterator

import dagster as dg

from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.severity import ASKS_FOR_A_PERSON, INFORMS
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.defs.sql_assets import frame_metadata, kept_in, model_assets, read_by
from vibes_pipeline.exports import tables
from vibes_pipeline.ledger.claims import marks
from vibes_pipeline.listing import SHOWN, listed, plain, some_of
from vibes_pipeline.slots.claims import settle
from vibes_pipeline.slots.claims.undecipherable import in_words


def assets(location: CodeLocation) -> list[dg.AssetsDefinition]:
    """The claims, and what of them is held."""
    return [_settled_claims(location), *model_assets(location, "claims"), claims]


def _settled_claims(location: CodeLocation) -> dg.AssetsDefinition:
    policy = location.policy
    hours = policy.claims.decision_waits_at_most_hours.on(location.today.day)

    @dg.asset(
        key=CLAIMS_STEP,
        deps=sorted(read_by(settle.READ)),
        kinds={"postgres"},
        metadata=kept_in("ledger.claim_decisions"),
        description=(
            "What every slot does first: new claims are taken in, decisions on claims and accounts "
            "made by then are applied, each claim in one transaction; what an upheld one rests on "
            "is withdrawn, reversed or credited at once (Rulebook §2, §11).\n\n"
            + location.quoted(" ".join(r.sentence for r in policy.contact.how_to_object))
        ),
        check_specs=[
            dg.AssetCheckSpec(
                "decisions_are_applied_at_once",
                asset=CLAIMS_STEP,
                description=(
                    "For information: no decision had waited longer than "
                    f"{hours} hour "
                    "when it was applied. If one had, is the daemon running, and is the "
                    "warehouse loaded often enough?"
                ),
            ),
            dg.AssetCheckSpec(
                "nothing_is_undecipherable",
                asset=CLAIMS_STEP,
                description=(
                    "For a person: every decision on a claim or an account, and every instant of a "
                    "claim, can be read. What cannot be is not applied until it is corrected in "
                    "the warehouse."
                ),
            ),
        ],
    )
    def settled_claims(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.MaterializeResult]:
        """Apply what came up since the last slot; nothing is done twice."""
        settled = settle.settle(vibes.claims_run(), vibes.ledger)
        yield dg.MaterializeResult(
            # A step that found nothing does not make the assets after it out of date.
            data_version=dg.DataVersion(str(marks(vibes.ledger, vibes.now).newest_event)),
            metadata={
                "claims": settled.states.total(),
                **{f"claims_{state}": count for state, count in sorted(settled.states.items())},
                "actions_undone": settled.actions_undone,
                "accounts_kept": settled.accounts_kept,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="decisions_are_applied_at_once",
                    passed=not settled.waited,
                    severity=INFORMS,
                    metadata={
                        "decisions": len(settled.waited),
                        "claims": list(settled.waited[:20]),
                    },
                    description=None
                    if not settled.waited
                    else f"{len(settled.waited)} decisions had waited for too long when they were "
                    f"applied (of the claims {listed(settled.waited)}).",
                ),
                _undecipherable(settled),
            ],
        )

    return settled_claims


def _undecipherable(settled: settle.Settled) -> dg.AssetCheckResult:
    """Fails until each value that cannot be read is corrected; shows it as it is written."""
    values = [plain(in_words(value)) for value in settled.undecipherable]
    said = []
    if values:
        said.append(f"{len(values)} values cannot be read: {'. '.join(values[:SHOWN])}")
    if len(values) > SHOWN:
        said.append(f"and {len(values) - SHOWN} more")
    if settled.untold:
        said.append(f"Operators could not all be written to of it: {plain(settled.untold)}")
    return dg.AssetCheckResult(
        check_name="nothing_is_undecipherable",
        passed=not values,
        severity=ASKS_FOR_A_PERSON,
        metadata={"undecipherable": len(values), "values": values[:20]},
        description=". ".join(said) or None,
    )


@dg.asset(
    key=["claims", "claims"],
    deps=[CLAIMS_STEP],
    kinds={"postgres"},
    metadata=kept_in("ledger.claim_states"),
    description=(
        "Every claim with its state and age: what waits for a person's decision, and which upheld "
        "ones are about nothing that could be found (Rulebook §11). `vibes export claims` writes "
        "them all."
    ),
)
def claims(context: dg.AssetExecutionContext, vibes: Vibes) -> dg.MaterializeResult:
    """All claims of the ledger, and how many are in which state."""
    policy = vibes.policy
    frame = tables.read_table(
        "claims", tables.Source(vibes.ledger, vibes.settings.lake, policy.time_zone)
    )
    by_state = dict(frame.group_by("state").len().sort("state").iter_rows())
    waiting = frame.filter(frame["decision"].is_null()).sort("raised_at")
    raised = [at for at in waiting["raised_at"] if at is not None]
    return dg.MaterializeResult(
        metadata={
            **frame_metadata(policy, frame),
            "by_state": by_state,
            "undecided": waiting.height,
            "oldest_undecided_days": (vibes.now - min(raised)).days if raised else 0,
            "oldest_undecided": waiting["claim_id"].head(20).to_list(),
        }
    )


@dg.asset_check(
    asset=["claims", "claims"],
    description=(
        "For a person: every upheld claim is about something of its seller's. Others excuse "
        "nothing until somebody has looked at them."
    ),
)
def upheld_claims_are_matched(
    context: dg.AssetCheckExecutionContext, vibes: Vibes
) -> dg.AssetCheckResult:
    """Asks for a person; gives the ids of the claims."""
    frame = tables.read_table(
        "claims", tables.Source(vibes.ledger, vibes.settings.lake, vibes.policy.time_zone)
    )
    upheld = frame.filter(frame["state"] == "upheld").height
    unmatched = frame.filter(~frame["is_matched"].fill_null(True))["claim_id"].to_list()
    return dg.AssetCheckResult(
        passed=not unmatched,
        severity=ASKS_FOR_A_PERSON,
        metadata={"unmatched": len(unmatched), "claims": unmatched[:20]},
        description=None
        if not unmatched
        else f"{some_of(len(unmatched), upheld, 'upheld claims')} are about nothing that was found "
        f"({listed(unmatched)}): see `vibes export claims`, and have a person look at them.",
    )
