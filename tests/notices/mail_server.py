"""A real SMTP server on the loopback for tests: it keeps what it accepts, and errs as told."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

Answer = Callable[[], "str | None"]


@dataclass
class Post:
    """What one server got; `answers` says per recipient what to answer to each whole mail.

    An answer is a reply such as "451 later"; "cut" ends the connection without one, and "block"
    says nothing until `release` is called. When a recipient's answers are used up, mail is taken.
    """

    port: int = 0
    answers: dict[str, list[str]] = field(default_factory=dict)
    default: str = "250 2.0.0 OK"
    delay_seconds: float = 0.0
    received: list[Envelope] = field(default_factory=list)
    blocked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def mails_to(self, recipient: str) -> list[EmailMessage]:
        """The mails the server had whole, whatever it answered."""
        return [
            message_from_bytes(_content(e), policy=SMTP_POLICY)
            for e in self.received
            if e.rcpt_tos == [recipient]
        ]

    def copies(self) -> Counter[str]:
        """How many whole mails came for each recipient."""
        return Counter(e.rcpt_tos[0] for e in self.received)

    def release(self) -> None:
        """Let the blocked mails be answered; from now on nothing blocks."""
        self._released.set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.received.append(envelope)
        await asyncio.sleep(self.delay_seconds)
        answers = self.answers.get(envelope.rcpt_tos[0], [])
        answer = answers.pop(0) if answers else self.default
        if answer == "cut":
            cast(asyncio.Transport, server.transport).abort()
        if answer == "block" and not self._released.is_set():
            self.blocked.release()
            while not self._released.is_set():
                await asyncio.sleep(0.01)
        return answer if re.match(r"\d{3} ", answer) else "250 2.0.0 OK"


def _content(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


class EphemeralController(Controller):
    """Listens on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def serving(post: Post | None = None) -> Iterator[Post]:
    """A server at work on a port of its own."""
    post = post or Post()
    # Connections are cut on purpose, which the server would log as errors.
    loggers = [logging.getLogger(name) for name in ("asyncio", "mail.log")]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    controller = EphemeralController(post, hostname="127.0.0.1", port=0)
    controller.start()
    post.port = controller.port
    try:
        yield post
    finally:
        post.release()
        controller.stop()
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
