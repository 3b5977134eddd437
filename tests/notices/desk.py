"""A real SMTP server whose commands a test answers, and one that talks by itself; mails for them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from mail_server import EphemeralController
from notice_samples import MESSAGE_DATE, SENDER, action, nigeria, notice

from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.message import compose
from vibes_pipeline.notices.replies import Command
from vibes_pipeline.notices.smtp import SmtpTransport
from vibes_pipeline.notices.smtp_session import LIMIT_SECONDS

TO = "owner@lantern-loom.example"
QUICK = dict.fromkeys(LIMIT_SECONDS, 5.0)


class Desk:
    """An aiosmtpd handler that keeps what it gets; `answers` decides per command and try."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.servers: list[SMTP] = []
        self.received: list[Envelope] = []
        self.commands: list[str] = []
        self.answers: dict[str, Callable[[SMTP, int], str | None]] = {}

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from, envelope.mail_options = address, options
        if not any(known is session for known in self.sessions):
            self.sessions.append(session)
            self.servers.append(server)
        return self._answer("MAIL", server) or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self._answer("RCPT", server) or "250 OK"
        if answer.startswith("25"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._answer("DATA", server) or "250 2.0.0 OK: queued as 42"
        if answer.startswith("250"):
            self.received.append(envelope)
        return answer

    def _answer(self, command: str, server: SMTP) -> str | None:
        self.commands.append(command)
        script = self.answers.get(command)
        return script(server, self.commands.count(command)) if script else None


def cut(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


@contextmanager
def serving(desk: Desk, **options: Any) -> Iterator[SmtpTransport]:
    """An SMTP server at work, and the transport to it."""
    controller = EphemeralController(desk, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield SmtpTransport("127.0.0.1", controller.port, limit_seconds=QUICK)
    finally:
        controller.stop()


@contextmanager
def scripted(talk: Callable[[socket.socket], None]) -> Iterator[SmtpTransport]:
    """A server that says exactly what `talk` does, to one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work() -> None:
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        limits = {**dict.fromkeys(LIMIT_SECONDS, 1.0), Command.END: 0.2}
        yield SmtpTransport("127.0.0.1", port, limit_seconds=limits)
        thread.join(timeout=5)


def up_to_data(connection: socket.socket) -> None:
    """Greet and accept everything until the mail's content is to come."""
    connection.sendall(b"220 ready\r\n")
    for reply in (b"250 hello\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n"):
        connection.recv(4096)
        connection.sendall(reply)


def whole_content(connection: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"\r\n.\r\n"):
        content += connection.recv(65536)
    return content


def mail(number: int = 1, **changes: Any) -> Mail:
    made = notice([action("returns_charge", number)], **changes)
    return compose(made, nigeria(), SENDER, MESSAGE_DATE)


def always(answer: str) -> Callable[[SMTP, int], str | None]:
    return lambda server, nth: answer


def first_time(answer: str) -> Callable[[SMTP, int], str | None]:
    return lambda server, nth: answer if nth == 1 else None
