"""A mail server that takes most mails, and errs with the others as real relays do.

Here belongs what it answers. Of each try at a recipient it is decided beforehand, by the seed, so
that threads in another order get the same answers; only an outage strikes whoever comes just then.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, cast

from aiosmtpd.smtp import SMTP, Envelope, Session
from notices.mail_server import Post

ACCEPTED = "250 2.0.0 OK"
CUT = "cut"
LATER = ("451 4.3.0 try again later", "450 4.2.1 mailbox busy", "452 4.3.1 no space just now")
OF_THE_RELAY = ("554 5.7.1 relaying denied", "554 5.3.0 out of order", "421 4.3.2 closing down")
# Whoever a relay errs about is got through to in the end.
TRIES_AT_MOST = 5
OUTAGE = 8
SLOWEST_SECONDS = 0.02
_MESSAGE_ID = re.compile(rb"(?mi)^Message-ID:\s*<([^@>]+)@")


class Fate(NamedTuple):
    """What becomes of one try: what is answered to the recipient, and what to the whole mail."""

    rcpt: str = ACCEPTED
    end: str = ACCEPTED


class Mail(NamedTuple):
    """A mail that the server had whole, and its answer."""

    notice_id: str
    answer: str


@dataclass
class BadRelay(Post):
    """Errs at three tries in ten: 20% put off, 5% refused as by the relay, 5% cut off.

    Every third seed has an outage too, in which everybody is refused for a while. `mails` are those
    it had whole; `heard` counts the tries, as they begin.
    """

    seed: str = ""
    mails: list[Mail] = field(default_factory=list)
    heard: int = 0
    _tries: Counter[str] = field(default_factory=Counter)
    _fates: dict[str, Fate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = Random(f"outage {self.seed}")
        self._outage = random.choice((0, 0, random.randint(1, 30)))

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.heard += 1
        self._tries[address] += 1
        is_out = self._outage <= self.heard < self._outage + OUTAGE and self._outage
        fate = Fate(rcpt=OF_THE_RELAY[0]) if is_out else self._drawn(address)
        self._fates[address] = fate
        if fate.rcpt == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return self._said(server, fate.rcpt)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        (address,) = envelope.rcpt_tos
        await asyncio.sleep(Random(f"{self.seed} {address}").random() * SLOWEST_SECONDS)
        assert isinstance(envelope.content, bytes)
        found = _MESSAGE_ID.search(envelope.content)
        assert found is not None
        answer = self._fates[address].end
        self.mails.append(Mail(found[1].decode(), answer))
        return self._said(server, answer)

    def _drawn(self, address: str) -> Fate:
        number = self._tries[address]
        random = Random(f"{self.seed} {address} {number}")
        draw, is_early = random.random(), random.random() < 0.5
        if draw < 0.7 or number >= TRIES_AT_MOST:
            return Fate()
        if draw < 0.9:
            answer = random.choice(LATER)
        else:
            answer = random.choice(OF_THE_RELAY) if draw < 0.95 else CUT
        return Fate(rcpt=answer) if is_early else Fate(end=answer)

    def _said(self, server: SMTP, answer: str) -> str:
        if answer == CUT:
            cast(asyncio.Transport, server.transport).abort()
        return answer


class GoodRelay(BadRelay):
    """Takes every mail."""

    def __post_init__(self) -> None:
        self._outage = 0

    def _drawn(self, address: str) -> Fate:
        return Fate()
