"""What the ledger holds of some actions: how they are found, their events, mails, postings, claims.

Here belong reads for a person who asks about an action. What the rules need of the past is in
`history`, what others pull in `feeds`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from vibes_pipeline.ledger.schema import (
    action_events,
    claim_decisions,
    claim_intakes,
    notice_actions,
    postings,
)
from vibes_pipeline.ledger.views import action_states, claim_states, notice_states

Row = Mapping[str, Any]
ByAction = Mapping[UUID, Sequence[Row]]


def named(connection: sa.Connection, country: str, name: str) -> list[UUID] | None:
    """The actions of a reference, or of an action's, a posting's, a notice's or a claim's id.

    None when the ledger knows nothing of that name; empty for a claim about no action.
    """
    if "\0" in name:
        return None
    s = action_states.c
    found = _ids(connection, sa.select(s.action_id).where(s.reference == name.strip().upper()))
    try:
        number = UUID(name.strip())
    except ValueError:
        pass
    else:
        found += _ids(
            connection,
            sa.union(
                sa.select(s.action_id).where(s.action_id == number),
                sa.select(postings.c.action_id).where(postings.c.posting_id == number),
                sa.select(notice_actions.c.action_id).where(notice_actions.c.notice_id == number),
            ),
        )
    if found:
        return _of_country(connection, country, found)
    return _of_claim(connection, country, name)


def actions(connection: sa.Connection, ids: Collection[UUID]) -> list[Row]:
    """The actions with their present states, in the order in which they were decided."""
    s = action_states.c
    rows = connection.execute(
        sa.select(action_states)
        .where(s.action_id.in_(ids))
        .order_by(s.cycle, s.rule, s.seller_id, s.action_id)
    ).mappings()
    return [dict(row) for row in rows]


def events(connection: sa.Connection, ids: Collection[UUID]) -> ByAction:
    """Each action's events in their order: `state`, `at`, `cause`."""
    e = action_events.c
    return _by_action(
        connection,
        sa.select(e.action_id, e.state, e.at, e.cause)
        .where(e.action_id.in_(ids))
        .order_by(e.event_id),
    )


def notices(connection: sa.Connection, ids: Collection[UUID]) -> ByAction:
    """The notices that list each action: `kind`, `notice_id`, `status`, `at` of the last try."""
    n, listed = notice_states.c, notice_actions.c
    at = sa.func.coalesce(n.last_at, n.planned_at).label("at")
    return _by_action(
        connection,
        sa.select(listed.action_id, n.kind, n.notice_id, n.status, at)
        .join(notice_states, n.notice_id == listed.notice_id)
        .where(listed.action_id.in_(ids))
        .order_by(n.planned_at, n.notice_id),
    )


def posted(connection: sa.Connection, ids: Collection[UUID]) -> ByAction:
    """Each action's postings, in order of time."""
    p = postings.c
    return _by_action(
        connection,
        sa.select(postings).where(p.action_id.in_(ids)).order_by(p.posted_at, p.posting_id),
    )


def claims(connection: sa.Connection, ids: Collection[UUID]) -> ByAction:
    """The claims about each action: those that name it or its order, and those that changed it."""
    a, c, e = action_states.c, claim_states.c, action_events.c
    changed_it = sa.select(1).where(e.action_id == a.action_id, e.claim_id == c.claim_id).exists()
    of_seller = sa.and_(
        c.country == a.country, c.seller_id == a.seller_id, sa.or_(*names(c, a), changed_it)
    )
    return _by_action(
        connection,
        sa.select(
            a.action_id,
            c.claim_id,
            c.category,
            c.state,
            c.raised_at,
            c.decision,
            c.decided_at,
        )
        .select_from(sa.join(action_states, claim_states, of_seller))
        .where(a.action_id.in_(ids))
        .order_by(c.raised_at, c.claim_id),
    )


def names(claim: Any, action: Any) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """The ways in which a claim names an action of its seller: by reference, else by order and SKU.

    A query for each can look them up by an index of its own; one for both reads all of the seller.
    """
    return (
        claim.action_reference == action.reference,
        sa.and_(
            claim.action_reference.is_(None),
            claim.order_number == action.order_number,
            sa.or_(claim.sku.is_(None), claim.sku == action.sku),
        ),
    )


def _of_claim(connection: sa.Connection, country: str, claim_id: str) -> list[UUID] | None:
    """The actions that a claim names, changed or that its mails list; None if it is unknown."""
    s, c, e = action_states.c, claim_states.c, action_events.c
    n, listed = notice_states.c, notice_actions.c
    claim = connection.execute(
        sa.select(claim_states).where(c.country == country, c.claim_id == claim_id)
    ).one_or_none()
    if claim is None:
        return None
    told_of = sa.union(
        *(
            sa.select(t.c.event_id).where(t.c.country == country, t.c.claim_id == claim_id)
            for t in (claim_intakes, claim_decisions)
        )
    )
    of_seller = sa.select(s.action_id).where(s.country == country, s.seller_id == claim.seller_id)
    if claim.action_reference is not None:
        meant = of_seller.where(s.reference == claim.action_reference)
    else:
        meant = of_seller.where(s.order_number == claim.order_number)
        if claim.sku is not None:
            meant = meant.where(s.sku == claim.sku)
    return _ids(
        connection,
        sa.union(
            meant,
            sa.select(e.action_id).where(e.claim_id == claim_id),
            sa.select(listed.action_id)
            .join(notice_states, n.notice_id == listed.notice_id)
            .where(n.claim_event_id.in_(told_of)),
        ),
    )


def _of_country(connection: sa.Connection, country: str, ids: Collection[UUID]) -> list[UUID]:
    s = action_states.c
    return _ids(
        connection, sa.select(s.action_id).where(s.action_id.in_(ids), s.country == country)
    )


def _ids(connection: sa.Connection, select: sa.Executable) -> list[UUID]:
    return list(connection.execute(select).scalars())


def _by_action(connection: sa.Connection, select: sa.Select[Any]) -> ByAction:
    found: dict[UUID, list[Row]] = defaultdict(list)
    for row in connection.execute(select).mappings():
        found[row["action_id"]].append({k: v for k, v in row.items() if k != "action_id"})
    return found
