"""Attempts at notices: what they are made with, and how one is noted, begun and ended.

Here belongs what the outbox, which says what is due, and the dispatch, which sends it, share.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from vibes_pipeline.clock import Clock
from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import deliveries
from vibes_pipeline.ledger.deliveries import Delivery
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.ledger.states import Status
from vibes_pipeline.notices.mails import Mails
from vibes_pipeline.notices.transports import MaildirTransport, Transport

CONNECTIONS = 4


class Attempt(NamedTuple):
    """One try at a notice; `address` is where to, as the warehouse has it."""

    notice: OpenNotice
    number: int
    address: str | None


@dataclass(frozen=True, kw_only=True)
class Means:
    """What notices are sent with.

    `key` is what the ledger's hashes of addresses are made with; `slot_now` is what ledger events
    bear. So many `connections` are opened, and at most `rate` mails begun a second. `warn` is told
    when alerts go out too slowly for their notice.
    """

    ledger: Ledger
    transport: Transport
    mails: Mails
    key: Key
    clock: Clock
    slot_now: datetime
    connections: int = CONNECTIONS
    rate: float | None = None
    warn: Callable[[str], None] = lambda _: None

    def recording(self) -> AbstractContextManager[sa.Connection]:
        """A connection for who records what became of mails."""
        return deliveries.recording(self.ledger, is_simulated=self.clock.is_simulated)

    def begun(self, attempt: Attempt) -> Delivery:
        """An attempt that begins now."""
        notice = attempt.notice
        return Delivery(
            notice.notice_id,
            attempt.number,
            self.clock.now(),
            address_hash=self.key.hash_address(attempt.address),
            actions=notice.actions if notice.is_alert else (),
            slot_now=self.slot_now,
        )

    def ended(
        self, delivery: Delivery, status: str, code: int | None, detail: str | None
    ) -> Delivery:
        """The same attempt with what became of it, as of now."""
        at = self.clock.now()
        return replace(
            delivery,
            # A server may have taken longer to answer than a live ledger takes deliveries late.
            began_at=delivery.began_at and max(delivery.began_at, at - deliveries.RECORDED_LATE),
            status=status,
            at=at,
            code=code,
            detail=detail,
        )

    def accepted(self, reply: str) -> tuple[str, int | None, str]:
        """Status, code and words of a mail that was taken."""
        if isinstance(self.transport, MaildirTransport) and not self.clock.is_simulated:
            # No server has taken it: on a live ledger that is no notice to the seller.
            return Status.STORED, None, "kept in the Maildir; set VIBES_SMTP_URL to send it"
        return Status.SENT, 250, reply
