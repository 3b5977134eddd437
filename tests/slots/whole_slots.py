"""A made marketplace, a simulated ledger, and whole slots run over them.

Here belongs what the tests of all slots share; each folder adds what it looks at afterwards. Times
are the marketplace's words, relative to its observed week: `Tue 10:00`, `Mon+2 12:00`; cycles are
counted from that week, which is 0. The warehouse is read as `market` stands at that moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import slots_direct
import sqlalchemy as sa
from rules.marketplace import NIGERIA, Item, Marketplace, Row

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import Clock, SimulatedClock
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.implementation import Implementation
from vibes_pipeline.ledger.late_orders import LateDay
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.proposals import FrozenCycle
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.run import SlotRun

WEEK = timedelta(weeks=1)
# An item of long ago, which no rule looks at but for what happened to it since.
OLD = Item(pending_at="Mon-3 09:00", ready_to_ship_at="Mon-3 10:00", shipped_at="Mon-3 11:00")
GOOD = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00", shipped_at="Mon 11:00")


def returned(at: str = "Tue 10:00", reason: str = "wrong_item") -> Item:
    """An old item that came back for quality: a returns charge."""
    return {**OLD, "returned_at": at, "return_reason": reason}


def rejected(at: str) -> Item:
    """An old item that its customer did not take; two of them regulate its product."""
    return {**OLD, "rejected_at": at}


def address(seller: str) -> str:
    return f"{seller.lower()}@shop.example"


def settings_of(market: Marketplace, home: Path, environment: Mapping[str, str]) -> Settings:
    """Settings that name the marketplace, written as it now stands."""
    warehouse = market.write(home / "raw")
    return Settings.from_environment(
        {"VIBES_HOME": str(home), "VIBES_WAREHOUSE": str(warehouse), **environment}
    )


@dataclass
class WholeSlots:
    """A marketplace, a ledger, and slots run over them, each at its due time unless told otherwise."""

    ledger: Ledger
    home: Path
    market: Marketplace = field(default_factory=Marketplace)
    policy: Policy = NIGERIA
    environment: dict[str, str] = field(default_factory=dict)

    # --- the warehouse ---

    def seller(self, name: str, **columns: object) -> str:
        """A seller with an address of their own and one product."""
        self.market.seller(seller_id=name, **{"email": address(name), **columns})
        self.market.product(name, sku=f"K-{name}")
        return name

    def item(self, seller: str, name: str, columns: Item | None = None) -> Row:
        """An item, of the seller's product unless one is named; its row, which later slots read."""
        given: Item = {"sku": f"K-{seller}", **(columns or {})}
        self.market.item({**given, "seller_id": seller, "order_item_id": name})
        return self.market.raw["order_items"][-1]

    def row(self, table: str, row_id: str) -> Row:
        """The one row of that id; to change it is to change the warehouse."""
        (row,) = (r for r in self.market.raw[table] if row_id == next(iter(r.values())))
        return row

    # --- slots ---

    def alert(self, cycle: int = 0, at: str | None = None) -> FrozenCycle:
        """The whole `weekly-alert` slot."""
        return self.weekly(Slot.WEEKLY_ALERT, cycle, at)

    def implement(self, cycle: int = 0, at: str | None = None) -> Implementation:
        """The whole `weekly-implementation` slot."""
        return self.weekly(Slot.WEEKLY_IMPLEMENTATION, cycle, at)

    def late_alert(self, at: str, *, clock: Clock | None = None) -> LateDay:
        """The whole `late-alert` slot, of the latest day on which it was due."""
        return self.late(Slot.LATE_ALERT, at, clock)

    def late_cancel(self, at: str) -> LateDay:
        """The whole `late-cancellation` slot."""
        return self.late(Slot.LATE_CANCELLATION, at)

    def deliver(self, at: str | datetime, clock: Clock | None = None) -> Counter[str]:
        """What is open goes out, between slots."""
        return self._send(self.settings(), self._instant(at), clock)

    def weekly(self, slot: Slot, cycle: int, at: str | None) -> Any:
        period = self.market.monday + cycle * WEEK
        due_at = self.policy.slot_calendar.due_at(slot, period)
        return self.whole(self.begin(slot, at or due_at, period))

    def late(self, slot: Slot, at: str, clock: Clock | None = None) -> LateDay:
        now = self.market.at(at)
        period = self.policy.slot_calendar.period_of(slot, now)
        return self.whole(self.begin(slot, now, period), clock)

    def begin(self, slot: Slot, at: str | datetime, period: date | None = None) -> SlotRun:
        """The slot at its instant, over the warehouse as it now stands; nothing done yet."""
        self.ledger.require_mode(is_simulated=True)
        now = self._instant(at)
        return SlotRun.begin(
            slot,
            period or self.policy.local_date(now),
            self.policy,
            self.settings(),
            now=now,
            is_simulated=True,
        )

    def whole(self, run: SlotRun, clock: Clock | None = None) -> Any:
        """A slot that was begun, to its end; gives what it did."""
        done = slots_direct.effects(run, self.ledger)
        self._send(run.settings, run.now, clock)
        self.ledger.record_finished(run.slot, run.period, run.now)
        return done

    def settings(self) -> Settings:
        return settings_of(self.market, self.home, self.environment)

    def _send(self, settings: Settings, now: datetime, clock: Clock | None = None) -> Counter[str]:
        return deliver_notices(
            self.ledger, self.policy, settings, clock or SimulatedClock(now), slot_now=now
        )

    def _instant(self, at: str | datetime) -> datetime:
        return self.market.at(at) if isinstance(at, str) else at

    # --- what came of it ---

    def times(self, rule: str, struck: str) -> dict[str, datetime]:
        """When the action of an item, product or seller came into each of its states."""
        a, e = schema.actions.c, schema.action_events.c
        select = (
            sa.select(e.state, e.at)
            .join(schema.actions, a.action_id == e.action_id)
            .where(a.rule == rule, sa.func.coalesce(a.order_item_id, a.sku, a.seller_id) == struck)
        )
        return {state: at.astimezone(self.policy.time_zone) for state, at in self.rows(select)}

    def mails(self) -> int:
        """How many mails lie in the Maildir."""
        return len(list((self.home / "mail" / "new").glob("*")))

    def rows(self, select: sa.Executable) -> list[tuple[Any, ...]]:
        with self.ledger.reading() as connection:
            return [tuple(row) for row in connection.execute(select)]
