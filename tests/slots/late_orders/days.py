"""Days of late orders for the tests: the two slots, with a ledger or without one.

Here belong the harnesses alone. `found_on` runs the SQL of one day over a tiny marketplace and a
past that a case tells; `Days` runs whole slots, step by step as the jobs do, over a real ledger.
Times are the marketplace's words, relative to its observed week: `Tue 06:00`, `Mon+1 23:00`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import sqlalchemy as sa
from rules.marketplace import NIGERIA, Decided, Item, Marketplace, Row
from slots.whole_slots import WholeSlots, settings_of

from vibes_pipeline.calendar import Slot, monday_of
from vibes_pipeline.clock import Clock
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.exports.tables import Source, read_table
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.frames import Schema
from vibes_pipeline.ledger.history import EXCUSES
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.rules import LATE_RULES
from vibes_pipeline.slots import late_orders
from vibes_pipeline.slots.run import SlotRun

# Pending since Wednesday 09:00, so overdue on Thursday from 09:00 on.
DUE = Item(pending_at="Wed 09:00")
READY_DUE = Item(pending_at="Wed 08:00", ready_to_ship_at="Wed 09:00")
PROPOSED, ALERTED = ("proposed", "overdue"), ("alerted", "alert accepted")
CANCELLED = ("implemented", "cancelled")
THURSDAY = date(2026, 11, 12)

PENDING, READY = LATE_RULES
STATES = {PENDING: "pending", READY: "ready_to_ship"}
LONG_AGO = date(2016, 1, 4)


# --- one day's SQL, without a ledger --------------------------------------------------------------


class Past(NamedTuple):
    """A late action that the ledger holds: its item, rule, state and when the item entered it."""

    order_item_id: str
    rule: str
    state: str  # open, implemented or withdrawn
    entered_at: str = "Mon 09:00"


def found_on(
    market: Marketplace,
    folder: Path,
    day: date,
    *,
    slot: Slot = Slot.LATE_ALERT,
    past: Sequence[Past] = (),
    first_late_day: date = LONG_AGO,
) -> Decided:
    """Overdue items, decisions of both rules and outcomes of a day, as of the slot's due time."""
    begun = begin(market, folder, slot, day)
    engine = ScratchEngine.over(begun.engine, late_orders.STAND_INS)
    run = replace(begun, engine=engine)
    opened = [p for p in past if p.state == "open"]
    _write(run, late_orders.OPEN_ACTIONS, [_opened(market, p) for p in opened], _OPENED)
    _write(run, late_orders.ACTIONS, [_known(market, p) for p in past], _KNOWN)
    _write(run, "ledger.excuses", [], EXCUSES)
    lookback = market.policy.late_orders.late_lookback_days.on(day)
    since = min(
        [
            run.earliest_entry(day - timedelta(days=lookback)),
            *(market.at(p.entered_at) for p in opened),
        ]
    )
    week_start = run.day_start(monday_of(day))
    parameters: Parameters = {
        **run.view,
        "day": day,
        "week_start": week_start,
        "week_end": week_start + timedelta(weeks=1),
        "since": since,
        "horizon": since,
        "cancels_at": market.policy.slot_calendar.due_at(Slot.LATE_CANCELLATION, day),
        "first_late_day": first_late_day,
    }
    for model in late_orders.models_of(*map(decision, LATE_RULES), late_orders.OUTCOMES):
        engine.materialize(model, parameters)
    return Decided(run)


def decision(rule: str) -> str:
    """The relation of a rule's decisions."""
    return f"late_orders.{rule}s"


def begin(
    market: Marketplace,
    folder: Path,
    slot: Slot,
    day: date,
    *,
    now: datetime | None = None,
    policy: Policy | None = None,
) -> SlotRun:
    """A late slot over the marketplace as it now stands, at its due time unless told otherwise."""
    policy = policy or market.policy
    return SlotRun.begin(
        slot,
        day,
        policy,
        settings_of(market, folder, {}),
        now=now or policy.slot_calendar.due_at(slot, day),
        is_simulated=True,
    )


_OPENED = {
    "action_id": pl.String(),
    "rule": pl.String(),
    "seller_id": pl.String(),
    "order_item_id": pl.String(),
    "entered_state": pl.String(),
    "entered_at": pl.String(),
}
_KNOWN = {
    "action_id": pl.String(),
    "rule": pl.String(),
    "seller_id": pl.String(),
    "order_item_id": pl.String(),
    "is_open": pl.Boolean(),
    "is_implemented": pl.Boolean(),
}


def _opened(market: Marketplace, past: Past) -> Row:
    return {
        "action_id": _action(past),
        "rule": past.rule,
        "seller_id": _seller(market, past),
        "order_item_id": past.order_item_id,
        "entered_state": STATES[past.rule],
        "entered_at": market.at(past.entered_at).isoformat(),
    }


def _known(market: Marketplace, past: Past) -> Row:
    return {
        "action_id": _action(past),
        "rule": past.rule,
        "seller_id": _seller(market, past),
        "order_item_id": past.order_item_id,
        "is_open": past.state == "open",
        "is_implemented": past.state == "implemented",
    }


def _seller(market: Marketplace, past: Past) -> str | None:
    """Whose the item is in the warehouse, if it is there."""
    rows = market.raw["order_items"]
    return next((r["seller_id"] for r in rows if r["order_item_id"] == past.order_item_id), None)


def _action(past: Past) -> str:
    return f"{past.rule} of {past.order_item_id}"


def _write(run: SlotRun, relation: str, rows: list[Row], schema_: Schema) -> None:
    file = run.engine.partition(relation)
    file.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=dict(schema_)).write_parquet(file)


# --- whole slots over a ledger --------------------------------------------------------------------


@dataclass
class Days(WholeSlots):
    """Whole late slots."""

    last_run: SlotRun | None = None

    def pending_item(self, name: str, columns: Item | None = None, *, seller: str = "S-1") -> Row:
        """An item, by default pending since Monday 09:00."""
        return self.item(seller, name, columns)

    def whole(self, run: SlotRun, clock: Clock | None = None) -> Any:
        self.last_run = run
        return super().whole(run, clock)

    def state(self, item: str, rule: str = PENDING) -> tuple[str, str] | None:
        """The present state of an item's action, and the cause of its last change."""
        s = views.action_states.c
        found = self.rows(
            sa.select(s.state, s.cause).where(s.order_item_id == item, s.rule == rule)
        )
        assert len(found) <= 1
        return (found[0][0], found[0][1]) if found else None

    def item_times(self, item: str, rule: str = PENDING) -> dict[str, datetime]:
        """When an item's action came into each of its states."""
        return self.times(rule, item)

    def told(self, day: date, kind: str = "late_alert") -> dict[str, set[str]]:
        """The items that each seller's notice of a kind and day lists."""
        a, n, na = schema.actions.c, schema.notices.c, schema.notice_actions.c
        select = (
            sa.select(n.seller_id, a.order_item_id)
            .select_from(schema.notice_actions)
            .join(schema.notices, n.notice_id == na.notice_id)
            .join(schema.actions, a.action_id == na.action_id)
            .where(n.kind == kind, n.period == day)
        )
        listed: dict[str, set[str]] = {}
        for seller, item in self.rows(select):
            listed.setdefault(seller, set()).add(item)
        return listed

    def feed(self, day: date | None = None) -> list[Row]:
        """What the order system reads."""
        source = Source(self.ledger, self.home / "lake", self.policy.time_zone, day)
        return read_table("cancellations", source).rows(named=True)

    def day(self, words: str) -> date:
        """The date of `Tue+1`."""
        return self.market.at(f"{words} 00:00").date()


def with_holiday(folder: Path, day: str) -> Policy:
    """Nigeria's policy with one more public holiday."""
    named = "2026-10-01: National Day\n"
    assert NIGERIA.text.count(named) == 1
    file = folder / "with_holiday.yaml"
    file.write_text(NIGERIA.text.replace(named, f"{named}        {day}: Day of Mourning\n"))
    return load_policy(path=file)


def night(days: Days, day: str, at: str) -> SlotRun:
    """The night's slot of a day, as of a time of ours."""
    now = days.market.at(at)
    return begin(days.market, days.home, Slot.LATE_CANCELLATION, days.day(day), now=now)


def rule_of(found: Decided, item: str) -> str | None:
    """The one rule under which the item is to be cancelled."""
    rules = [r for r in (PENDING, READY) if found.row(decision(r), order_item_id=item)]
    assert len(rules) <= 1, f"{item} under both rules"
    return rules[0] if rules else None
