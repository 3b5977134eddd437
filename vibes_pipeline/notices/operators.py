"""Mails to the operators, one to each: from the ledger's outbox of them, or at once.

What the ledger's outbox holds was worded when it was planned, and is sent as it is: each attempt
is noted before and after, a relay that is down is tried again, a lost answer is resent once. What
`write_to_operators` sends, the ledger has no record of: a second copy does no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from uuid import UUID, uuid4, uuid5

from vibes_pipeline.clock import Clock
from vibes_pipeline.errors import MailError
from vibes_pipeline.keys import home_key
from vibes_pipeline.ledger import operators
from vibes_pipeline.ledger.ledger import OPERATORS_LOCK, Ledger
from vibes_pipeline.ledger.locks import Hold
from vibes_pipeline.ledger.operators import OpenMail
from vibes_pipeline.ledger.states import Status
from vibes_pipeline.notices.address import (
    UnusableAddress,
    message_id,
    sender_address,
    usable_address,
)
from vibes_pipeline.notices.journal import BROKEN_OFF
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.outbox import RESENDS_OF_UNKNOWN, pause_after
from vibes_pipeline.notices.replies import Command, DeliveryError, Refused, Unknown
from vibes_pipeline.notices.transports import (
    Connection,
    MaildirTransport,
    Transport,
    transport_for,
)
from vibes_pipeline.settings import Settings

# These mails go out from a sensor's tick, which may not last a minute.
_LIMIT_SECONDS = dict.fromkeys(Command, 10.0)


class SomeNotReached(MailError):
    """At least one operator was written to, and others could not be."""


@dataclass(frozen=True)
class Words:
    """What a mail says; without `html` it is plain text alone."""

    subject: str
    body: str
    html: str | None = None


def write_to_operators(
    settings: Settings, subject: str, text: str, *, at: datetime, is_simulated: bool
) -> None:
    """Send one plain mail to each of `VIBES_OPERATORS`.

    Raises `MailError` for a server that cannot be reached and, once all others are written to, for
    an address that cannot be used or that the server refuses; `SomeNotReached` if there are others.
    """
    connection = _transport(settings, is_simulated).connect()
    failures = []
    try:
        for number, address in enumerate(settings.operators, start=1):
            try:
                mail = worded(settings, address, uuid4(), Words(subject, text), at)
                connection.send(mail, address)
            except (UnusableAddress, DeliveryError) as failure:
                failures.append(_not_reached(number, failure))
    finally:
        connection.close()
    _require_reached(failures, len(settings.operators))


def by_hash(settings: Settings) -> dict[str, str]:
    """The operators' addresses by their hashes, which are all that the ledger knows of them."""
    key = home_key(settings.home)
    hashed = ((key.hash_address(address), address) for address in settings.operators)
    return {name: address for name, address in hashed if name is not None}


def due_mails(ledger: Ledger, now: datetime) -> list[OpenMail]:
    """The mails of the outbox that may be attempted now."""
    return [mail for mail in operators.open_mails(ledger, now) if _is_due(mail, now)]


def send_due(
    ledger: Ledger, settings: Settings, clock: Clock, *, is_simulated: bool
) -> Counter[str]:
    """Attempt every mail that is due; give how many ended in which status.

    A mail goes to those who were operators when it was planned and still are. Raises as
    `write_to_operators` does; what was not taken stays as it was, and is tried again after a pause.
    """
    # Two who send at the same time take turns, and the second finds what the first has sent.
    with ledger.holding(OPERATORS_LOCK) as hold:
        sender = _Sender(ledger, settings, clock, hold, _transport(settings, is_simulated))
        return sender.send(due_mails(ledger, clock.now()))


def worded(settings: Settings, address: str, mail_id: UUID, words: Words, at: datetime) -> Mail:
    """A mail to one operator; `UnusableAddress` if the address is none."""
    author = sender_address(settings.sender)
    message = EmailMessage()
    message["From"] = str(author)
    message["To"] = usable_address(address)
    message["Subject"] = " ".join(words.subject.split())
    message["Date"] = at
    message["Message-ID"] = message_id(mail_id, author)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{words.body}\n")
    if words.html is not None:
        message.add_alternative(words.html, subtype="html")
    return Mail.of(message)


@dataclass(frozen=True)
class _Sender:
    """The one who sends now; what is found in `sending` was broken off."""

    ledger: Ledger
    settings: Settings
    clock: Clock
    hold: Hold
    transport: Transport

    def send(self, due: Sequence[OpenMail]) -> Counter[str]:
        addresses = by_hash(self.settings)
        numbers = {name: number for number, name in enumerate(addresses, start=1)}
        ended: Counter[str] = Counter()
        failures = []
        known = (mail for mail in due if mail.address_hash in addresses)
        in_order = sorted(known, key=lambda mail: numbers[mail.address_hash])
        to_send = [mail for mail in in_order if self._goes_on(mail)]
        if not to_send:
            return ended
        connection = self._connect(to_send)
        try:
            for mail in to_send:
                try:
                    address = addresses[mail.address_hash]
                    ended[self._attempt(connection, mail, address)] += 1
                except (UnusableAddress, DeliveryError) as failure:
                    failures.append(_not_reached(numbers[mail.address_hash], failure))
        finally:
            connection.close()
        _require_reached(failures, len(to_send))
        return ended

    def _goes_on(self, mail: OpenMail) -> bool:
        """Whether to attempt it; an attempt broken off before is closed as unknown first."""
        if mail.status != Status.SENDING:
            return True
        self._record(mail, mail.attempt, Status.UNKNOWN, None, BROKEN_OFF)
        return mail.unknowns < RESENDS_OF_UNKNOWN

    def _connect(self, to_send: Sequence[OpenMail]) -> Connection:
        """A connection; if there is none, every mail was attempted in vain."""
        try:
            return self.transport.connect()
        except MailError as unreachable:
            for mail in to_send:
                self._record(mail, mail.attempt + 1, Status.DEFERRED, None, str(unreachable))
            raise

    def _attempt(self, connection: Connection, mail: OpenMail, address: str) -> str:
        attempt = mail.attempt + 1
        words = Words(mail.subject, mail.body, mail.html)
        # One who gets the same mail twice sees that it is the same.
        of_operator = uuid5(mail.mail_id, mail.address_hash)
        try:
            built = worded(self.settings, address, of_operator, words, mail.planned_at)
        except UnusableAddress as unusable:
            self._record(mail, attempt, Status.FAILED, None, unusable.reason)
            raise
        # Once the hold is lost, another sender may have begun.
        self.hold.require()
        self._record(mail, attempt, Status.SENDING)
        try:
            reply = connection.send(built, address)
        except DeliveryError as failure:
            status = Status.DEFERRED
            if isinstance(failure, Refused | Unknown):
                status = Status.FAILED if isinstance(failure, Refused) else Status.UNKNOWN
            self._record(mail, attempt, status, failure.code, failure.text)
            raise
        is_stored = isinstance(self.transport, MaildirTransport) and not self.clock.is_simulated
        status, code = (Status.STORED, None) if is_stored else (Status.SENT, 250)
        self._record(mail, attempt, status, code, reply)
        return status

    def _record(
        self,
        mail: OpenMail,
        attempt: int,
        status: str,
        code: int | None = None,
        detail: str | None = None,
    ) -> None:
        at = self.clock.now()
        operators.record(self.ledger, mail, attempt, status, at, code=code, detail=detail)


def _is_due(mail: OpenMail, now: datetime) -> bool:
    match mail.status:
        case Status.DEFERRED:
            return now >= mail.last_at + pause_after(mail.attempt)
        case Status.UNKNOWN:
            return mail.unknowns <= RESENDS_OF_UNKNOWN
        case _:
            return True


def _transport(settings: Settings, is_simulated: bool) -> Transport:
    return transport_for(
        smtp_url=settings.smtp_url,
        mail_catcher_url=settings.mail_catcher_url,
        is_simulated=is_simulated,
        maildir_path=settings.maildir,
        limit_seconds=_LIMIT_SECONDS,
    )


def _not_reached(number: int, failure: UnusableAddress | DeliveryError) -> str:
    if isinstance(failure, UnusableAddress):
        return f"address {number} cannot be used: {failure.reason}"
    return f"address {number} was not written to: {failure}"


def _require_reached(failures: Sequence[str], attempted: int) -> None:
    if failures:
        of_all = len(failures) == attempted
        raise (MailError if of_all else SomeNotReached)(f"VIBES_OPERATORS: {'; '.join(failures)}")
