"""Claims in the ledger: how each was taken in and decided, what that cancels, who is told (§11).

Here belong the rows. How a claim is judged, and what an upheld one is about, is `claims`'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.at_hand import is_open
from vibes_pipeline.ledger.frames import read_frame
from vibes_pipeline.ledger.history import (
    EXCUSES,
    select_account_delistings,
    stands_in_later_cycles,
)
from vibes_pipeline.ledger.identity import claim_notice_id
from vibes_pipeline.ledger.implementation import record_reversed, record_withdrawn
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.states import STANDING, State
from vibes_pipeline.rules import LATE_RULES, Evidence


@dataclass(frozen=True)
class Excuse:
    """Events that count against nobody: of one item, or of a seller's items in an order (§11).

    Either `order_item_id` is given or `order_number`; `sku` None means all products of the order.
    """

    seller_id: str
    events: Collection[str]
    order_number: str | None = None
    sku: str | None = None
    order_item_id: str | None = None


def claim_states(ledger: Ledger) -> pl.DataFrame:
    """Every claim known: its state, who claims, whether upheld or rejected."""
    c = views.claim_states.c
    return read_frame(
        ledger,
        sa.select(
            c.claim_id,
            c.state,
            c.seller_id,
            *(
                sa.func.coalesce(c.decision == decision, sa.false()).label(f"is_{decision}")
                for decision in ("upheld", "rejected")
            ),
        ).where(c.country == ledger.country),
    )


def claim_intakes(ledger: Ledger) -> pl.DataFrame:
    """Every statement of a claim that was taken in, by the hash of what it stated."""
    c = schema.claim_intakes.c
    return read_frame(
        ledger, sa.select(c.claim_id, c.content_hash).where(c.country == ledger.country)
    )


def standing_account_delistings(ledger: Ledger) -> pl.DataFrame:
    """Sellers with an account delisting that stands (columns of the history's relation)."""
    return read_frame(ledger, _select_standing_delistings(ledger.country))


def _select_standing_delistings(country: str) -> sa.Select[Any]:
    standing = views.action_states.c.state.in_(STANDING)
    return select_account_delistings(country).where(standing)


class Marks(NamedTuple):
    """What changes with each claim taken in or decided, and with all else that settling goes by.

    `recorded` decisions are counted, because one may be committed after another of a greater id;
    those of an instant yet to come count from `next_recorded_at` on. `delisted` are the sellers
    with an account delisting that stands.
    """

    newest_event: int
    recorded: int
    next_recorded_at: datetime | None
    delisted: frozenset[str]


def marks(ledger: Ledger, now: datetime) -> Marks:
    """The marks, read in one moment; `next_recorded_at` is that after an instant."""
    r = schema.recorded_decisions.c
    of_each = (
        sa.select(sa.func.max(t.c.event_id)).where(t.c.country == ledger.country).scalar_subquery()
        for t in (schema.claim_intakes, schema.claim_decisions)
    )
    counted = sa.select(
        sa.func.coalesce(sa.func.greatest(*of_each), 0),
        sa.func.count(),
        sa.func.min(r.decided_at).filter(r.decided_at > now),
    ).where(r.country == ledger.country)
    with ledger.reading() as connection:
        newest, recorded, next_at = connection.execute(counted).one()
        standing = connection.execute(_select_standing_delistings(ledger.country))
        return Marks(newest, recorded, next_at, frozenset(row.seller_id for row in standing))


def record_intake(
    connection: sa.Connection, country: str, claim: Mapping[str, Any], now: datetime
) -> int | None:
    """Append how a claim was taken in, in the columns of `claim_intakes`; its event id.

    None when another slot, run at the same time, was there first.
    """
    statement = (
        insert(schema.claim_intakes)
        .values(country=country, at=now, **claim)
        .on_conflict_do_nothing()
        .returning(schema.claim_intakes.c.event_id)
    )
    return connection.execute(statement).scalar()


def record_decision(
    connection: sa.Connection,
    country: str,
    claim_id: str,
    decision: str,
    decided_at: datetime,
    now: datetime,
    *,
    is_matched: bool,
) -> int | None:
    """Append a person's decision, in the transaction of its effects; its event id.

    None when another slot, run at the same time, was there first.
    """
    statement = (
        insert(schema.claim_decisions)
        .values(
            country=country,
            claim_id=claim_id,
            decision=decision,
            decided_at=decided_at,
            at=now,
            is_matched=is_matched,
        )
        .on_conflict_do_nothing()
        .returning(schema.claim_decisions.c.event_id)
    )
    return connection.execute(statement).scalar()


def excuse_rows(claim_id: str, excuses: Sequence[Excuse]) -> pl.DataFrame:
    """What a claim excuses as the models read it (columns `EXCUSES`), one row per event."""
    rows = [
        {
            "seller_id": excuse.seller_id,
            "order_number": excuse.order_number,
            "sku": excuse.sku,
            "order_item_id": excuse.order_item_id,
            "event": event,
            "claim_id": claim_id,
        }
        for excuse in excuses
        for event in excuse.events
    ]
    return pl.DataFrame(rows, schema=EXCUSES)


def record_excuses(
    connection: sa.Connection, country: str, claim_id: str, excuses: Sequence[Excuse]
) -> None:
    """Append what an upheld claim excuses, one row per event."""
    rows = excuse_rows(claim_id, excuses)
    if not rows.is_empty():
        connection.execute(
            insert(schema.excuses), [{"country": country, **row} for row in rows.to_dicts()]
        )


def undo(
    connection: sa.Connection,
    actions: Collection[UUID],
    now: datetime,
    time_zone: ZoneInfo,
    *,
    cause: str,
    claim_id: str | None = None,
) -> None:
    """Withdraw those of the actions that are open, reverse those that are implemented."""
    record_withdrawn(connection, actions, now, cause=cause, claim_id=claim_id)
    record_reversed(connection, actions, now, time_zone, cause=cause, claim_id=claim_id)


def plan_claim_notice(
    connection: sa.Connection,
    *,
    country: str,
    kind: NoticeKind,
    claim_id: str,
    seller_id: str,
    claim_event_id: int,
    occasion: str,
    actions: Collection[UUID],
    now: datetime,
    time_zone: ZoneInfo,
) -> None:
    """One notice about a claim's intake or decision, listing the actions it speaks of."""
    notice = claim_notice_id(country, kind, claim_id, occasion)
    connection.execute(
        insert(schema.notices).values(
            notice_id=notice,
            country=country,
            kind=kind,
            is_alert=False,
            period=now.astimezone(time_zone).date(),
            seller_id=seller_id,
            planned_at=now,
            claim_event_id=claim_event_id,
        )
    )
    if actions:
        connection.execute(
            insert(schema.notice_actions),
            [{"notice_id": notice, "action_id": action} for action in actions],
        )


# The actions that a claim is about ----------------------------------------------------------------


def actions_by_reference(
    connection: sa.Connection, country: str, seller_id: str, reference: str
) -> list[dict[str, Any]]:
    """The seller's actions of that reference; more than one only if two ids begin alike."""
    s = views.action_states.c
    return _rows(connection, country, s.seller_id == seller_id, s.reference == reference)


def charges_on_statement(
    connection: sa.Connection, country: str, seller_id: str, amount: object, period: date
) -> list[dict[str, Any]]:
    """The seller's standing charges of an amount that were debited in a statement period."""
    s, p = views.action_states.c, schema.postings.c
    debited = (
        sa.select(1)
        .where(
            p.action_id == s.action_id,
            p.kind == "debit",
            p.amount == amount,
            p.statement_period == period,
        )
        .exists()
    )
    return _rows(
        connection, country, s.seller_id == seller_id, s.state == State.IMPLEMENTED, debited
    )


def standing_on(
    connection: sa.Connection, country: str, excuse: Excuse, rules: Collection[str]
) -> list[dict[str, Any]]:
    """Standing actions of some rules on the items that an excuse is about."""
    s = views.action_states.c
    where = [s.seller_id == excuse.seller_id, s.rule.in_(rules), s.state.in_(STANDING)]
    if excuse.order_item_id is not None:
        where.append(s.order_item_id == excuse.order_item_id)
    else:
        where.append(s.order_number == excuse.order_number)
        if excuse.sku is not None:
            where.append(s.sku == excuse.sku)
    return _rows(connection, country, *where)


def by_ids(connection: sa.Connection, action_ids: Iterable[UUID]) -> list[dict[str, Any]]:
    """Actions with their present state."""
    s = views.action_states.c
    rows = connection.execute(
        sa.select(views.action_states)
        .where(s.action_id.in_(list(action_ids)))
        .order_by(s.action_id)
    ).mappings()
    return [dict(row) for row in rows]


def standing_of_seller(
    connection: sa.Connection, country: str, seller_id: str, rule: str
) -> list[dict[str, Any]]:
    """The seller's standing actions of a rule, oldest first."""
    s = views.action_states.c
    return _rows(
        connection, country, s.seller_id == seller_id, s.rule == rule, s.state.in_(STANDING)
    )


def cycles_that_no_claim_needs(ledger: Ledger, *, changed_since: datetime) -> set[date]:
    """The decided cycles that no claim can be settled from any more (§11, §17).

    An upheld claim recomputes regulations: sales regulations for as long as they stand, order
    regulations while they are open or in force. So a cycle is needed while anything of it is open,
    a sales regulation of it stands, or anything of it was implemented of late.
    """
    c, a, s, e = (
        table.c
        for table in (schema.cycles, schema.actions, views.action_states, schema.action_events)
    )
    of_late = sa.select(e.action_id).where(e.at >= changed_since, e.state == State.IMPLEMENTED)
    mine = sa.and_(a.country == ledger.country, a.rule.not_in(LATE_RULES))
    needed = sa.union(
        sa.select(a.cycle).where(mine, is_open(a.action_id)),
        sa.select(a.cycle).where(mine, a.action_id.in_(of_late)),
        sa.select(s.cycle).where(
            s.country == ledger.country, s.rule == "sales_regulation", s.state.in_(STANDING)
        ),
    )
    with ledger.reading() as connection:
        decided = connection.execute(
            sa.select(c.cycle).where(c.country == ledger.country)
        ).scalars()
        return set(decided) - set(connection.execute(needed).scalars())


def delistings_without_ground(
    connection: sa.Connection, country: str, skus: Collection[str], *, without: Collection[UUID]
) -> list[UUID]:
    """Standing product delistings whose product has too few standing occurrences left (§8).

    They are counted as when the cycle was decided; the actions of `without` stand no more.
    """
    d = views.action_states.alias("d").c
    r = views.action_states.alias("r").c
    standing = (
        sa.select(sa.func.count())
        .where(
            r.country == d.country,
            r.sku == d.sku,
            r.rule == "sales_regulation",
            r.occurrence.is_not(None),
            r.action_id.not_in(list(without)),
            sa.or_(
                sa.and_(r.cycle < d.cycle, stands_in_later_cycles(r.state)),
                sa.and_(r.cycle == d.cycle, r.state.in_(STANDING)),
            ),
        )
        .scalar_subquery()
    )
    needed = sa.cast(d.evidence[Evidence.DELISTED_FROM_OCCURRENCE].astext, sa.Integer)
    return list(
        connection.execute(
            sa.select(d.action_id).where(
                d.country == country,
                d.rule == "product_delisting",
                d.sku.in_(skus),
                d.state.in_(STANDING),
                standing < needed,
            )
        ).scalars()
    )


def newest_implemented_cycle(
    connection: sa.Connection, country: str, seller_id: str, rule: str
) -> date | None:
    """The newest cycle whose action of a rule was implemented for the seller, standing or not."""
    s = views.action_states.c
    return connection.execute(
        sa.select(sa.func.max(s.cycle)).where(
            s.country == country,
            s.seller_id == seller_id,
            s.rule == rule,
            s.implemented_at.is_not(None),
        )
    ).scalar()


def policy_content(connection: sa.Connection, policy_version: str) -> str:
    """The text of a policy that actions were decided under."""
    p = schema.policies.c
    return str(
        connection.execute(
            sa.select(p.content).where(p.policy_version == policy_version)
        ).scalar_one()
    )


def _rows(
    connection: sa.Connection, country: str, *where: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    s = views.action_states.c
    rows = connection.execute(
        sa.select(views.action_states)
        .where(s.country == country, *where)
        .order_by(s.cycle, s.rule, s.action_id)
    ).mappings()
    return [dict(row) for row in rows]
