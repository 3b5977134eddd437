"""What the rules need to know of the past, as relations that SQL reads by `ledger.*`.

A snapshot is taken once per slot and kept beside the slot's partitions, so that a decision can be
explained, and computed again, from the same history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import (
    account_reviews,
    action_events,
    action_states,
    actions,
    claim_decisions,
    claim_intakes,
    claim_states,
    cycles,
    excuses,
    reviewed_counterfeits,
)
from vibes_pipeline.ledger.states import OPEN, STANDING, State
from vibes_pipeline.rules import CHARGES, Evidence

MONEY = pl.Decimal(14, 2)

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

ACCOUNT_DELISTINGS: Schema = {
    "seller_id": pl.String,
    "decision_id": pl.String,
    "is_standing": pl.Boolean,
}
EXCUSES: Schema = {
    "seller_id": pl.String,
    "order_number": pl.String,
    "sku": pl.String,
    "order_item_id": pl.String,
    "event": pl.String,
}


@dataclass(frozen=True)
class History:
    """Frames by relation name; `last_event` and `first_cycle` say what ledger they show.

    `last_event` is the newest event's id (0 for none): freezing checks that nothing came since.
    """

    frames: dict[str, pl.DataFrame]
    last_event: int
    first_cycle: date | None


def take(ledger: Ledger) -> History:
    """The country's history, read in one moment."""
    with ledger.reading() as connection:
        mine = action_states.c.country == ledger.country
        state = action_states.c.state
        is_standing = state.in_(STANDING).label("is_standing")
        rule, evidence = action_states.c.rule, action_states.c.evidence

        def read(schema: Schema, select: sa.Select[Any]) -> pl.DataFrame:
            return frame_of(connection, schema, select)

        frames = {
            "charges": read(
                {
                    "rule": pl.String,
                    "order_item_id": pl.String,
                    "amount": MONEY,
                    "is_standing": pl.Boolean,
                },
                sa.select(
                    rule, action_states.c.order_item_id, action_states.c.amount, is_standing
                ).where(mine, rule.in_(CHARGES)),
            ),
            "open_charges": read(
                {
                    "action_id": pl.String,
                    "rule": pl.String,
                    "seller_id": pl.String,
                    "order_item_id": pl.String,
                    "reason": pl.String,
                    "qc_id": pl.String,
                    "case_id": pl.String,
                },
                sa.select(
                    sa.cast(action_states.c.action_id, sa.Text),
                    rule,
                    action_states.c.seller_id,
                    action_states.c.order_item_id,
                    *(
                        evidence[key].astext
                        for key in (Evidence.REASON, Evidence.QC_ID, Evidence.CASE_ID)
                    ),
                ).where(mine, rule.in_(CHARGES), state.in_(OPEN)),
            ),
            "sales_regulations": read(
                {
                    "sku": pl.String,
                    "cycle": pl.Date,
                    "occurrence": pl.Int32,
                    "is_standing": pl.Boolean,
                },
                sa.select(
                    action_states.c.sku,
                    action_states.c.cycle,
                    action_states.c.occurrence,
                    stands_in_later_cycles(state).label("is_standing"),
                ).where(mine, rule == "sales_regulation"),
            ),
            "product_delistings": read(
                {"sku": pl.String, "is_standing": pl.Boolean},
                sa.select(action_states.c.sku, sa.true()).where(
                    mine, rule == "product_delisting", stands_in_later_cycles(state)
                ),
            ),
            "account_delistings": read(
                ACCOUNT_DELISTINGS, select_account_delistings(ledger.country)
            ),
            "account_reviews": read(
                {
                    "seller_id": pl.String,
                    "quality_returns": pl.Int32,
                    "dropoff_failures": pl.Int32,
                    "counterfeits": pl.Int32,
                },
                sa.select(
                    account_reviews.c.seller_id,
                    account_reviews.c.quality_returns,
                    account_reviews.c.dropoff_failures,
                    account_reviews.c.counterfeits,
                ).where(account_reviews.c.country == ledger.country),
            ),
            "reviewed_counterfeits": read(
                {"seller_id": pl.String, "order_item_id": pl.String},
                sa.select(reviewed_counterfeits.c.seller_id, reviewed_counterfeits.c.order_item_id)
                .where(reviewed_counterfeits.c.country == ledger.country)
                .distinct(),
            ),
            "excuses": read(EXCUSES, select_excuses(ledger.country)),
            "undecided_counterfeit_claims": read(
                {
                    "claim_id": pl.String,
                    "seller_id": pl.String,
                    "order_number": pl.String,
                    "sku": pl.String,
                    "raised_at": pl.Datetime("us", "UTC"),
                },
                sa.select(
                    claim_states.c.claim_id,
                    claim_states.c.seller_id,
                    claim_states.c.order_number,
                    claim_states.c.sku,
                    claim_states.c.raised_at,
                ).where(claim_states.c.country == ledger.country, holds_counterfeit_charge()),
            ),
        }
        return History(
            frames, last_event(connection, ledger.country), _first_cycle(connection, ledger)
        )


def stands_in_later_cycles(state: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether an action that does not outlive its cycle stands in the cycles after it.

    Only once implemented: one that is not, by the time the next cycle is frozen, expires then
    (Rulebook §2).
    """
    return state == State.IMPLEMENTED


def select_account_delistings(country: str) -> sa.Select[Any]:
    """Every account delisting, whether it stands or not (columns `ACCOUNT_DELISTINGS`)."""
    s = action_states.c
    return sa.select(
        s.seller_id, s.evidence[Evidence.DECISION_ID].astext, s.state.in_(STANDING)
    ).where(s.country == country, s.rule == "account_delisting")


def select_excuses(country: str) -> sa.Select[Any]:
    """What upheld claims excuse (columns `EXCUSES`)."""
    e = excuses.c
    return sa.select(e.seller_id, e.order_number, e.sku, e.order_item_id, e.event).where(
        e.country == country
    )


def holds_counterfeit_charge() -> sa.ColumnElement[bool]:
    """Whether a claim of `claim_states` is a complete, undecided counterfeit claim (§6)."""
    c = claim_states.c
    return sa.and_(
        c.category == "counterfeit",
        c.intake_state != "incomplete",
        c.decision.is_(None),
    )


def read_frame(ledger: Ledger, schema: Schema, select: sa.Select[Any]) -> pl.DataFrame:
    """The rows of one query as a frame, read in a transaction of its own."""
    with ledger.reading() as connection:
        return frame_of(connection, schema, select)


def frame_of(connection: sa.Connection, schema: Schema, select: sa.Select[Any]) -> pl.DataFrame:
    """The rows of one query as a frame of these columns."""
    rows = [tuple(row) for row in connection.execute(select)]
    return pl.DataFrame(rows, schema=schema, orient="row")


def last_event(connection: sa.Connection, country: str) -> int:
    """The id of the country's newest event, of an action or a claim; 0 if there is none."""
    of_actions = (
        sa.select(sa.func.max(action_events.c.event_id))
        .join(actions, actions.c.action_id == action_events.c.action_id)
        .where(actions.c.country == country)
    )
    of_claims = [
        sa.select(sa.func.max(table.c.event_id)).where(table.c.country == country)
        for table in (claim_intakes, claim_decisions, excuses)
    ]
    newest = sa.func.greatest(*(s.scalar_subquery() for s in (of_actions, *of_claims)))
    return connection.execute(sa.select(newest)).scalar() or 0


def _first_cycle(connection: sa.Connection, ledger: Ledger) -> date | None:
    return connection.execute(
        sa.select(sa.func.min(cycles.c.cycle)).where(cycles.c.country == ledger.country)
    ).scalar()
