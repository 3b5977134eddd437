"""Claims before a real ledger: a marketplace, what is claimed, and whole slots over them.

Here belongs the harness alone. Every slot begins with the claims step, as the jobs' assets have it;
`settle` is the claims slot by itself. Times are the marketplace's words, relative to its observed
week: `Tue 10:00`, `Mon+2 12:00`; cycles are counted from that week, which is 0.
"""

from __future__ import annotations

import email
import email.policy
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from rules.marketplace import Item, Row
from served import own_ledger
from slots.whole_slots import WEEK, WholeSlots, rejected

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import Clock
from vibes_pipeline.ledger import identity, schema, views
from vibes_pipeline.slots.claims.settle import Settled, settle
from vibes_pipeline.slots.run import SlotRun

RETURN, FAKE, LATE = "returns_charge", "counterfeit_charge", "late_fulfilment_charge"
RECEIPT, OUTCOME = "claim_receipt", "claim_outcome"
BETWEEN, AFTER = "Thu+1 12:00", "Mon+2 12:00"

STOCKLESS = Item(
    pending_at="Mon 09:00",
    ready_to_ship_at="Mon 10:00",
    cancelled_at="Tue 10:00",
    cancel_reason="out_of_stock",
)

# What makes a claim of each category complete, but for shop, order and SKU.
STATED: dict[str, Row] = {
    "counterfeit": {"attachments": ["brand.pdf", "authenticity.pdf"]},
    "seko_warehouse": {"tracking_number": "T-1", "attachments": ["table.xlsx"]},
    "cancel_wrong_orders": {"reason": "store_on_holiday", "comment": "We were away."},
    "bill_problem": {
        "statement_period": "2026-11-16",
        "transaction_type": "penalty",
        "amount": "3000.00",
        "comment": "What is this for?",
    },
    "vibes_action": {"comment": "It was not our fault."},
}

_numbers = itertools.count(1)


class Desk(WholeSlots):
    """Whole slots that each begin with the claims step; items lie in orders that claims can name."""

    # --- the warehouse ---

    def seller(self, name: str, **columns: object) -> str:
        """A seller whose address does not hang on its id, which may be any text."""
        return super().seller(name, **{"email": f"shop{next(_numbers)}@shop.example", **columns})

    def item(self, seller: str, name: str, columns: Item | None = None) -> Row:
        """An item in an order `O-<item>` unless one is named."""
        given: Item = {"order_number": f"O-{name}", **(columns or {})}
        return super().item(seller, name, given)

    def claim(
        self,
        claim_id: str | None,
        seller: str | None,
        category: str | None = "vibes_action",
        *,
        raised_at: str | None = "Tue+1 10:00",
        **columns: object,
    ) -> Row:
        """A claim that states all its category asks for but what it is about; its row."""
        stated = STATED.get(category or "", {})
        given: Row = {
            "claim_id": claim_id,
            "category": category,
            "seller_id": seller,
            "shop_name": f"Shop {seller}",
            "country": "NG",
            "raised_at": raised_at,
            **stated,
            **columns,
        }
        self.market.add("claims", str(claim_id), given)
        return self.market.raw["claims"][-1]

    def decide(self, claim_id: str, decision: str, at: str | None) -> None:
        """A person decides on every row of the claim."""
        for row in self.market.raw["claims"]:
            if row["claim_id"] == claim_id:
                row["decision"], row["decided_at"], row["decided_by"] = decision, at, "P-1"

    def upheld(self, claim_id: str, seller: str, at: str, **columns: Any) -> Row:
        """A complete claim, raised and upheld at once."""
        row = self.claim(claim_id, seller, raised_at=at, **columns)
        row["decision"], row["decided_at"] = "upheld", at
        return row

    # --- slots ---

    def settle(self, at: str) -> Settled:
        """The whole `claims` slot."""
        run = self.begin(Slot.CLAIMS, at)
        settled = settle(run, self.ledger)
        self._send(run.settings, run.now)
        return settled

    def whole(self, run: SlotRun, clock: Clock | None = None) -> Any:
        settle(self.begin(Slot.CLAIMS, run.now), self.ledger)
        return super().whole(run, clock)

    # --- what came of it ---

    def states(self, seller: str) -> dict[tuple[str, str], str]:
        """The present state of a seller's actions by rule and what was struck."""
        s = views.action_states.c
        struck = sa.func.coalesce(s.order_item_id, s.sku, s.seller_id)
        found = self.rows(sa.select(s.rule, struck, s.state).where(s.seller_id == seller))
        return {(rule, subject): state for rule, subject, state in found}

    def regulations(self, rule: str, seller: str = "S-1") -> dict[int, tuple[str, int | None]]:
        """State and ordinal of each cycle's action of a rule, cycles counted from 0."""
        s = views.action_states.c
        found = self.rows(
            sa.select(s.cycle, s.state, s.occurrence).where(s.rule == rule, s.seller_id == seller)
        )
        return {(cycle - self.market.monday) // WEEK: (state, nth) for cycle, state, nth in found}

    def postings(self, seller: str) -> list[tuple[str, str, Decimal, str, str | None]]:
        """(item, kind, amount, statement period, claim) of a seller, in order of time."""
        a, p = schema.actions.c, schema.postings.c
        return [
            (item, kind, amount, period.isoformat(), claim)
            for item, kind, amount, period, claim in self.rows(
                sa.select(a.order_item_id, p.kind, p.amount, p.statement_period, p.claim_id)
                .join(schema.actions, a.action_id == p.action_id)
                .where(a.seller_id == seller)
                .order_by(p.posted_at, a.order_item_id, a.rule)
            )
        ]

    def balance(self) -> dict[tuple[str, str], Decimal]:
        """What finance's table adds up to, by rule and item."""
        a, p = schema.actions.c, schema.postings.c
        found = self.rows(
            sa.select(a.rule, a.order_item_id, sa.func.sum(p.amount))
            .join(schema.actions, a.action_id == p.action_id)
            .group_by(a.rule, a.order_item_id)
        )
        return {(rule, item): amount for rule, item, amount in found}

    def claim_state(self, claim_id: str) -> tuple[str, bool | None] | None:
        """The claim's one state, and whether a decision on it was about anything of its seller's."""
        c = views.claim_states.c
        found = self.rows(sa.select(c.state, c.is_matched).where(c.claim_id == claim_id))
        return (found[0][0], found[0][1]) if found else None

    def faults(self, claim_id: str) -> dict[str, str]:
        """Why the claim is incomplete, by field."""
        c = views.claim_states.c
        ((faults,),) = self.rows(sa.select(c.faults).where(c.claim_id == claim_id))
        return dict(faults)

    def told(self, seller: str) -> list[str]:
        """The kinds of notices about claims that the seller was sent, in order."""
        n = views.notice_states.c
        return [
            kind
            for kind, status in self.rows(
                sa.select(n.kind, n.status)
                .where(n.seller_id == seller, n.claim_event_id.is_not(None))
                .order_by(n.claim_event_id)
            )
            if status == "sent"
        ]

    def mails_to(self, seller: str) -> list[EmailMessage]:
        """The mails in the Maildir to the seller."""
        address = self.row("sellers", seller)["email"]
        read = (
            email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            for file in sorted((self.home / "mail" / "new").glob("*"))
        )
        return [mail for mail in read if mail["To"] == address]

    def reference(self, rule: str, subject: str, cycle: int = 0) -> str:
        """The reference that the action of that rule bears, or will bear."""
        monday = self.market.monday + cycle * WEEK
        ids = identity.action_ids("NG", rule, monday, pl.Series([subject]))
        return str(identity.references("NG", ids).item())

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the ledger that must not depend on how often slots were run."""
        return {name: self.rows(sa.text(query)) for name, query in CONTENTS.items()}


# --- sellers who bear everything ------------------------------------------------------------------

# Item 1 is late, fails its check, comes back and is counterfeit; 2 is out of stock; 3 and 4 are overdue
# in either state; 5 and 6 are not wanted.
ITEMS: dict[str, Item] = {
    "1": Item(
        pending_at="Mon 09:00",
        ready_to_ship_at="Wed 10:00",
        shipped_at="Wed 11:00",
        returned_at="Fri 10:00",
        return_reason="wrong_item",
    ),
    "2": Item(
        pending_at="Mon 09:00",
        ready_to_ship_at="Mon 10:00",
        cancelled_at="Tue 10:00",
        cancel_reason="out_of_stock",
    ),
    "3": Item(pending_at="Wed 09:00", commission="900.00"),
    "4": Item(pending_at="Wed 09:00", ready_to_ship_at="Wed 10:00"),
    "5": rejected("Tue 10:00"),
    "6": rejected("Wed 10:00"),
}


def sku(seller: str, item: str) -> str:
    """Items 1 to 3 are of one product, 4 of another, 5 and 6 of a third."""
    return f"{seller}-{'K2' if item == '4' else 'K3' if item in '56' else 'K'}"


def order(seller: str, item: str = "1") -> str:
    return f"O-{seller}-{'b' if item in '56' else 'a'}"


def burden(desk: Desk, seller: str, **changes: Item) -> None:
    """Give the seller items 1 to 6, some of them changed."""
    desk.seller(seller)
    for product in ("K", "K2", "K3"):
        desk.market.product(seller, sku=f"{seller}-{product}")
    for item, columns in ITEMS.items():
        of = Item(order_number=order(seller, item), sku=sku(seller, item))
        desk.item(seller, f"{seller}-{item}", {**columns, **of, **changes.get(f"item_{item}", {})})
    desk.market.check(f"{seller}-1", checked_at="Wed 10:30")
    desk.market.counterfeit_case(f"{seller}-1", notified_at="Wed 10:00", proven_at="Fri 12:00")


# --- what slots leave -----------------------------------------------------------------------------

# Event ids are left out: a number drawn by a transaction that failed is not drawn again.
CONTENTS = {
    "actions": "SELECT * FROM ledger.actions ORDER BY action_id",
    "action events": """
        SELECT action_id, state, at, cause, claim_id, notice_id FROM ledger.action_events
        ORDER BY action_id, at, state
    """,
    "postings": "SELECT * FROM ledger.postings ORDER BY posting_id",
    "intakes": """
        SELECT claim_id, state, at, seller_id, faults::TEXT, content_hash FROM ledger.claim_intakes
        ORDER BY claim_id, content_hash
    """,
    "decisions": """
        SELECT claim_id, decision, decided_at, at, is_matched FROM ledger.claim_decisions
        ORDER BY claim_id, decision
    """,
    "excuses": """
        SELECT claim_id, seller_id, order_number, sku, order_item_id, event FROM ledger.excuses
        ORDER BY claim_id, order_number, sku, order_item_id, event
    """,
    "notices": """
        SELECT notice_id, kind, period, seller_id, planned_at FROM ledger.notices
        ORDER BY notice_id
    """,
    "what they list": "SELECT * FROM ledger.notice_actions ORDER BY notice_id, action_id",
    "deliveries": """
        SELECT notice_id, at, code FROM ledger.deliveries WHERE status = 'sent' ORDER BY notice_id
    """,
    "slots": "SELECT * FROM ledger.slots ORDER BY slot, period",
}


@contextmanager
def new_desk(administration: sa.Engine) -> Iterator[Desk]:
    """An empty ledger and marketplace of one's own."""
    with own_ledger(administration) as ledger, tempfile.TemporaryDirectory() as home:
        yield Desk(ledger, Path(home))


def open_ledger(desk: Desk, at: str = "Mon 08:00") -> None:
    """The ledger's first slot."""
    desk.market.at(at)
    with desk.ledger.writing(is_simulated=True, now=desk.market.at(at)):
        pass
