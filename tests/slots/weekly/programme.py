"""A small marketplace, a real ledger, and the weekly slots run over them, week after week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path

import slots_direct
import sqlalchemy as sa
from ledger import made
from notices.mail_server import Post, serving
from rules.marketplace import NIGERIA, Item, Marketplace, Row

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.implementation import Implementation
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


@dataclass
class Programme:
    """A marketplace, a simulated ledger, and the weekly slots run over them.

    Cycles are counted from the marketplace's observed week, which is 0; a slot happens when it is
    due unless told otherwise. The warehouse is read as `market` stands at that moment.
    """

    ledger: Ledger
    home: Path
    market: Marketplace = field(default_factory=Marketplace)
    policy: Policy = NIGERIA
    environment: dict[str, str] = field(default_factory=dict)

    def seller(self, name: str, **columns: object) -> str:
        """A seller with an address of their own and one product."""
        self.market.seller(seller_id=name, **{"email": address(name), **columns})
        self.market.product(name, sku=sku(name))
        return name

    def item(self, seller: str, name: str, columns: Item) -> Row:
        """An item of the seller's product; gives its row, which later slots read as it then is."""
        given: Item = {**columns, "seller_id": seller, "sku": sku(seller), "order_item_id": name}
        self.market.item(given)
        return self.market.raw["order_items"][-1]

    def row(self, table: str, row_id: str) -> Row:
        """The one row of that id; to change it is to change the warehouse."""
        (row,) = (r for r in self.market.raw[table] if row_id == next(iter(r.values())))
        return row

    def alert(self, cycle: int = 0, at: str | None = None) -> FrozenCycle:
        """The whole `weekly-alert` slot, as the job's assets and checks run it."""
        run = self._begin(Slot.WEEKLY_ALERT, cycle, at)
        frozen = slots_direct.effects(run, self.ledger)
        self._finish(run)
        return frozen

    def implement(self, cycle: int = 0, at: str | None = None) -> Implementation:
        """The whole `weekly-implementation` slot."""
        run = self._begin(Slot.WEEKLY_IMPLEMENTATION, cycle, at)
        done = slots_direct.effects(run, self.ledger)
        self._finish(run)
        return done

    def deliver(self, at: datetime) -> Counter[str]:
        """What is open goes out, between slots."""
        clock, settings = SimulatedClock(at), self._settings()
        outcomes: Counter[str] = deliver_notices(
            self.ledger, self.policy, settings, clock, slot_now=at
        )
        return outcomes

    def cycle(self, number: int) -> date:
        return self.market.monday + number * WEEK

    def _begin(self, slot: Slot, cycle: int, at: str | None) -> SlotRun:
        period = self.cycle(cycle)
        due_at = self.policy.slot_calendar.due_at(slot, period)
        now = self.market.at(at) if at else due_at
        self.ledger.require_mode(is_simulated=True)
        return SlotRun.begin(
            slot, period, self.policy, self._settings(), now=now, is_simulated=True
        )

    def _finish(self, run: SlotRun) -> None:
        self.deliver(run.now)
        self.ledger.record_finished(run.slot, run.period, run.now)

    def _settings(self) -> Settings:
        warehouse = self.market.write(self.home / "raw")
        return Settings.from_environment(
            {
                "VIBES_HOME": str(self.home),
                "VIBES_WAREHOUSE": str(warehouse),
                **self.environment,
            }
        )

    # --- what came of it ---

    def state(self, rule: str, subject: str) -> str | None:
        """The present state of a charge of an item, or a regulation of a product or seller."""
        return made.states(self.ledger).get((rule, subject))

    def times(self, rule: str, subject: str) -> dict[str, datetime]:
        """When the action came into each of its states."""
        a, e = schema.actions.c, schema.action_events.c
        struck = sa.func.coalesce(a.order_item_id, a.sku, a.seller_id)
        with self.ledger.reading() as connection:
            found = connection.execute(
                sa.select(e.state, e.at)
                .join(schema.actions, a.action_id == e.action_id)
                .where(a.rule == rule, struck == subject)
            )
            return {state: at.astimezone(self.policy.time_zone) for state, at in found}

    def postings(self) -> dict[str, Decimal]:
        """Naira posted by item."""
        a, p = schema.actions.c, schema.postings.c
        totals: Counter[str] = Counter()
        with self.ledger.reading() as connection:
            for item, amount in connection.execute(
                sa.select(a.order_item_id, p.amount).join(
                    schema.actions, a.action_id == p.action_id
                )
            ):
                totals[item] += amount
        return dict(totals)  # type: ignore[arg-type]

    def mails(self) -> int:
        """How many mails lie in the Maildir."""
        return len(list((self.home / "mail" / "new").glob("*")))


def address(seller: str) -> str:
    return f"{seller.lower()}@shop.example"


def sku(seller: str) -> str:
    return f"K-{seller}"


def returned(at: str = "Tue 10:00", reason: str = "wrong_item") -> Item:
    """An old item that came back for quality: a returns charge."""
    return {**OLD, "returned_at": at, "return_reason": reason}


def out_of_stock(at: str = "Tue 10:00", **columns: str) -> Item:
    """An item ready in time and then cancelled for want of stock: an out-of-stock charge."""
    ready = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00")
    return {**ready, "cancelled_at": at, "cancel_reason": "out_of_stock", **columns}  # type: ignore[typeddict-item]


def rejected(at: str) -> Item:
    """An old item that its customer did not take; two of them regulate its product."""
    return {**OLD, "rejected_at": at}


@contextmanager
def catching(programme: Programme) -> Iterator[Post]:
    """The programme's mail goes to a server that counts it."""
    with serving() as post:
        programme.environment["VIBES_MAIL_CATCHER_URL"] = post.url
        yield post
        del programme.environment["VIBES_MAIL_CATCHER_URL"]


def regulations(programme: Programme) -> dict[int, tuple[str, int | None]]:
    """State and ordinal of each cycle's sales regulation, cycles counted from 0."""
    s = schema.action_states.c
    return {
        (cycle - programme.market.monday) // WEEK: (state, ordinal)
        for cycle, state, ordinal, rule in made.rows(
            programme.ledger, s.cycle, s.state, s.occurrence, s.rule
        )
        if rule == "sales_regulation"
    }


def rows_of(programme: Programme, query: str) -> list[tuple[object, ...]]:
    with programme.ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text


def notice_of(mail: EmailMessage) -> str:
    """The id of the notice that the mail is."""
    return str(mail["Message-ID"]).strip("<>").partition("@")[0]
