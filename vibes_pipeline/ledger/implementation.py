"""Implementing what was alerted, and undoing it: events, postings, notices (Rulebook §2, §11)."""

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
from vibes_pipeline.ledger.evidence import is_missed_by, record_missing
from vibes_pipeline.ledger.history import holds_counterfeit_charge
from vibes_pipeline.ledger.identity import posting_id
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.notices import plan_notices
from vibes_pipeline.ledger.states import OPEN, State, Status
from vibes_pipeline.rules import CHARGES, WEEKLY_RULES, Evidence


@dataclass(frozen=True)
class Implementation:
    """What one weekly implementation did: actions by rule, naira posted, charges withdrawn.

    `awaiting` are those that it left open because it did not find their evidence.
    """

    cycle: date
    effected_at: datetime
    by_rule: dict[str, int]
    posted: Decimal
    withdrawn: int
    awaiting: int


def implement(
    ledger: Ledger,
    cycle: date,
    evidence: Mapping[str, Collection[UUID]],
    *,
    patience_slots: int,
    time_zone: ZoneInfo,
    due_at: datetime,
    now: datetime,
    is_simulated: bool,
) -> Implementation:
    """Withdraw what has lost its evidence, implement what was alerted in time, post the debits.

    Once per slot: run again, it returns what it did. `evidence` gives the open charges by what
    has become of theirs: a `contradicted` one is withdrawn; a `missing` one is neither implemented
    nor withdrawn until `patience_slots` in a row have looked for it in vain. What is implemented is
    what an accepted alert lists since `notice_hours`, of this cycle or, for what outlives its
    cycle, an earlier one.
    """
    slot = Slot.WEEKLY_IMPLEMENTATION
    with ledger.writing(is_simulated=is_simulated, now=now) as connection:
        if ledger.slot_effected_at(connection, slot, cycle) is None:
            given_up = record_missing(
                connection, evidence.get("missing", ()), slot, cycle, now, patience_slots
            )
            gone = [*evidence.get("contradicted", ()), *given_up]
            record_withdrawn(connection, gone, now, cause="evidence_gone")
            actions = _due_actions(connection, ledger.country, cycle, now)
            record_implemented(connection, actions, now, cause="implemented")
            record_postings(connection, "debit", actions, now, time_zone)
            plan_notices(
                connection,
                country=ledger.country,
                kind=NoticeKind.WEEKLY_IMPLEMENTATION,
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
            .where(mine, n.kind == NoticeKind.WEEKLY_IMPLEMENTATION, n.period == cycle)
            .group_by(s.rule)
            .order_by(s.rule)
        ).fetchall()
        withdrawn = connection.execute(
            sa.select(sa.func.count()).where(
                mine,
                s.rule.in_(CHARGES),
                s.withdrawn_at == effected_at,
                s.cause == "evidence_gone",
                sa.not_(_an_earlier_slot_did(ledger, cycle, effected_at)),
            )
        ).scalar_one()
        awaiting = connection.execute(
            sa.select(sa.func.count()).where(
                mine,
                is_missed_by(Slot.WEEKLY_IMPLEMENTATION, cycle),
                s.withdrawn_at.is_distinct_from(effected_at),
            )
        ).scalar_one()
    return Implementation(
        cycle,
        effected_at,
        {rule: count for rule, count, _ in rows},
        sum((amount for _, _, amount in rows), Decimal("0.00")),
        withdrawn,
        awaiting,
    )


def _an_earlier_slot_did(ledger: Ledger, cycle: date, instant: datetime) -> sa.ColumnElement[bool]:
    """Whether the slot of an earlier cycle ran at the same instant, and made the withdrawals."""
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
    connection: sa.Connection,
    actions: Collection[UUID],
    now: datetime,
    *,
    cause: str,
    claim_id: str | None = None,
) -> None:
    """Withdraw those of the actions that are not implemented yet."""
    _record_undone(connection, State.WITHDRAWN, actions, OPEN, now, cause, claim_id)


def record_reversed(
    connection: sa.Connection,
    actions: Collection[UUID],
    now: datetime,
    time_zone: ZoneInfo,
    *,
    cause: str,
    claim_id: str | None = None,
) -> None:
    """Reverse those of the actions that are implemented, charges by an equal credit (§11)."""
    s = schema.action_states.c
    rows = connection.execute(
        sa.select(s.action_id, s.amount, s.currency)
        .where(s.action_id.in_(actions), s.state == State.IMPLEMENTED)
        .order_by(s.action_id)
    ).mappings()
    implemented = [dict(row) for row in rows]
    undone = [row["action_id"] for row in implemented]
    _record_undone(connection, State.REVERSED, undone, [State.IMPLEMENTED], now, cause, claim_id)
    record_postings(connection, "reversal", implemented, now, time_zone, claim_id=claim_id)


def _record_undone(
    connection: sa.Connection,
    state: State,
    actions: Collection[UUID],
    of_states: Collection[State],
    now: datetime,
    cause: str,
    claim_id: str | None,
) -> None:
    s = schema.action_states.c
    undone = sa.select(
        s.action_id,
        sa.literal(state, sa.Text),
        sa.literal(now, schema.INSTANT),
        sa.literal(cause),
        sa.literal(claim_id, sa.Text),
    ).where(s.action_id.in_(actions), s.state.in_(of_states))
    connection.execute(
        insert(schema.action_events).from_select(
            ["action_id", "state", "at", "cause", "claim_id"], undone
        )
    )


def was_alerted_in_time(now: datetime) -> sa.ColumnElement[bool]:
    """Whether an alert that lists the action was accepted its notice hours before `now` (§2)."""
    s = schema.action_states.c
    na, n, d = schema.notice_actions.c, schema.notices.c, schema.deliveries.c
    notice = sa.func.make_interval(0, 0, 0, 0, s.notice_hours)
    return (
        sa.select(1)
        .select_from(schema.notice_actions)
        .join(schema.notices, sa.and_(n.notice_id == na.notice_id, n.is_alert))
        .join(schema.deliveries, sa.and_(d.notice_id == na.notice_id, d.status == Status.SENT))
        .where(
            na.action_id == s.action_id,
            d.at <= sa.literal(now, schema.INSTANT) - notice,
        )
        .exists()
    )


def is_held() -> sa.ColumnElement[bool]:
    """Whether a counterfeit charge waits for the decision on a claim raised in its window (§6)."""
    s, c = schema.action_states.c, schema.claim_states.c
    closes_at = sa.cast(s.evidence[Evidence.EVIDENCE_CLOSES_AT].astext, schema.INSTANT)
    return sa.and_(
        s.rule == "counterfeit_charge",
        sa.select(1)
        .where(
            c.country == s.country,
            c.seller_id == s.seller_id,
            c.order_number == s.order_number,
            c.sku == s.sku,
            holds_counterfeit_charge(),
            c.raised_at < closes_at,
        )
        .exists(),
    )


def held_charges(ledger: Ledger) -> list[str]:
    """References of the open charges that wait for the decision on a claim, oldest first."""
    s = schema.action_states.c
    with ledger.reading() as connection:
        return list(
            connection.execute(
                sa.select(s.reference)
                .where(s.country == ledger.country, s.state.in_(OPEN), is_held())
                .order_by(s.cycle, s.reference)
            ).scalars()
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
            regulation.state.in_((State.ALERTED, State.IMPLEMENTED)),
        )
        .exists()
    )
    rows = connection.execute(
        sa.select(s.action_id, s.rule, s.seller_id, s.amount, s.currency)
        .where(
            s.country == country,
            s.cycle <= cycle,
            s.rule.in_(WEEKLY_RULES),
            s.state == State.ALERTED,
            was_alerted_in_time(now),
            sa.or_(s.rule != "product_delisting", its_regulation),
            sa.not_(is_held()),
            sa.not_(is_missed_by(Slot.WEEKLY_IMPLEMENTATION, cycle)),
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
                {"action_id": a["action_id"], "state": State.IMPLEMENTED, "at": now, "cause": cause}
                for a in actions
            ],
        )


def record_postings(
    connection: sa.Connection,
    kind: str,
    actions: Sequence[Mapping[str, Any]],
    now: datetime,
    time_zone: ZoneInfo,
    *,
    claim_id: str | None = None,
) -> None:
    """Post each charge among the actions, as `debit` or `reversal`, in the week it is posted in."""
    postings = [
        {
            "posting_id": posting_id(a["action_id"], kind),
            "action_id": a["action_id"],
            "kind": kind,
            "amount": a["amount"] if kind == "debit" else -a["amount"],
            "currency": a["currency"],
            "posted_at": now,
            "statement_period": monday_of(now.astimezone(time_zone).date()),
            "claim_id": claim_id,
        }
        for a in actions
        if a["amount"] is not None
    ]
    if postings:
        connection.execute(insert(schema.postings), postings)
