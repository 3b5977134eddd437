"""The outbox: every notice not accepted yet goes out, each attempt noted before and after.

Here belongs when to send what (Rulebook §2): one sender a country at a time, what an earlier sender
left is recorded first, retries with a pause, a break without an answer resent once. How the work is
divided is `dispatch`'s, how a mail is built `message`'s, how it travels `transports`'s, what is
recorded `ledger.deliveries`'s.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import address_keys, deliveries
from vibes_pipeline.ledger import notices as ledger_notices
from vibes_pipeline.ledger.deliveries import Delivery
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.ledger.states import REFUSED, Status
from vibes_pipeline.notices.address import UnusableAddress, usable_address
from vibes_pipeline.notices.attempts import Attempt, Means
from vibes_pipeline.notices.dispatch import Dispatch
from vibes_pipeline.notices.journal import BROKEN_OFF, Journal
from vibes_pipeline.notices.transports import MaildirTransport

# A deferred mail waits longer each time: 1, 2, 4 … minutes, at most an hour.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
RESENDS_OF_UNKNOWN = 1


@dataclass(frozen=True, kw_only=True)
class Outbox(Means):
    """Sends the ledger's open notices.

    `addresses` maps a seller to the address in the warehouse, None where there is none;
    `journal_file` holds what is not recorded yet. `only`, if given, are the notices that a person
    wants sent now: these alone are, whatever keeps them back.
    """

    addresses: Mapping[str, str | None]
    journal_file: Path
    only: Collection[UUID] | None = None

    def deliver(self, progress: Callable[[], None] = lambda: None) -> Counter[str]:
        """Attempt every notice that is due; give how many ended in which status.

        `pointless` are those with no action left to list. Raises `MailError` when the server cannot
        be reached at all, when it refuses whoever a mail is to, when the mail folder or the journal
        cannot be written or the journal not be read, and, once all others are sent, when a notice
        could not be built; `LedgerError` when its hold of the outbox is lost, or when the ledger's
        addresses were hashed with another key. What was not attempted stays as it was, nothing is
        lost. An interrupt ends the sending after the mails at hand, and cuts these off from a
        server that does not answer within seconds.
        """
        with ledger_notices.only_sender(self.ledger) as hold:
            journal = self._journal()
            ended: list[str] = []
            try:
                due = self._due(journal, ended, progress)
                if due:
                    Dispatch(self, hold, journal, due, progress, ended).run()
            finally:
                journal.close()
            return Counter(ended)

    def recover(self) -> None:
        """Record what an earlier sender did and could not record; nothing is sent."""
        with ledger_notices.only_sender(self.ledger), self.recording() as connection:
            self._recover(connection, self._journal())

    def _journal(self) -> Journal:
        return Journal(
            self.journal_file,
            deliveries.mark_of(self.ledger),
            is_durable=not self.clock.is_simulated,
        )

    def _recover(self, connection: sa.Connection, journal: Journal) -> None:
        now = self.clock.now()
        if left := journal.left(now):
            deliveries.record_late(self.ledger, connection, left, now)
        journal.clear()

    def _due(
        self, journal: Journal, ended: list[str], progress: Callable[[], None]
    ) -> deque[Attempt]:
        """What is to be sent now, once all is recorded that an earlier sender left."""
        due: deque[Attempt] = deque()
        closed: list[Delivery] = []
        with self.recording() as connection:
            now = self.clock.now()
            self._recover(connection, journal)
            waiting = ledger_notices.open_notices(self.ledger, now)
            if waiting:
                address_keys.require(self.ledger, self.key, now)
            for notice in waiting:
                if not self._is_due(notice, closed):
                    continue
                stored = self.addresses.get(notice.seller_id)
                attempt = Attempt(notice, notice.attempts + 1, stored)
                try:
                    usable_address(stored)
                except UnusableAddress as unusable:
                    closed.append(self._undeliverable(attempt, str(unusable)))
                    ended.append(Status.UNDELIVERABLE)
                    progress()
                else:
                    due.append(attempt)
            if closed:
                deliveries.record(self.ledger, connection, closed)
        return due

    def _is_due(self, notice: OpenNotice, closed: list[Delivery]) -> bool:
        """Whether to attempt it now; an attempt broken off before is closed as unknown first."""
        if self.only is not None and notice.notice_id not in self.only:
            return False
        if notice.status == Status.SENDING:
            broken_off = Delivery(
                notice.notice_id, notice.attempts, None, address_hash=notice.address_hash
            )
            closed.append(self.ended(broken_off, Status.UNKNOWN, None, BROKEN_OFF))
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

    def _undeliverable(self, attempt: Attempt, why: str) -> Delivery:
        """An attempt that ended before it began: it cannot be sent where it is to."""
        notice, hashed = attempt.notice, self.key.hash_address(attempt.address)
        unsent = Delivery(notice.notice_id, attempt.number, None, address_hash=hashed)
        return self.ended(unsent, Status.UNDELIVERABLE, None, why)


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
    return notice.last_at + pause_after(notice.attempts)


def pause_after(attempts: int) -> timedelta:
    """How long a mail waits that was deferred by its last attempt."""
    doubled = FIRST_PAUSE * (1 << min(attempts - 1, 16))
    return min(doubled, LONGEST_PAUSE)
