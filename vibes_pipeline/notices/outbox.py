"""The outbox: every notice not accepted yet goes out, each attempt recorded before and after.

Here belongs when to send what (Rulebook §2): one sender a country at a time, several connections,
retries with a pause, a break without an answer resent once. How a mail is worded is `compose`'s,
how it travels `transports`'s, what is recorded `ledger.notices`'s.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from queue import Empty, SimpleQueue
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa

from vibes_pipeline.clock import Clock
from vibes_pipeline.errors import MailError
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
# Refused for good, or without an address to try: until that in the warehouse is mended.
REFUSED = ("failed", "undeliverable")

log = logging.getLogger(__name__)

Told = Sequence[Mapping[str, Any]]


class Letters(Protocol):
    """Words notices as of the instant of an attempt."""

    def tellable(self, notice: OpenNotice, told: Told, at: datetime) -> Told:
        """Those of the actions that the notice can still tell of."""
        ...

    def word(self, notice: OpenNotice, told: Told, at: datetime) -> EmailMessage:
        """The mail about the actions."""
        ...


@dataclass(frozen=True)
class Outbox:
    """Sends the ledger's open notices.

    `addresses` maps a seller to the address in the warehouse, None where there is none;
    `slot_now` is what ledger events bear; `again` are the notices that a person has looked into
    and wants sent although their answer was lost before.
    """

    ledger: Ledger
    transport: Transport
    letters: Letters
    addresses: Mapping[str, str | None]
    clock: Clock
    slot_now: datetime
    connections: int = CONNECTIONS
    again: Collection[UUID] = ()

    def deliver(self, progress: Callable[[], None] = lambda: None) -> Counter[str]:
        """Attempt every notice that is due; give how many ended in which status.

        `pointless` are those with nothing left to tell, `taken` those another sender was first at.
        Raises `MailError` when the server cannot be reached at all, and, once all others are sent,
        when a notice could not be worded; what was not attempted stays queued, nothing is lost.
        """
        with book.only_sender(self.ledger):
            due: SimpleQueue[OpenNotice] = SimpleQueue()
            with self._recording() as connection:
                for notice in book.open_notices(self.ledger, self.clock.now()):
                    if self._is_due(connection, notice):
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
            if outcomes["unworded"]:
                raise MailError(
                    f"{outcomes['unworded']} notices could not be worded and stay queued, all "
                    "others were attempted; see the log for the cause"
                )
            return outcomes

    def _work(
        self, due: SimpleQueue[OpenNotice], stop: threading.Event, progress: Callable[[], None]
    ) -> Counter[str]:
        """Send until nothing is due; one connection, opened when first needed."""
        outcomes: Counter[str] = Counter()
        way: Connection | None = None
        try:
            with self._recording() as connection:
                while not stop.is_set():
                    try:
                        notice = due.get_nowait()
                    except Empty:
                        break
                    address = self._address(notice)
                    if isinstance(address, UnusableAddress):
                        status = self._record_undeliverable(connection, notice, address)
                    else:
                        way = way or self.transport.connect()
                        status = self._send(connection, way, notice, address)
                    outcomes[status] += 1
                    progress()
        except BaseException:
            stop.set()
            raise
        finally:
            if way is not None:
                way.close()
        return outcomes

    def _recording(self) -> AbstractContextManager[sa.Connection]:
        return book.sending(self.ledger, is_simulated=self.clock.is_simulated)

    def _send(
        self, connection: sa.Connection, way: Connection, notice: OpenNotice, address: str
    ) -> str:
        attempt, at = notice.attempts + 1, self.clock.now()
        told = self.letters.tellable(notice, book.actions_told(connection, notice), at)
        if not told and not notice.is_about_a_claim:
            return "pointless"
        notice = replace(notice, actions=[action["action_id"] for action in told])
        try:
            message = self.letters.word(notice, told, at)
        except Exception:
            # One notice that trips over its own words must not keep the others from their sellers.
            log.exception("notice %s could not be worded", notice.notice_id)
            return "unworded"
        if not self._record(connection, notice, attempt, "sending", at, address):
            return "taken"
        status, code, detail = self._hand_over(way, message, address)
        self._record(connection, notice, attempt, status, self.clock.now(), address, code, detail)
        return status

    def _hand_over(
        self, way: Connection, message: EmailMessage, address: str
    ) -> tuple[str, int | None, str]:
        """Status, code and text of what the server made of it."""
        try:
            reply = way.send(message, address)
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

    def _is_due(self, connection: sa.Connection, notice: OpenNotice) -> bool:
        """Whether to attempt it now; an attempt broken off before is closed as unknown first."""
        if notice.status == "sending":
            book.record_attempt(
                self.ledger,
                connection,
                notice,
                notice.attempts,
                "unknown",
                self.clock.now(),
                detail="the sender ended before the server's answer was recorded",
                address_hash=notice.address_hash,
            )
            return notice.unknowns < RESENDS_OF_UNKNOWN
        if awaits_a_person(notice):
            return notice.notice_id in self.again
        has_server = not isinstance(self.transport, MaildirTransport)
        return is_retry_due(notice, self.clock.now()) or is_obstacle_gone(
            notice, self.addresses.get(notice.seller_id), has_server=has_server
        )

    def _address(self, notice: OpenNotice) -> str | UnusableAddress:
        stored = self.addresses.get(notice.seller_id)
        try:
            return usable_address(stored)
        except UnusableAddress as unusable:
            return unusable

    def _record_undeliverable(
        self, connection: sa.Connection, notice: OpenNotice, why: UnusableAddress
    ) -> str:
        attempt, at = notice.attempts + 1, self.clock.now()
        stored = self.addresses.get(notice.seller_id)
        self._record(connection, notice, attempt, "undeliverable", at, stored, None, str(why))
        return "undeliverable"

    def _record(
        self,
        connection: sa.Connection,
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
            connection,
            notice,
            attempt,
            status,
            at,
            code=code,
            detail=detail,
            address_hash=_hash(address),
            slot_now=self.slot_now,
        )


def is_retry_due(notice: OpenNotice, now: datetime) -> bool:
    """Whether a notice waits for nothing but another attempt.

    One refused or undeliverable waits for its address to be mended, a second unknown for a person.
    """
    match notice.status:
        case "deferred":
            return now >= retry_at(notice)
        case "unknown":
            return not awaits_a_person(notice)
        case "queued" | "sending":
            return True
        case _:
            return False


def awaits_a_person(notice: OpenNotice) -> bool:
    """Whether its answer was lost so often that somebody must ask the relay what became of it."""
    return notice.status == "unknown" and notice.unknowns > RESENDS_OF_UNKNOWN


def is_obstacle_gone(notice: OpenNotice, address: str | None, *, has_server: bool) -> bool:
    """Whether what kept a notice back is: an address other than that which failed, or a server."""
    if notice.status == "stored":
        return has_server
    return notice.status in REFUSED and notice.address_hash != _hash(address)


def retry_at(notice: OpenNotice) -> datetime:
    """When a deferred notice is attempted again."""
    assert notice.last_at is not None
    doubled = FIRST_PAUSE * (1 << min(notice.attempts - 1, 16))
    return notice.last_at + min(doubled, LONGEST_PAUSE)


def _hash(address: str | None) -> str | None:
    """Tells a mended address from the one that failed, without keeping it."""
    return None if address is None else hashlib.sha256(address.encode()).hexdigest()
