"""Implementing what was alerted, and undoing it: events, postings, notices (Rulebook §2, §11)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.calendar import Slot, monday_of
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.accounts import Accounts, record_accounts
from vibes_pipeline.ledger.at_hand import is_open
from vibes_pipeline.ledger.copying import copy_rows, instant
from vibes_pipeline.ledger.events import is_among, record_change, record_events
from vibes_pipeline.ledger.evidence import is_missed_by, record_missing
from vibes_pipeline.ledger.frames import in_frame, read
from vibes_pipeline.ledger.history import holds_counterfeit_charge
from vibes_pipeline.ledger.identity import posting_ids
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
    accounts: Mapping[str, Accounts],
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
    cycle, an earlier one. `accounts` are those of the charge rules on the day of `now`.
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
            record_events(connection, State.IMPLEMENTED, actions, now, cause="implemented")
            record_accounts(connection, ledger.country, accounts, now)
            record_postings(connection, "debit", actions, now, time_zone)
            plan_notices(
                connection,
                country=ledger.country,
                kind=NoticeKind.WEEKLY_IMPLEMENTATION,
                period=cycle,
                actions=actions,
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
        a, e = schema.actions.c, schema.action_events.c
        na, n, m = schema.notice_actions.c, schema.notices.c, schema.missing_evidence.c
        mine = a.country == ledger.country
        withdrawn_now = sa.and_(
            e.action_id == a.action_id, e.state == State.WITHDRAWN, e.at == effected_at
        )
        rows = connection.execute(
            sa.select(a.rule, sa.func.count(), sa.func.coalesce(sa.func.sum(a.amount), 0))
            .join(schema.notice_actions, na.action_id == a.action_id)
            .join(schema.notices, n.notice_id == na.notice_id)
            .where(mine, n.kind == NoticeKind.WEEKLY_IMPLEMENTATION, n.period == cycle)
            .group_by(a.rule)
            .order_by(a.rule)
        ).fetchall()
        withdrawn = connection.execute(
            sa.select(sa.func.count())
            .select_from(schema.actions)
            .join(schema.action_events, withdrawn_now)
            .where(
                mine,
                a.rule.in_(CHARGES),
                e.cause == "evidence_gone",
                sa.not_(_an_earlier_slot_did(ledger, cycle, effected_at)),
            )
        ).scalar_one()
        awaiting = connection.execute(
            sa.select(sa.func.count())
            .select_from(schema.actions)
            .join(schema.missing_evidence, m.action_id == a.action_id)
            .where(
                mine,
                m.slot == Slot.WEEKLY_IMPLEMENTATION,
                m.period == cycle,
                sa.not_(sa.select(1).where(withdrawn_now).exists()),
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
    s = views.action_states.c
    which = sa.and_(is_among(s.action_id, actions), s.state.in_(OPEN))
    record_change(connection, State.WITHDRAWN, which, now, cause=cause, claim_id=claim_id)


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
    s = views.action_states.c
    which = sa.and_(is_among(s.action_id, actions), s.state == State.IMPLEMENTED)
    implemented = read(
        connection, sa.select(in_frame(s.action_id), s.amount, s.currency).where(which)
    )
    record_change(connection, State.REVERSED, which, now, cause=cause, claim_id=claim_id)
    record_postings(connection, "reversal", implemented, now, time_zone, claim_id=claim_id)


def was_alerted_in_time(now: datetime) -> sa.ColumnElement[bool]:
    """Whether an alert that lists the action was accepted its notice hours before `now` (§2)."""
    s = views.action_states.c
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


def select_due() -> sa.Select[tuple[Any, ...]]:
    """What is recorded of actions that are implemented, of `action_states`."""
    s = views.action_states.c
    return sa.select(in_frame(s.action_id), s.seller_id, s.amount, s.currency)


def is_held() -> sa.ColumnElement[bool]:
    """Whether a counterfeit charge waits for the decision on a claim raised in its window (§6)."""
    s, c = views.action_states.c, views.claim_states.c
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
    s = views.action_states.c
    with ledger.reading() as connection:
        return list(
            connection.execute(
                sa.select(s.reference)
                .where(s.country == ledger.country, is_open(s.action_id), is_held())
                .order_by(s.cycle, s.reference)
            ).scalars()
        )


def _due_actions(
    connection: sa.Connection, country: str, cycle: date, now: datetime
) -> pl.DataFrame:
    """Actions whose alert was accepted early enough; a product delisting with its regulation."""
    s = views.action_states.c
    regulation = views.action_states.alias().c
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
    return read(
        connection,
        select_due().where(
            s.country == country,
            s.cycle <= cycle,
            s.rule.in_(WEEKLY_RULES),
            is_open(s.action_id),
            s.state == State.ALERTED,
            was_alerted_in_time(now),
            sa.or_(s.rule != "product_delisting", its_regulation),
            sa.not_(is_held()),
            sa.not_(is_missed_by(Slot.WEEKLY_IMPLEMENTATION, cycle)),
        ),
    )


def record_postings(
    connection: sa.Connection,
    kind: str,
    actions: pl.DataFrame,
    now: datetime,
    time_zone: ZoneInfo,
    *,
    claim_id: str | None = None,
) -> None:
    """Post each charge among the actions, as `debit` or `reversal`, in the week it is posted in."""
    charges = actions.filter(pl.col("amount").is_not_null())
    amount = pl.col("amount")
    copy_rows(
        connection,
        schema.postings,
        charges.select(
            "action_id",
            "currency",
            posting_ids(charges["action_id"], kind).alias("posting_id"),
            kind=pl.lit(kind),
            amount=amount if kind == "debit" else -amount,
            posted_at=instant(now),
            statement_period=monday_of(now.astimezone(time_zone).date()),
            claim_id=pl.lit(claim_id, dtype=pl.String),
        ),
    )
