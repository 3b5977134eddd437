"""What of the ledger waits for a person's decision: claims, accounts listed for review (§8, §11).

Here belong the rows alone. How long they may wait, and what they are about, is `answers`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.at_hand import waits_for_a_person
from vibes_pipeline.ledger.ledger import Ledger

# What lists a seller for review, as columns.
COUNTS = ("quality_returns", "dropoff_failures", "counterfeits")


@dataclass(frozen=True)
class ClaimInQueue:
    """A claim as it was taken in last; `state` is `upheld` or `rejected` once that is applied.

    `recorded` is the newest decision that a person recorded in the ledger, applied or not. All text
    is the seller's, and hostile. `raised_at` is as the seller stated it, None if not.
    """

    claim_id: str
    state: str
    category: str | None
    seller_id: str | None
    order_number: str | None
    sku: str | None
    action_reference: str | None
    raised_at: datetime | None
    taken_in_at: datetime
    decided_at: datetime | None
    recorded: str | None
    recorded_at: datetime | None
    recorded_by: str | None
    note: str | None


@dataclass(frozen=True)
class Review:
    """A seller whose account cycles have listed for review, with the counts of all and the newest.

    The decision is the newest that was recorded in the ledger.
    """

    seller_id: str
    listings: int
    newest_cycle: date
    listed_at: datetime
    quality_returns: int
    dropoff_failures: int
    counterfeits: int
    recorded: str | None
    recorded_at: datetime | None
    recorded_by: str | None
    note: str | None


def claims(
    ledger: Ledger, *, only_undecided: bool = False, claim_id: str | None = None
) -> list[ClaimInQueue]:
    """Every claim of the ledger, or only those that wait for a person, or one; the oldest first."""
    c = views.claim_states.c
    r = schema.recorded_decisions.c
    newest = _newest_decision(
        r.country == c.country,
        r.claim_id == c.claim_id,
        r.seller_id.is_not_distinct_from(c.seller_id),
    )
    columns = [c[f.name] for f in fields(ClaimInQueue) if f.name in c]
    asked = [waits_for_a_person(c.claim_id, ledger.country)] if only_undecided else []
    if claim_id is not None:
        asked.append(c.claim_id == claim_id)
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(*columns, *newest.c)
            .join_from(views.claim_states, newest, sa.true(), isouter=True)
            .where(c.country == ledger.country, *asked)
            .order_by(sa.func.coalesce(c.raised_at, c.taken_in_at), c.claim_id)
        )
        return [ClaimInQueue(*row) for row in rows]


def reviews(ledger: Ledger) -> list[Review]:
    """Every seller that a cycle listed for review, the one listed last first."""
    a, c, r = schema.account_reviews.c, schema.cycles.c, schema.recorded_decisions.c
    listed = (
        sa.select(
            a.seller_id,
            sa.func.count().label("listings"),
            sa.func.max(a.cycle).label("newest_cycle"),
            sa.func.max(c.frozen_at).label("listed_at"),
            *(sa.func.sum(a[name]).label(name) for name in COUNTS),
        )
        .join(schema.cycles, sa.and_(c.country == a.country, c.cycle == a.cycle))
        .where(a.country == ledger.country)
        .group_by(a.seller_id)
        .subquery()
    )
    newest = _newest_decision(
        r.country == ledger.country, r.claim_id.is_(None), r.seller_id == listed.c.seller_id
    )
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(*listed.c, *newest.c)
            .join_from(listed, newest, sa.true(), isouter=True)
            .order_by(listed.c.listed_at.desc(), listed.c.seller_id)
        )
        return [Review(*row) for row in rows]


def listings(ledger: Ledger, seller_id: str) -> list[Mapping[str, Any]]:
    """The cycles that listed the seller for review, oldest first, each with its counts."""
    a = schema.account_reviews.c
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(a.cycle, *(a[name] for name in COUNTS))
            .where(a.country == ledger.country, a.seller_id == seller_id)
            .order_by(a.cycle)
        ).mappings()
        return [dict(row) for row in rows]


def _newest_decision(*where: sa.ColumnElement[bool]) -> sa.FromClause:
    r = schema.recorded_decisions.c
    return (
        sa.select(
            r.decision.label("recorded"),
            r.decided_at.label("recorded_at"),
            r.decided_by.label("recorded_by"),
            r.note,
        )
        .where(*where)
        .order_by(r.event_id.desc())
        .limit(1)
        .lateral()
    )
