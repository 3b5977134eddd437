"""Made ledger content: actions of any rule for any seller, and the steps of a cycle in one call.

Actions come out of decision frames, as the pipeline's own do; steps go through its own functions.
Cycle, alert and implementation are those of the example in Rulebook §2.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import Slot, day_start
from vibes_pipeline.ledger import claims, closes, deliveries, history, notices, schema, views
from vibes_pipeline.ledger.accounts import Accounts
from vibes_pipeline.ledger.actions import PROPOSAL, Terms, actions_of
from vibes_pipeline.ledger.deliveries import Delivery
from vibes_pipeline.ledger.events import record_events
from vibes_pipeline.ledger.frames import frame_schema
from vibes_pipeline.ledger.implementation import (
    Implementation,
    implement,
    record_postings,
)
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.ledger.proposals import FrozenCycle, freeze
from vibes_pipeline.ledger.states import State
from vibes_pipeline.rules import CHARGES, REGISTRY, Evidence, Rule

# A row of `ledger.actions`, its id and its evidence as Python has them.
Action = Mapping[str, Any]

LAGOS = ZoneInfo("Africa/Lagos")
WEEK = timedelta(weeks=1)
CYCLE = date(2026, 11, 9)
NEXT_CYCLE = CYCLE + WEEK
ALERT_AT = datetime(2026, 11, 18, 7, tzinfo=LAGOS)
IMPLEMENT_AT = datetime(2026, 11, 21, 9, tzinfo=LAGOS)
PATIENCE = 4
ACCOUNTS = {rule: ("1310", f"45{nth}0") for nth, rule in enumerate(CHARGES, 1)}
NO_REVIEWS = pl.DataFrame()


def local(text: str) -> datetime:
    """`2026-11-18 07:00`, local."""
    return datetime.fromisoformat(text).replace(tzinfo=LAGOS)


def shops(names: Mapping[str, str | None]) -> pl.DataFrame:
    """Sellers' names as a cycle sees them."""
    columns = {"seller_id": pl.String, "shop_name": pl.String}
    return pl.DataFrame([*names.items()], schema=columns, orient="row")


def terms(cycle: date = CYCLE, **changes: Any) -> Terms:
    given: dict[str, Any] = {
        "country": "NG",
        "cycle": cycle,
        "currency": "NGN",
        "policy_version": "made policy",
        "notice_hours": 72,
    }
    return Terms(**{**given, **changes})


# What a decision has of the evidence that something hangs on, where a test says nothing of it.
EVIDENCE: Mapping[Evidence, object] = {
    Evidence.REASON: "defective_item",
    Evidence.QC_ID: "Q-1",
    Evidence.CASE_ID: "CC-1",
    Evidence.EVIDENCE_CLOSES_AT: local("2026-11-12 00:00"),
    Evidence.IN_FORCE_DAYS: 7,
    Evidence.DELISTED_FROM_OCCURRENCE: 4,
    Evidence.DECISION_ID: "AD-1",
    Evidence.ENTERED_STATE: "pending",
    Evidence.ENTERED_AT: local("2026-11-11 10:30"),
}


def decided(rule: str, row: Mapping[str, Any], given: Terms) -> Action:
    """The action of a decision of one row."""
    needed = {key.value: EVIDENCE[key] for key in REGISTRY[Rule(rule)].evidence}
    frame = pl.DataFrame(
        [{**needed, **row}], schema_overrides={"amount": pl.Decimal(14, 2)}, orient="row"
    )
    (action,) = actions_of(rule, frame, given).iter_rows(named=True)
    ids = {"action_id": UUID(action["action_id"])}
    return {**action, **ids, "evidence": json.loads(action["evidence"])}


def proposal(actions: Sequence[Action]) -> pl.DataFrame:
    """The frame that actions are recorded from, as the weekly alert writes it: in local time."""
    rows = [
        {**a, "action_id": str(a["action_id"]), "evidence": json.dumps(a["evidence"])}
        for a in actions
    ]
    frame = pl.DataFrame(rows, schema=PROPOSAL, orient="row")
    return frame.with_columns(pl.col("event_at").dt.convert_time_zone(LAGOS.key))


def charge(
    seller_id: str,
    order_item_id: str,
    *,
    rule: str = "returns_charge",
    amount: str = "3000.00",
    given: Terms | None = None,
    **changes: Any,
) -> Action:
    row = {
        "seller_id": seller_id,
        "sku": f"SKU-{order_item_id}",
        "order_number": f"36{order_item_id.removeprefix('I'):0>7}",
        "order_item_id": order_item_id,
        "amount": Decimal(amount),
        "event_at": local("2026-11-11 10:30"),
        "reason": "defective_item",
        **changes,
    }
    return decided(rule, row, given or terms())


def charge_of_a_later_rule(seller_id: str, order_item_id: str) -> Action:
    """A charge of a rule that this program does not have yet."""
    action_id = uuid5(NAMESPACE_URL, order_item_id)
    of_later = {"rule": "rejection_charge", "reference": "NG-LATER", "action_id": action_id}
    return {**charge(seller_id, order_item_id, amount="40.00"), **of_later}


def order_regulation(seller_id: str, *, given: Terms | None = None, **changes: Any) -> Action:
    row = {
        "seller_id": seller_id,
        "band": 2,
        "daily_order_limit": 21,
        "pending_to_shipped_limit": 42,
        "cancelled_items": 23,
        "shipped_items": 301,
        "shipped_orders": 257,
        "fulfilment_days": 6,
        "in_force_days": 7,
        **changes,
    }
    return decided("order_regulation", row, given or terms())


def sales_regulation(
    seller_id: str, sku: str, *, given: Terms | None = None, **changes: Any
) -> Action:
    row = {
        "seller_id": seller_id,
        "sku": sku,
        "grounds": "rejection_rate,return_rate",
        "occurrence": 4,
        "product_type": "Fashion",
        "rejected_items": 9,
        "rejection_base_items": 104,
        "rejecting_customers": 8,
        "rejection_over_pct": Decimal("6.0000"),
        "returned_items": 3,
        "return_base_items": 41,
        "returning_customers": 3,
        "return_over_pct": Decimal("4.0000"),
        "in_force_days": 7,
        **changes,
    }
    return decided("sales_regulation", row, given or terms())


def product_delisting(seller_id: str, sku: str, *, given: Terms | None = None) -> Action:
    row = {"seller_id": seller_id, "sku": sku, "occurrences": 4, "delisted_from_occurrence": 4}
    return decided("product_delisting", row, given or terms())


def account_delisting(seller_id: str, *, given: Terms | None = None) -> Action:
    row = {
        "seller_id": seller_id,
        "decision_id": f"AD-{seller_id}",
        "decided_at": local("2026-11-16 10:30"),
        "quality_returns": 4,
        "dropoff_failures": 0,
        "counterfeits": 1,
    }
    return decided("account_delisting", row, given or terms())


def a_handful(given: Terms | None = None) -> list[Action]:
    """One action of most rules, over three sellers."""
    return [
        charge("S-1", "I1", given=given),
        charge("S-1", "I2", rule="out_of_stock_charge", amount="1234.50", given=given),
        order_regulation("S-1", given=given),
        charge("S-2", "I3", rule="counterfeit_charge", amount="50000.00", given=given),
        sales_regulation("S-2", "SKU-A", given=given),
        product_delisting("S-2", "SKU-A", given=given),
        account_delisting("S-3", given=given),
    ]


# Slots -------------------------------------------------------------------------------------------


def open_ledger(ledger: Ledger, at: str, *, is_simulated: bool = False) -> None:
    """As its first slot does."""
    with ledger.writing(is_simulated=is_simulated, now=local(at)):
        pass


def begin_slot(ledger: Ledger, slot: Slot, period: str, *, is_simulated: bool = False) -> datetime:
    """The slot took its effects when it was due; its mail is not handled yet."""
    day = date.fromisoformat(period)
    due_at = NIGERIA.slot_calendar.due_at(slot, day)
    with ledger.writing(is_simulated=is_simulated, now=due_at) as connection:
        ledger.record_effects(connection, slot, day, due_at, due_at)
    return due_at


def finish_slot(ledger: Ledger, slot: Slot, period: str, *, is_simulated: bool = False) -> None:
    """The slot ran when it was due."""
    due_at = begin_slot(ledger, slot, period, is_simulated=is_simulated)
    ledger.record_finished(slot, date.fromisoformat(period), due_at)


# The steps of a cycle -----------------------------------------------------------------------------


def freeze_cycle(
    ledger: Ledger,
    actions: Iterable[Action],
    *,
    cycle: date = CYCLE,
    now: datetime | None = None,
    is_simulated: bool = True,
    seen_event: int | None = None,
    reviews: pl.DataFrame = NO_REVIEWS,
    reviewed_counterfeits: pl.DataFrame = NO_REVIEWS,
    names: Mapping[str, str | None] | None = None,
    **changes: Any,
) -> FrozenCycle:
    """Freeze as the weekly alert does, by default at its slot's time and knowing every event."""
    at = now or ALERT_AT + (cycle - CYCLE)
    return freeze(
        ledger,
        proposal([*actions]),
        reviews,
        reviewed_counterfeits,
        shops(names or {}),
        terms(cycle, country=ledger.country, **changes),
        policy_content="the text of the made policy",
        seen_event=history.take(ledger).last_event if seen_event is None else seen_event,
        due_at=ALERT_AT + (cycle - CYCLE),
        now=at,
        is_simulated=is_simulated,
    )


def accept(
    ledger: Ledger, at: datetime = ALERT_AT, *, sellers: Collection[str] | None = None
) -> None:
    """Record that a mail server accepted every open notice, or those to some sellers."""
    for notice in open_notices(ledger):
        if sellers is None or notice.seller_id in sellers:
            attempt = notice.attempts + 1
            assert record(ledger, notice, attempt, "sending", at)
            assert record(ledger, notice, attempt, "sent", at, code=250)


def open_notices(ledger: Ledger, now: datetime = ALERT_AT) -> list[OpenNotice]:
    """What the outbox would find open at that instant; who only counts it finds the same."""
    found = notices.open_notices(ledger, now)
    with ledger.reading() as connection:
        counted = notices.count_open(connection, ledger.country, now)
    oldest = {notice.status: notice.planned_at for notice in reversed(found)}
    counts = Counter(notice.status for notice in found)
    assert counted == [(status, counts[status], oldest[status]) for status in sorted(counts)]
    return found


def record(
    ledger: Ledger, notice: OpenNotice, attempt: int, status: str, at: datetime, **more: Any
) -> bool:
    """Record one row of an attempt, over a connection of its own."""
    of_alert = {"actions": notice.actions, "slot_now": at} if notice.is_alert else {}
    begun = Delivery(notice.notice_id, attempt, None, status, at, **{**of_alert, **more})
    with ledger.engine.connect() as connection:
        return deliveries.record(ledger, connection, [begun]) == 1


def implement_cycle(
    ledger: Ledger,
    cycle: date = CYCLE,
    *,
    now: datetime | None = None,
    contradicted: Collection[UUID] = (),
    missing: Collection[UUID] = (),
    accounts: Mapping[str, Accounts] = ACCOUNTS,
    is_simulated: bool = True,
) -> Implementation:
    """Implement as the weekly implementation does, by default at its slot's time."""
    due_at = IMPLEMENT_AT + (cycle - CYCLE)
    return implement(
        ledger,
        cycle,
        {"contradicted": contradicted, "missing": missing},
        accounts=accounts,
        patience_slots=PATIENCE,
        time_zone=LAGOS,
        due_at=due_at,
        now=now or due_at,
        is_simulated=is_simulated,
    )


def implement_charge(ledger: Ledger, action: Action, at: datetime = IMPLEMENT_AT) -> None:
    """Implement and post one alerted charge, whatever its rule."""
    with ledger.writing(is_simulated=True, now=at) as connection:
        charges = proposal([action])
        record_events(connection, State.IMPLEMENTED, charges, at, cause="implemented")
        record_postings(connection, "debit", charges, at, LAGOS)


def reverse(ledger: Ledger, action: Action, at: datetime, *, claim_id: str | None = "C-1") -> None:
    """Reverse an implemented action, with its credit if it is a charge."""
    with ledger.writing(is_simulated=True, now=at) as connection:
        if claim_id is not None:
            upheld_claim(connection, claim_id, action["seller_id"], at)
        claims.undo(connection, [action["action_id"]], at, LAGOS, cause="error", claim_id=claim_id)


def move_time(ledger: Ledger, at: datetime) -> None:
    """Let some slot of the simulated ledger happen then."""
    with ledger.engine.begin() as connection:
        connection.execute(
            schema.slots.insert().values(
                country="NG", slot="late-alert", period=at.date(), due_at=at, effected_at=at
            )
        )


def close(ledger: Ledger, period: date, now: datetime | None = None) -> closes.Close:
    """Close a statement period as `vibes close` does; `now` is a live ledger's time."""
    return closes.close_period(
        ledger,
        period,
        ends_at=day_start(period + WEEK, LAGOS),
        accounts=ACCOUNTS,
        now=now or IMPLEMENT_AT,
    )


# What the ledger then holds -----------------------------------------------------------------------


def states(ledger: Ledger) -> dict[tuple[str, str], str]:
    """The present state by rule and what was struck: item, else SKU, else seller."""
    s = views.action_states.c
    struck = sa.func.coalesce(s.order_item_id, s.sku, s.seller_id)
    return {
        (rule, subject): state for rule, subject, state in rows(ledger, s.rule, struck, s.state)
    }


def effected_at(ledger: Ledger, slot: Slot, cycle: date = CYCLE) -> datetime | None:
    """When a slot took its effects, None if it has not."""
    with ledger.reading() as connection:
        return ledger.slot_effected_at(connection, slot, cycle)


def rows(ledger: Ledger, *columns: sa.ColumnElement[Any]) -> list[Any]:
    """The columns of whatever tables they are of."""
    with ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns))]


def counts(ledger: Ledger) -> dict[str, int]:
    """How many rows every table holds."""
    tables = schema.metadata.tables.values()
    with ledger.reading() as connection:
        return {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in tables
        }


def claim(connection: sa.Connection, claim_id: str, seller_id: str, at: datetime) -> None:
    """A claim of a seller taken in."""
    stated = {
        "claim_id": claim_id,
        "state": "accepted",
        "category": "vibes_action",
        "seller_id": seller_id,
        "order_number": None,
        "sku": None,
        "action_reference": None,
        "raised_at": at,
        "faults": {},
        "content_hash": claim_id,
    }
    claims.record_intake(connection, "NG", stated, at)


def upheld_claim(connection: sa.Connection, claim_id: str, seller_id: str, at: datetime) -> None:
    """A claim of a seller taken in and upheld, its effects left to the test."""
    claim(connection, claim_id, seller_id, at)
    claims.record_decision(connection, "NG", claim_id, "upheld", at, at, is_matched=True)


def standings(*sellers: str) -> pl.DataFrame:
    """The standing of sellers who have done nothing in the week yet."""
    columns = schema.standing_columns()
    record = {c.name: None if c.nullable else 0 for c in columns}
    record |= {"week": CYCLE, "is_exempt": False, "is_delisted": False}
    types = {"seller_id": pl.String(), **frame_schema(columns)}
    return pl.DataFrame([{"seller_id": seller, **record} for seller in sellers], schema=types)
