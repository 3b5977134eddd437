"""The outbox: every notice not accepted yet goes out, each attempt recorded before and after.

Here belongs when to send what (Rulebook §2): one sender a country at a time, several connections,
retries with a pause, a break without an answer resent once, an end to a delivery that the relay
refuses. How a mail is built is `message`'s, how it travels `transports`'s, whom a refusal is about
`verdicts`'s, what is recorded `ledger.notices`'s.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import sqlalchemy as sa

from vibes_pipeline.clock import Clock
from vibes_pipeline.errors import MailError
from vibes_pipeline.interrupts import interrupts_held
from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import address_keys
from vibes_pipeline.ledger import notices as ledger_notices
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.locks import Hold
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.ledger.states import REFUSED, Status
from vibes_pipeline.notices.address import UnusableAddress, usable_address
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.replies import DeliveryError, Refused, Unknown, Unwritable
from vibes_pipeline.notices.senders import Sender, run_to_the_end
from vibes_pipeline.notices.transports import Connection, MaildirTransport, Transport
from vibes_pipeline.notices.verdicts import Settled, Verdicts

CONNECTIONS = 4
# A deferred mail waits longer each time: 1, 2, 4 … minutes, at most an hour.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
RESENDS_OF_UNKNOWN = 1

log = logging.getLogger(__name__)

ListedActions = Sequence[Mapping[str, Any]]


class Mails(Protocol):
    """Builds the mails of notices, as of the instant of an attempt."""

    def worth_listing(
        self, notice: OpenNotice, listed: ListedActions, at: datetime
    ) -> ListedActions:
        """Those of the actions that the notice should still list."""
        ...

    def build(self, notice: OpenNotice, listed: ListedActions, at: datetime) -> Mail:
        """The mail about the actions."""
        ...


class Attempt(NamedTuple):
    """One try at a notice; `address` is where to, as the warehouse has it."""

    notice: OpenNotice
    number: int
    address: str | None


@dataclass(frozen=True)
class Outbox:
    """Sends the ledger's open notices.

    `addresses` maps a seller to the address in the warehouse, None where there is none, and `key`
    is what the ledger's hashes of them are made with; `slot_now` is what ledger events bear;
    `only`, if given, are the notices that a person wants sent now: these alone are, whatever keeps
    them back.
    """

    ledger: Ledger
    transport: Transport
    mails: Mails
    addresses: Mapping[str, str | None]
    key: Key
    clock: Clock
    slot_now: datetime
    connections: int = CONNECTIONS
    only: Collection[UUID] | None = None

    def deliver(self, progress: Callable[[], None] = lambda: None) -> Counter[str]:
        """Attempt every notice that is due; give how many ended in which status.

        `pointless` are those with no action left to list, `taken` those that another sender took
        first. Raises `MailError` when the server cannot be reached at all, when it refuses whoever
        a mail is to, when the mail folder cannot be written, and, once all others are sent, when a
        notice could not be built; `LedgerError` when its hold of the outbox is lost, or when the
        ledger's addresses were hashed with another key. What was not attempted stays as it was,
        nothing is lost. An interrupt ends the sending after the mails at hand, and cuts these off
        from a server that does not answer within seconds.
        """
        with ledger_notices.only_sender(self.ledger) as hold:
            due: SimpleQueue[Attempt] = SimpleQueue()
            ended: list[str] = []
            with self.recording() as connection:
                waiting = ledger_notices.open_notices(self.ledger, self.clock.now())
                if waiting:
                    address_keys.require(self.ledger, self.key, self.clock.now())
                for notice in waiting:
                    if not self._is_due(connection, notice):
                        continue
                    stored = self.addresses.get(notice.seller_id)
                    attempt = Attempt(notice, notice.attempts + 1, stored)
                    if self._is_addressed(connection, attempt):
                        due.put(attempt)
                    else:
                        ended.append(Status.UNDELIVERABLE)
                        progress()
            if not due.empty():
                _Delivery(self, hold, due, ended, progress).run()
            return Counter(ended)

    def recording(self) -> AbstractContextManager[sa.Connection]:
        """A connection for one thread that records attempts."""
        return ledger_notices.sending(self.ledger, is_simulated=self.clock.is_simulated)

    def record(
        self,
        connection: sa.Connection,
        attempt: Attempt,
        status: str,
        code: int | None = None,
        detail: str | None = None,
    ) -> bool:
        """Append a row of an attempt, as of now; False if another sender was there first."""
        return ledger_notices.record_attempt(
            self.ledger,
            connection,
            attempt.notice,
            attempt.number,
            status,
            self.clock.now(),
            code=code,
            detail=detail,
            address_hash=self.key.hash_address(attempt.address),
            slot_now=self.slot_now,
        )

    def _is_due(self, connection: sa.Connection, notice: OpenNotice) -> bool:
        """Whether to attempt it now; an attempt broken off before is closed as unknown first."""
        if self.only is not None and notice.notice_id not in self.only:
            return False
        if notice.status == Status.SENDING:
            ledger_notices.record_attempt(
                self.ledger,
                connection,
                notice,
                notice.attempts,
                Status.UNKNOWN,
                self.clock.now(),
                detail="the sender ended before the server's answer was recorded",
                address_hash=notice.address_hash,
            )
            return self.only is not None or notice.unknowns < RESENDS_OF_UNKNOWN
        has_server = not isinstance(self.transport, MaildirTransport)
        return (
            self.only is not None
            or is_retry_due(notice, self.clock.now())
            # The pause is for a server; a folder needs none.
            or (notice.status == Status.DEFERRED and not has_server)
            or is_obstacle_gone(
                notice,
                self.addresses.get(notice.seller_id),
                self.key,
                has_server=has_server,
            )
        )

    def _is_addressed(self, connection: sa.Connection, attempt: Attempt) -> bool:
        """Whether it can be sent where it is to; recorded as undeliverable if not."""
        try:
            usable_address(attempt.address)
        except UnusableAddress as unusable:
            self.record(connection, attempt, Status.UNDELIVERABLE, detail=str(unusable))
            return False
        return True


@dataclass
class _Delivery:
    """The sending of all that is due; its threads share all but their connections."""

    outbox: Outbox
    hold: Hold
    due: SimpleQueue[Attempt]
    ended: list[str]
    progress: Callable[[], None]

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.verdicts: Verdicts[Attempt] = Verdicts(self.stop)

    def run(self) -> None:
        """Send until nothing is due or the relay refuses; `MailError` as `Outbox.deliver` says."""
        transport, count = self.outbox.transport, min(self.outbox.connections, self.due.qsize())
        senders = [Sender(transport, self.work, self.stop) for _ in range(count)]
        with interrupts_held() as interrupted:
            try:
                run_to_the_end(senders, self.stop, interrupted)
            finally:
                with self.outbox.recording() as connection:
                    self._record_settled(connection, self.verdicts.end())
        if interrupted.is_set():
            # The signal was held back while mails were sent; the caller must still see it.
            raise KeyboardInterrupt
        ended = Counter(self.ended)
        if complaint := self.verdicts.complaint:
            waiting = {"not attempted": self.due.qsize()} if self.due.qsize() else {}
            counts = ", ".join(f"{n} {s}" for s, n in [*sorted(ended.items()), *waiting.items()])
            if isinstance(complaint, Unwritable):
                raise MailError(f"{complaint}; {counts}; what is not sent is tried again")
            raise MailError(
                f"the mail server takes no mails, whoever they are to ({complaint}); {counts}; "
                "see to the server: what is not sent is tried again"
            )
        if ended["not built"]:
            raise MailError(
                f"{ended['not built']} mails could not be built and stay queued, all others were "
                "attempted; see the log for the cause"
            )

    def work(self, mail_connection: Connection) -> None:
        """Send over one connection until nothing is due or all are to stop."""
        with self.outbox.recording() as connection:
            while not self.stop.is_set():
                try:
                    attempt = self.due.get_nowait()
                except Empty:
                    return
                self._send(connection, mail_connection, attempt)
                self.progress()

    def _send(
        self, connection: sa.Connection, mail_connection: Connection, attempt: Attempt
    ) -> None:
        notice, at, mails = attempt.notice, self.outbox.clock.now(), self.outbox.mails
        listed = mails.worth_listing(notice, ledger_notices.actions_to_list(connection, notice), at)
        if not listed and not notice.is_about_a_claim:
            self.ended.append("pointless")
            return
        notice = replace(notice, actions=[action["action_id"] for action in listed])
        attempt = attempt._replace(notice=notice)
        try:
            mail = mails.build(notice, listed, at)
        except Exception:
            # A notice whose mail cannot be built must not keep the others from being sent.
            log.exception("the mail of notice %s could not be built", notice.notice_id)
            self.ended.append("not built")
            return
        # Once the hold is lost, another sender may have begun and taken this one for dead.
        self.hold.require()
        if self.outbox.record(connection, attempt, Status.SENDING):
            self._hand_over(connection, mail_connection, attempt, mail)
        else:
            self.ended.append("taken")

    def _hand_over(
        self,
        connection: sa.Connection,
        mail_connection: Connection,
        attempt: Attempt,
        mail: Mail,
    ) -> None:
        """Record the server's answer; a refusal only once it is clear whom it was about."""
        to = usable_address(attempt.address)
        try:
            reply = mail_connection.send(mail, to)
        except Refused as refusal:
            self._record_settled(connection, self.verdicts.refuse(to, attempt, refusal))
        except DeliveryError as failure:
            status = Status.UNKNOWN if isinstance(failure, Unknown) else Status.DEFERRED
            self._record(connection, attempt, status, failure.code, failure.text)
            self.verdicts.fail(to, failure)
        else:
            if isinstance(self.outbox.transport, MaildirTransport) and not (
                self.outbox.clock.is_simulated
            ):
                # No server has taken it: on a live ledger that is no notice to the seller.
                kept = "kept in the Maildir; set VIBES_SMTP_URL to send it"
                self._record(connection, attempt, Status.STORED, None, kept)
            else:
                self._record(connection, attempt, Status.SENT, 250, reply)
            self._record_settled(connection, self.verdicts.accept(to))

    def _record_settled(
        self, connection: sa.Connection, settled: Sequence[Settled[Attempt]]
    ) -> None:
        for attempt, refusal, is_final in settled:
            status = Status.FAILED if is_final else Status.DEFERRED
            self._record(connection, attempt, status, refusal.code, refusal.text)

    def _record(
        self,
        connection: sa.Connection,
        attempt: Attempt,
        status: str,
        code: int | None,
        detail: str,
    ) -> None:
        self.outbox.record(connection, attempt, status, code, detail)
        self.ended.append(status)


def is_retry_due(notice: OpenNotice, now: datetime) -> bool:
    """Whether a notice waits for nothing but another attempt.

    One refused or undeliverable waits for its address to be mended, a second unknown for a person.
    """
    match notice.status:
        case Status.DEFERRED:
            return now >= retry_at(notice)
        case Status.UNKNOWN:
            return not awaits_a_person(notice)
        case Status.QUEUED | Status.SENDING:
            return True
        case _:
            return False


def awaits_a_person(notice: OpenNotice) -> bool:
    """Whether its answer was lost so often that somebody must ask the relay what became of it."""
    return notice.status == Status.UNKNOWN and notice.unknowns > RESENDS_OF_UNKNOWN


def is_obstacle_gone(
    notice: OpenNotice, address: str | None, key: Key, *, has_server: bool
) -> bool:
    """Whether what kept a notice back is gone: there is another address, or there is a server."""
    if notice.status == Status.STORED:
        return has_server
    return notice.status in REFUSED and not key.is_of_address(notice.address_hash, address)


def retry_at(notice: OpenNotice) -> datetime:
    """When a deferred notice is attempted again."""
    assert notice.last_at is not None
    doubled = FIRST_PAUSE * (1 << min(notice.attempts - 1, 16))
    return notice.last_at + min(doubled, LONGEST_PAUSE)
