"""Claims as the order warehouse states them, with what it holds of their orders (Rulebook §11).

Here belongs how the rows of the models become claims: for the slot, which asks about those that
wait, and for a person, who asks about any.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.ledger import claims as ledger_claims
from vibes_pipeline.ledger import recorded
from vibes_pipeline.ledger.frames import read_frame
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots.claims.intake import Claim
from vibes_pipeline.slots.run import SlotRun

RAISED = "claims.raised_claims"
UNSETTLED = "claims.unsettled_claims"
ORDERS = "claims.claimed_orders"


def write_ledger(engine: Engine, ledger: Ledger) -> None:
    """Put what the ledger holds of claims where the models read it."""
    engine.write("ledger.claim_states", ledger_claims.claim_states(ledger))
    engine.write("ledger.claim_intakes", ledger_claims.claim_intakes(ledger))
    decided = read_frame(ledger, recorded.select_claim_decisions(ledger.country))
    engine.write("ledger.recorded_claim_decisions", decided)


def raised(run: SlotRun, ledger: Ledger, ids: Collection[str]) -> Mapping[str, Claim]:
    """Those of the claims that are raised by the run's instant, by their ids.

    Nothing is looked up of their orders.
    """
    found = _engine(run, ledger).read(RAISED).filter(pl.col("claim_id").is_in(list(ids)))
    with ledger.reading() as connection:
        return {
            row["claim_id"]: claim_of(row, connection, ledger.country)
            for row in found.iter_rows(named=True)
        }


def raised_one(run: SlotRun, ledger: Ledger, claim_id: str) -> Claim | None:
    """One of them, with what the warehouse holds of its order; None if it is not there."""
    engine = _engine(run, ledger)
    found = engine.read(RAISED).filter(pl.col("claim_id") == claim_id)
    if found.is_empty():
        return None
    engine.write(UNSETTLED, found)
    row = with_orders(engine, run, found).row(0, named=True)
    with ledger.reading() as connection:
        return claim_of(row, connection, ledger.country)


def with_orders(engine: Engine, run: SlotRun, claims: pl.DataFrame) -> pl.DataFrame:
    """The claims that the engine has as `UNSETTLED`, with the columns of `ORDERS`."""
    for model in closure([ORDERS], made=closure_of(UNSETTLED)):
        engine.materialize(model, run.view)
    return claims.join(engine.read(ORDERS), on="claim_id", how="left").with_columns(
        pl.col("seller_items", "claimed_items").fill_null(0)
    )


def claim_of(row: Mapping[str, Any], connection: sa.Connection, country: str) -> Claim:
    """A claim of a row of the models, whose columns it has as far as they are there."""
    claim = Claim(**{name: row[name] for name in Claim.__dataclass_fields__ if name in row})
    if claim.action_reference is None or claim.seller_id is None:
        return claim
    known = ledger_claims.actions_by_reference(
        connection, country, claim.seller_id, claim.action_reference
    )
    return replace(claim, has_referenced_action=bool(known))


def closure_of(relation: str) -> frozenset[str]:
    """The relation and the models that it reads."""
    return frozenset(model.relation for model in closure([relation]))


def _engine(run: SlotRun, ledger: Ledger) -> Engine:
    engine = ScratchEngine.over(run.engine)
    write_ledger(engine, ledger)
    for model in closure([RAISED]):
        engine.materialize(model, run.view)
    return engine
