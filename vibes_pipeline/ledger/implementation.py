"""Implementing what was alerted: events, postings, notices in one transaction (Rulebook §2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from vibes_pipeline.calendar import Slot, monday_of
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.history import OPEN
from vibes_pipeline.ledger.identity import posting_id
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import plan_notices
from vibes_pipeline.ledger.rules import WEEKLY_RULES


@dataclass(frozen=True)
class Implementation:
    """What one weekly implementation did: actions by rule, naira posted, charges withdrawn."""

    cycle: date
    effected_at: datetime
    by_rule: dict[str, int]
    posted: Decimal
    withdrawn: int


def implement(
    ledger: Ledger,
    cycle: date,
    evidence_gone: Collection[UUID],
    *,
    time_zone: ZoneInfo,
    due_at: datetime,
    now: datetime,
    is_simulated: bool,
) -> Implementation:
    """Withdraw what has lost its evidence, implement what was told of in time, post the debits.

    Once per slot: run again, it gives back what it did. What is implemented is what an accepted
    alert lists since `notice_hours`, of this cycle or, for what outlives its cycle, an earlier one.
    """
    slot = Slot.WEEKLY_IMPLEMENTATION
    with ledger.writing(is_simulated=is_simulated, now=now) as connection:
        if ledger.slot_effected_at(connection, slot, cycle) is None:
            record_withdrawn(connection, evidence_gone, now, cause="evidence_gone")
            actions = _due_actions(connection, ledger.country, cycle, now)
            record_implemented(connection, actions, now, cause="implemented")
            _record_debits(connection, actions, now, time_zone)
            plan_notices(
                connection,
                country=ledger.country,
                kind="weekly_implementation",
                period=cycle,
                actions=[(a["seller_id"], a["action_id"]) for a in actions],
                now=now,
            )
            ledger.record_effects(connection, slot, cycle, due_at, now)
    return implementation(ledger, cycle)


def implementation(ledger: Ledger, cycle: date) -> Implementation:
    """What the implementation slot of a cycle did, read from the ledger."""
    with ledger.reading() as connection:
        effected_at = ledger.slot_effected_at(connection, Slot.WEEKLY_IMPLEMENTATION, cycle)
        if effected_at is None:
            raise LookupError(f"the weekly implementation of {cycle} has not run")
        s = schema.action_states.c
        mine = s.country == ledger.country
        na, n = schema.notice_actions.c, schema.notices.c
        rows = connection.execute(
            sa.select(s.rule, sa.func.count(), sa.func.coalesce(sa.func.sum(s.amount), 0))
            .join(schema.notice_actions, na.action_id == s.action_id)
            .join(schema.notices, n.notice_id == na.notice_id)
            .where(mine, n.kind == "weekly_implementation", n.period == cycle)
            .group_by(s.rule)
            .order_by(s.rule)
        ).fetchall()
        withdrawn = connection.execute(
            sa.select(sa.func.count()).where(
                mine,
                s.withdrawn_at == effected_at,
                s.cause == "evidence_gone",
                sa.not_(_an_earlier_slot_did(ledger, cycle, effected_at)),
            )
        ).scalar_one()
    return Implementation(
        cycle,
        effected_at,
        {rule: count for rule, count, _ in rows},
        sum((amount for _, _, amount in rows), Decimal("0.00")),
        withdrawn,
    )


def _an_earlier_slot_did(ledger: Ledger, cycle: date, instant: datetime) -> sa.ColumnElement[bool]:
    """Whether the slot of an earlier cycle ran at the same instant: what was withdrawn is its."""
    slots = schema.slots.c
    return (
        sa.select(1)
        .where(
            slots.country == ledger.country,
            slots.slot == Slot.WEEKLY_IMPLEMENTATION,
            slots.period < cycle,
            slots.effected_at == instant,
        )
        .exists()
    )


def record_withdrawn(
    connection: sa.Connection, actions: Collection[UUID], now: datetime, *, cause: str
) -> None:
    """Withdraw those of the actions that are not implemented yet."""
    s = schema.action_states.c
    withdrawn = sa.select(
        s.action_id,
        sa.literal("withdrawn"),
        sa.literal(now, schema.INSTANT),
        sa.literal(cause),
    ).where(s.action_id.in_(actions), s.state.in_(OPEN))
    connection.execute(
        insert(schema.action_events).from_select(["action_id", "state", "at", "cause"], withdrawn)
    )


def told_in_time(now: datetime) -> sa.ColumnElement[bool]:
    """Whether an alert that lists the action was accepted its notice hours before `now` (§2)."""
    s = schema.action_states.c
    na, n, d = schema.notice_actions.c, schema.notices.c, schema.deliveries.c
    notice = sa.func.make_interval(0, 0, 0, 0, s.notice_hours)
    return (
        sa.select(1)
        .select_from(schema.notice_actions)
        .join(schema.notices, sa.and_(n.notice_id == na.notice_id, n.is_alert))
        .join(schema.deliveries, sa.and_(d.notice_id == na.notice_id, d.status == "sent"))
        .where(
            na.action_id == s.action_id,
            d.at <= sa.literal(now, schema.INSTANT) - notice,
        )
        .exists()
    )


def _due_actions(
    connection: sa.Connection, country: str, cycle: date, now: datetime
) -> list[dict[str, Any]]:
    """Actions whose alert was accepted early enough; a product delisting with its regulation."""
    s = schema.action_states.c
    regulation = aliased(schema.action_states).c
    its_regulation = (
        sa.select(1)
        .where(
            regulation.country == s.country,
            regulation.rule == "sales_regulation",
            regulation.cycle == s.cycle,
            regulation.sku == s.sku,
            regulation.state.in_(("alerted", "implemented")),
        )
        .exists()
    )
    rows = connection.execute(
        sa.select(s.action_id, s.rule, s.seller_id, s.amount, s.currency)
        .where(
            s.country == country,
            s.cycle <= cycle,
            s.rule.in_(WEEKLY_RULES),
            s.state == "alerted",
            told_in_time(now),
            sa.or_(s.rule != "product_delisting", its_regulation),
        )
        .order_by(s.action_id)
    ).mappings()
    return [dict(row) for row in rows]


def record_implemented(
    connection: sa.Connection,
    actions: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    cause: str,
) -> None:
    """Append the implemented event of each action."""
    if actions:
        connection.execute(
            insert(schema.action_events),
            [
                {"action_id": a["action_id"], "state": "implemented", "at": now, "cause": cause}
                for a in actions
            ],
        )


def _record_debits(
    connection: sa.Connection,
    actions: Sequence[Mapping[str, Any]],
    now: datetime,
    time_zone: ZoneInfo,
) -> None:
    """Post each charge, in the week in which it is posted."""
    debits = [
        {
            "posting_id": posting_id(a["action_id"], "debit"),
            "action_id": a["action_id"],
            "kind": "debit",
            "amount": a["amount"],
            "currency": a["currency"],
            "posted_at": now,
            "statement_period": monday_of(now.astimezone(time_zone).date()),
        }
        for a in actions
        if a["amount"] is not None
    ]
    if debits:
        connection.execute(insert(schema.postings), debits)
