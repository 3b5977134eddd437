"""A small marketplace, a real ledger, and the weekly slots run over them, week after week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from email.message import EmailMessage

import sqlalchemy as sa
from ledger import made
from notices.mail_server import Post, serving
from rules.marketplace import Item
from slots.whole_slots import WEEK, WholeSlots

from vibes_pipeline.ledger import schema, views


class Programme(WholeSlots):
    """Whole weekly slots."""

    def cycle(self, number: int) -> date:
        return self.market.monday + number * WEEK

    def state(self, rule: str, subject: str) -> str | None:
        """The present state of a charge of an item, or a regulation of a product or seller."""
        return made.states(self.ledger).get((rule, subject))

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


def sku(seller: str) -> str:
    return f"K-{seller}"


def out_of_stock(at: str = "Tue 10:00", **columns: str) -> Item:
    """An item ready in time and then cancelled for want of stock: an out-of-stock charge."""
    ready = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00")
    return {**ready, "cancelled_at": at, "cancel_reason": "out_of_stock", **columns}  # type: ignore[typeddict-item]


@contextmanager
def catching(programme: Programme) -> Iterator[Post]:
    """The programme's mail goes to a server that counts it."""
    with serving() as post:
        programme.environment["VIBES_MAIL_CATCHER_URL"] = post.url
        yield post
        del programme.environment["VIBES_MAIL_CATCHER_URL"]


def regulations(programme: Programme) -> dict[int, tuple[str, int | None]]:
    """State and ordinal of each cycle's sales regulation, cycles counted from 0."""
    s = views.action_states.c
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
