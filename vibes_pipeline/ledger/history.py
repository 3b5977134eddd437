"""What the rules need to know of the past, as relations that SQL reads by `ledger.*`.

A snapshot is taken once per slot and kept beside the slot's partitions, so that a decision can be
explained, and computed again, from the same history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger.frames import Schema, frame_schema, in_frame, read
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


@dataclass(frozen=True)
class History:
    """Frames by relation name; `last_event` and `first_cycle` say what ledger they show.

    `last_event` is the newest event's id (0 for none): freezing checks that no event came since.
    """

    frames: dict[str, pl.DataFrame]
    last_event: int
    first_cycle: date | None


def take(ledger: Ledger) -> History:
    """The country's history, read in one moment."""
    with ledger.reading() as connection:
        a = action_states.c
        mine, rule, state = a.country == ledger.country, a.rule, a.state
        is_standing = state.in_(STANDING).label("is_standing")

        def of(select: sa.Select[Any]) -> pl.DataFrame:
            return read(connection, select)

        frames = {
            "charges": of(
                sa.select(rule, a.order_item_id, a.amount, is_standing).where(
                    mine, rule.in_(CHARGES)
                )
            ),
            "open_charges": of(
                sa.select(
                    in_frame(a.action_id),
                    rule,
                    a.seller_id,
                    a.order_item_id,
                    *(
                        a.evidence[key].astext.label(key)
                        for key in (Evidence.REASON, Evidence.QC_ID, Evidence.CASE_ID)
                    ),
                ).where(mine, rule.in_(CHARGES), state.in_(OPEN))
            ),
            "sales_regulations": of(
                sa.select(
                    a.sku,
                    a.cycle,
                    a.occurrence,
                    stands_in_later_cycles(state).label("is_standing"),
                ).where(mine, rule == "sales_regulation")
            ),
            "product_delistings": of(
                sa.select(a.sku, sa.true().label("is_standing")).where(
                    mine, rule == "product_delisting", stands_in_later_cycles(state)
                )
            ),
            "account_delistings": of(select_account_delistings(ledger.country)),
            "account_reviews": of(
                sa.select(
                    account_reviews.c.seller_id,
                    account_reviews.c.quality_returns,
                    account_reviews.c.dropoff_failures,
                    account_reviews.c.counterfeits,
                ).where(account_reviews.c.country == ledger.country)
            ),
            "reviewed_counterfeits": of(
                sa.select(reviewed_counterfeits.c.seller_id, reviewed_counterfeits.c.order_item_id)
                .where(reviewed_counterfeits.c.country == ledger.country)
                .distinct()
            ),
            "excuses": of(select_excuses(ledger.country)),
            "undecided_counterfeit_claims": of(
                sa.select(
                    claim_states.c.claim_id,
                    claim_states.c.seller_id,
                    claim_states.c.order_number,
                    claim_states.c.sku,
                    claim_states.c.raised_at,
                ).where(claim_states.c.country == ledger.country, holds_counterfeit_charge())
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
    """Every account delisting with its decision, whether it stands or not."""
    s = action_states.c
    return sa.select(
        s.seller_id,
        s.evidence[Evidence.DECISION_ID].astext.label(Evidence.DECISION_ID),
        s.state.in_(STANDING).label("is_standing"),
    ).where(s.country == country, s.rule == "account_delisting")


EXCUSE_COLUMNS = tuple(
    excuses.c[name] for name in ("seller_id", "order_number", "sku", "order_item_id", "event")
)
EXCUSES: Schema = frame_schema(EXCUSE_COLUMNS)


def select_excuses(country: str) -> sa.Select[Any]:
    """What upheld claims excuse (columns `EXCUSES`)."""
    return sa.select(*EXCUSE_COLUMNS).where(excuses.c.country == country)


def holds_counterfeit_charge() -> sa.ColumnElement[bool]:
    """Whether a claim of `claim_states` is a complete, undecided counterfeit claim (§6)."""
    c = claim_states.c
    return sa.and_(
        c.category == "counterfeit",
        c.intake_state != "incomplete",
        c.decision.is_(None),
    )


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
