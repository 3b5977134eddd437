"""Mails to the operators: plain text, one to each; the ledger has no record of them."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from uuid import uuid4

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.address import UnusableAddress, sender_address, usable_address
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.replies import Command, DeliveryError
from vibes_pipeline.notices.transports import transport_for
from vibes_pipeline.settings import Settings

# These mails go out from a sensor's tick, which may not last a minute; a second copy does no harm.
_LIMIT_SECONDS = dict.fromkeys(Command, 10.0)


class SomeNotReached(MailError):
    """At least one operator was written to, and others could not be."""


def write_to_operators(
    settings: Settings, subject: str, text: str, *, at: datetime, is_simulated: bool
) -> None:
    """Send one plain mail to each of `VIBES_OPERATORS`.

    Raises `MailError` for a server that cannot be reached and, once all others are written to, for
    an address that cannot be used or that the server refuses; `SomeNotReached` if there are others.
    """
    transport = transport_for(
        smtp_url=settings.smtp_url,
        mail_catcher_url=settings.mail_catcher_url,
        is_simulated=is_simulated,
        maildir_path=settings.maildir,
        limit_seconds=_LIMIT_SECONDS,
    )
    failures = []
    connection = transport.connect()
    try:
        for number, address in enumerate(settings.operators, start=1):
            try:
                connection.send(Mail.of(_mail(settings, address, subject, text, at)), address)
            except UnusableAddress as unusable:
                failures.append(f"address {number} cannot be used: {unusable.reason}")
            except DeliveryError as refusal:
                failures.append(f"address {number} was not written to: {refusal}")
    finally:
        connection.close()
    if failures:
        of_all = len(failures) == len(settings.operators)
        raise (MailError if of_all else SomeNotReached)(f"VIBES_OPERATORS: {'; '.join(failures)}")


def _mail(settings: Settings, address: str, subject: str, text: str, at: datetime) -> EmailMessage:
    author = sender_address(settings.sender)
    message = EmailMessage()
    message["From"] = str(author)
    message["To"] = usable_address(address)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = at
    message["Message-ID"] = f"<{uuid4()}@{author.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{text}\n")
    return message
