"""The outbox: every notice not accepted yet goes out, each attempt recorded before and after.

Here belongs when to send what (Rulebook §2): one sender a country at a time, several connections,
retries with a pause, a break without an answer resent once. How a mail is worded is `compose`'s,
how it travels `transports`'s, what is recorded `ledger.notices`'s.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from queue import Empty, SimpleQueue

from vibes_pipeline.clock import Clock
from vibes_pipeline.ledger import notices as book
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.notices.address import UnusableAddress, usable_address
from vibes_pipeline.notices.transports import (
    Connection,
    Deferred,
    MaildirTransport,
    Refused,
    Transport,
    Unknown,
)

CONNECTIONS = 4
# A deferred mail waits longer each time: 1, 2, 4 … minutes, at most an hour.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
RESENDS_OF_UNKNOWN = 1

Render = Callable[[OpenNotice, datetime], EmailMessage]


@dataclass(frozen=True)
class Outbox:
    """Sends the ledger's open notices.

    `addresses` maps a seller to the address in the warehouse, None where there is none; `render`
    words a notice as of the instant of its attempt; `slot_now` is what ledger events bear.
    """

    ledger: Ledger
    transport: Transport
    render: Render
    addresses: Mapping[str, str | None]
    clock: Clock
    slot_now: datetime
    connections: int = CONNECTIONS

    def deliver(self, progress: Callable[[], None] = lambda: None) -> Counter[str]:
        """Attempt every notice that is due; give how many ended in which status.

        Raises `MailError` when the server cannot be reached at all; what was not attempted stays
        queued and nothing is lost.
        """
        with book.only_sender(self.ledger):
            due: SimpleQueue[OpenNotice] = SimpleQueue()
            for notice in book.open_notices(self.ledger):
                if self._is_due(notice):
                    due.put(notice)
            outcomes: Counter[str] = Counter()
            if due.empty():
                return outcomes
            workers = min(self.connections, due.qsize())
            stop = threading.Event()
            with ThreadPoolExecutor(workers, thread_name_prefix="outbox") as pool:
                running = [pool.submit(self._work, due, stop, progress) for _ in range(workers)]
                for future in running:
                    outcomes.update(future.result())
            return outcomes

    def _work(
        self, due: SimpleQueue[OpenNotice], stop: threading.Event, progress: Callable[[], None]
    ) -> Counter[str]:
        """Send until nothing is due; one connection, opened when first needed."""
        outcomes: Counter[str] = Counter()
        connection: Connection | None = None
        try:
            while not stop.is_set():
                try:
                    notice = due.get_nowait()
                except Empty:
                    break
                address = self._address(notice)
                if isinstance(address, UnusableAddress):
                    outcomes[self._record_undeliverable(notice, address)] += 1
                else:
                    connection = connection or self.transport.connect()
                    outcomes[self._send(connection, notice, address)] += 1
                progress()
        except BaseException:
            stop.set()
            raise
        finally:
            if connection is not None:
                connection.close()
        return outcomes

    def _send(self, connection: Connection, notice: OpenNotice, address: str) -> str:
        attempt, at = notice.attempts + 1, self.clock.now()
        message = self.render(notice, at)
        if not self._record(notice, attempt, "sending", at, address):
            return "taken"
        status, code, detail = self._hand_over(connection, message, address)
        self._record(notice, attempt, status, self.clock.now(), address, code, detail)
        return status

    def _hand_over(
        self, connection: Connection, message: EmailMessage, address: str
    ) -> tuple[str, int | None, str]:
        """Status, code and text of what the server made of it."""
        try:
            reply = connection.send(message, address)
        except Deferred as failure:
            return "deferred", failure.code, failure.text
        except Refused as failure:
            return "failed", failure.code, failure.text
        except Unknown as failure:
            return "unknown", failure.code, failure.text
        if isinstance(self.transport, MaildirTransport) and not self.clock.is_simulated:
            # No server has taken it: on a live ledger that is no notice to the seller.
            return "stored", None, "kept in the Maildir; set VIBES_SMTP_URL to send it"
        return "sent", 250, reply

    def _is_due(self, notice: OpenNotice) -> bool:
        """Whether to attempt it now; an attempt broken off before is closed as unknown first."""
        match notice.status:
            case "queued":
                return True
            case "sending":
                book.record_attempt(
                    self.ledger,
                    notice,
                    notice.attempts,
                    "unknown",
                    self.clock.now(),
                    detail="the sender ended before the server's answer was recorded",
                    address_hash=notice.address_hash,
                )
                return notice.unknowns < RESENDS_OF_UNKNOWN
            case "unknown":
                return notice.unknowns <= RESENDS_OF_UNKNOWN
            case "deferred":
                return self.clock.now() >= retry_at(notice)
            case "stored":
                return not isinstance(self.transport, MaildirTransport)
            case _:
                # Refused for good or undeliverable: until the address in the warehouse is mended.
                return notice.address_hash != _hash(self.addresses.get(notice.seller_id))

    def _address(self, notice: OpenNotice) -> str | UnusableAddress:
        stored = self.addresses.get(notice.seller_id)
        try:
            return usable_address(stored)
        except UnusableAddress as unusable:
            return unusable

    def _record_undeliverable(self, notice: OpenNotice, why: UnusableAddress) -> str:
        at = self.clock.now()
        stored = self.addresses.get(notice.seller_id)
        self._record(notice, notice.attempts + 1, "undeliverable", at, stored, None, str(why))
        return "undeliverable"

    def _record(
        self,
        notice: OpenNotice,
        attempt: int,
        status: str,
        at: datetime,
        address: str | None,
        code: int | None = None,
        detail: str | None = None,
    ) -> bool:
        return book.record_attempt(
            self.ledger,
            notice,
            attempt,
            status,
            at,
            code=code,
            detail=detail,
            address_hash=_hash(address),
            slot_now=self.slot_now,
        )


def retry_at(notice: OpenNotice) -> datetime:
    """When a deferred notice is attempted again."""
    assert notice.last_at is not None
    doubled = FIRST_PAUSE * 2 ** min(notice.attempts - 1, 16)
    return notice.last_at + min(doubled, LONGEST_PAUSE)


def _hash(address: str | None) -> str | None:
    """Tells a mended address from the one that failed, without keeping it."""
    return None if address is None else hashlib.sha256(address.encode()).hexdigest()
