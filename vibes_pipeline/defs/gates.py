"""Checks that stop a slot before it does anything irreversible: stale warehouse, missing evidence.

The weekly implementation and the late slots share them, each for an asset of its own.
"""

from collections.abc import Callable, Iterator

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.severity import ASKS_FOR_A_PERSON, INFORMS
from vibes_pipeline.errors import StaleWarehouse, TooMuchMissingEvidence
from vibes_pipeline.ledger.identity import references
from vibes_pipeline.listing import listed, some_of
from vibes_pipeline.slots.evidence import missing, require_evidence

REFERENCES_SHOWN = 20


def fresh_check(asset: dg.AssetKey, name: str, description: str) -> dg.AssetCheckSpec:
    """The check whose result `require_fresh` gives."""
    return dg.AssetCheckSpec(name, asset=asset, blocking=True, description=description)


def require_fresh(name: str, require: Callable[[], bool]) -> Iterator[dg.AssetCheckResult]:
    """Yield the check's result, a warning where freshness is unknown; raise if it is stale."""
    try:
        is_known = require()
    except StaleWarehouse as stale:
        yield dg.AssetCheckResult(check_name=name, passed=False, description=str(stale))
        raise
    yield dg.AssetCheckResult(
        check_name=name,
        passed=is_known,
        severity=dg.AssetCheckSeverity.ERROR if is_known else INFORMS,
        description=None
        if is_known
        else "The warehouse has no table raw.loads: how fresh it is is unknown.",
    )


def evidence_checks(
    asset: dg.AssetKey, slot: Slot, relation: str, actions: str
) -> list[dg.AssetChecksDefinition]:
    """The checks of a look-up (columns `action_id`, `outcome`) of a slot's open `actions`."""

    @dg.asset_check(
        asset=asset,
        name="evidence_is_there",
        blocking=True,
        description=(
            "Of the evidence looked up no more is missing than the policy allows. Blocks: so much "
            "is a load that failed; until it is mended nothing is done and nothing is withdrawn."
        ),
    )
    def evidence_is_there(
        context: dg.AssetCheckExecutionContext, vibes: Vibes
    ) -> dg.AssetCheckResult:
        run = vibes.slot_run(slot, context)
        looked_up = run.engine.read(relation)
        try:
            require_evidence(run, vibes.ledger, looked_up)
        except TooMuchMissingEvidence as too_much:
            return dg.AssetCheckResult(
                passed=False, description=str(too_much), metadata=counts(looked_up)
            )
        return dg.AssetCheckResult(passed=True, metadata=counts(looked_up))

    @dg.asset_check(
        asset=asset,
        name="nothing_awaits_evidence",
        description=(
            f"For a person: every open one of the {actions} still has the rows in the warehouse "
            "that it rests on. One that has not waits, neither done nor withdrawn, until they are "
            "loaded again or the policy's patience is over."
        ),
    )
    def nothing_awaits_evidence(
        context: dg.AssetCheckExecutionContext, vibes: Vibes
    ) -> dg.AssetCheckResult:
        looked_up = vibes.slot_run(slot, context).engine.read(relation)
        waiting = references(vibes.ledger.country, missing(looked_up)).to_list()
        return dg.AssetCheckResult(
            passed=not waiting,
            severity=ASKS_FOR_A_PERSON,
            metadata={
                **counts(looked_up),
                "first_references": waiting[:REFERENCES_SHOWN],
            },
            description=None
            if not waiting
            else f"{some_of(len(waiting), looked_up.height, f'open {actions}')} await their "
            f"evidence ({listed(waiting)}): a row that they rest on is missing from the "
            'warehouse or set aside. Load it again; `vibes sql "FROM ledger.awaiting_evidence"` '
            "lists them all.",
        )

    return [evidence_is_there, nothing_awaits_evidence]


def counts(looked_up: pl.DataFrame) -> dict[str, int]:
    """How many actions were looked up, and how many of them miss their evidence."""
    return {"looked_up": looked_up.height, "missing": len(missing(looked_up))}
