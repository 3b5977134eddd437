"""An outbox over a test's ledger and server, and a process of it that dies midway or is interrupted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from hashlib import sha256
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import database, deliveries
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.notices import senders
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.mails import ListedActions, Mails, Telling, Worded
from vibes_pipeline.notices.outbox import Outbox
from vibes_pipeline.notices.senders import Sender
from vibes_pipeline.notices.smtp import SmtpTransport
from vibes_pipeline.notices.smtp_session import LIMIT_SECONDS
from vibes_pipeline.notices.transports import Connection, Transport

DIED = 9
KEY = Key(Path("key"), bytes(32))


@dataclass
class SetClock:
    """A clock that stands where a test has set it."""

    at: datetime
    is_simulated: bool = True

    def now(self) -> datetime:
        return self.at


class Addresses(dict[str, str | None]):
    """Every seller has an address unless one was set."""

    def get(self, seller_id: str, default: object = None) -> str | None:
        return self[seller_id] if seller_id in self else address(seller_id)


def address(seller_id: str) -> str:
    return f"{seller_id.lower()}@shop.example"


def smtp(url: str) -> SmtpTransport:
    host, _, port = url.removeprefix("smtp://").partition(":")
    return SmtpTransport(host, int(port), limit_seconds=dict.fromkeys(LIMIT_SECONDS, 5.0))


def outbox(
    ledger: Ledger,
    transport: Transport,
    clock: SetClock,
    addresses: Mapping[str, str | None] | None = None,
    connections: int = 4,
    padding: str = "",
) -> Outbox:
    known = Addresses() if addresses is None else addresses
    return Outbox(
        ledger=ledger,
        transport=transport,
        mails=PlainMails(known, padding),
        addresses=known,
        key=KEY,
        clock=clock,
        slot_now=clock.at,
        journal_file=journal_of(ledger),
        connections=connections,
    )


def journal_of(ledger: Ledger) -> Path:
    """One journal for all senders of a test's ledger."""
    # Servers of tests that run at the same time have databases of the same name.
    place = sha256(str(ledger.engine.url).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vibes-{place}.journal"


@dataclass(frozen=True)
class PlainMails(Mails):
    """Every action can be told of, by its reference alone."""

    known: Mapping[str, str | None]
    padding: str = ""

    def word(self, tellings: Sequence[Telling], at: datetime) -> Future[Sequence[Worded]]:
        done: Future[Sequence[Worded]] = Future()
        done.set_result([self._worded(*telling, at) for telling in tellings])
        return done

    def _worded(self, notice: OpenNotice, listed: ListedActions, at: datetime) -> Mail:
        message = EmailMessage()
        message["From"] = "vibes@mail.example"
        message["To"] = self.known.get(notice.seller_id)
        message["Message-ID"] = f"<{notice.notice_id}@mail.example>"
        message["Date"] = at
        message.set_content(" ".join(action["reference"] for action in listed) + self.padding)
        return Mail.of(message)


# --- a sender that dies -------------------------------------------------------------------------


@dataclass(frozen=True)
class Deadly:
    """Sends `mails` mails, then ends the process at once, before or after the next one."""

    transport: Transport
    mails: int
    is_after: bool

    def connect(self) -> Connection:
        return _DeadlyConnection(self.transport.connect(), self.mails, self.is_after)


@dataclass
class _DeadlyConnection:
    inner: Connection
    mails: int
    is_after: bool

    def send(self, mail: Mail, to: str) -> str:
        if self.mails == 0 and not self.is_after:
            os._exit(DIED)
        reply = self.inner.send(mail, to)
        if self.mails == 0:
            os._exit(DIED)
        self.mails -= 1
        return reply

    def give_up(self) -> None:
        self.inner.give_up()

    def close(self) -> None:
        self.inner.close()


# How long one that is interrupted waits for its server, here.
PATIENCE_SECONDS = {"interrupted": 0.3, "interrupted over a server that answers": 60.0}


def telling(
    wait: Callable[[Sequence[Sender], float], None], interrupted: Event
) -> Callable[..., None]:
    """Tells that an interrupt was seen, after which no mail may be begun."""

    def told(threads: Sequence[Sender], seconds: float) -> None:
        interrupted.set()
        wait(threads, seconds)

    return told


def send(
    death: str, url: str, smtp_url: str, connections: int, at: datetime, interrupted: Event
) -> None:
    """Deliver what is open, until the death; a process's target."""
    server = smtp(smtp_url)
    if death in PATIENCE_SECONDS:
        server = replace(server, limit_seconds=dict.fromkeys(LIMIT_SECONDS, 120.0))
    way: Transport = server
    if death.endswith("its batch is recorded"):
        recorded = deliveries.record

        def dying(*given: Any) -> int:
            if death.startswith("after"):
                recorded(*given)
            os._exit(DIED)

        deliveries.record = dying
    if death.startswith("just"):
        way = Deadly(way, mails=2, is_after=death == "just after the server's 250")
    if death in PATIENCE_SECONDS:
        # Whoever waits for no real server need not wait as long as for one; a busy machine is slow.
        senders.ANSWERS_WITHIN_SECONDS = PATIENCE_SECONDS[death]
        senders.RECORDS_WITHIN_SECONDS = 60.0
        senders._wait = telling(senders._wait, interrupted)  # type: ignore[assignment]
    ledger = Ledger(database.connect(make_url(url)), "NG")
    outbox(ledger, way, SetClock(at), connections=connections).deliver()
