"""A relay over a real socket that says exactly what a test has written down, command by command.

`Post` of `mail_server` is a well-behaved server that may refuse a whole mail; this one may greet
wrongly, answer garbage, dribble, fall silent or hang up at any command.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from vibes_pipeline.notices.replies import Command
from vibes_pipeline.notices.smtp import SmtpTransport
from vibes_pipeline.notices.smtp_session import LIMIT_SECONDS

FRIENDLY = {
    "greeting": "220 relay.example ready",
    "EHLO": "250-relay.example\r\n250 SIZE 10000000",
    "HELO": "250 relay.example",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 go on",
    "END": "250 2.0.0 OK: queued",
    "RSET": "250 2.0.0 OK",
    "QUIT": "221 2.0.0 bye",
}
CUT, SILENT = "cut", "silent"


@dataclass
class Relay:
    """`says` is the answer at a command, `to` the answer there for one recipient's mail.

    An answer is the lines of a reply; "cut" hangs up without a word, "silent" never answers. A list
    is used up answer by answer, then all is well. `commands`, `connections` and `mails` (whole
    ones, by recipient) are what it saw.
    """

    says: Mapping[str, str | list[str]] = field(default_factory=dict)
    to: Mapping[str, Mapping[str, str | list[str]]] = field(default_factory=dict)
    port: int = 0
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    is_waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def transport(self, **limits: float) -> SmtpTransport:
        """The way there; limits in seconds by the command's name, such as `END=0.1`."""
        given = {Command[name]: seconds for name, seconds in limits.items()}
        all_limits = {**dict.fromkeys(LIMIT_SECONDS, 5.0), **given}
        return SmtpTransport("127.0.0.1", self.port, limit_seconds=all_limits)

    def answer(self, command: str, recipient: str) -> str:
        with self._lock:
            self.commands.append(command)
            for says in (self.to.get(recipient, {}), self.says):
                given = says.get(command)
                if isinstance(given, str):
                    return given
                if given:
                    return given.pop(0)
            return FRIENDLY.get(command, "502 5.5.1 what?")

    def talk(self, connection: socket.socket) -> None:
        """One session, until somebody hangs up."""
        with self._lock:
            self.connections += 1
        lines, recipient = connection.makefile("rb"), ""
        if not self._say(connection, self.answer("greeting", "")):
            return
        while line := lines.readline():
            command = line.split()[0].decode().upper() if line.split() else ""
            if command == "RCPT":
                (recipient,) = re.findall(r"<(.*)>", line.decode())
                self.recipients.append(recipient)
            answer = self.answer(command, recipient)
            if not self._say(connection, answer) or command == "QUIT":
                return
            if command == "DATA" and answer.startswith("354"):
                while (content := lines.readline()) not in (b".\r\n", b""):
                    pass
                if not content:
                    return
                self.mails.append(recipient)
                if not self._say(connection, self.answer("END", recipient)):
                    return

    def _say(self, connection: socket.socket, answer: str) -> bool:
        if answer == SILENT:
            self.is_waiting.release()
            # Until the other side hangs up, or the test ends and closes this one.
            while connection.recv(4096):
                pass
        if answer in (CUT, SILENT):
            return False
        connection.sendall(answer.encode("latin-1") + b"\r\n")
        return not answer.startswith("421")


@contextmanager
def relaying(relay: Relay | None = None) -> Iterator[Relay]:
    """A relay at work on a port of its own."""
    relay = relay or Relay()
    talks: list[socket.socket] = []

    def work(connection: socket.socket) -> None:
        # The other side may be quicker to hang up.
        with connection, suppress(OSError):
            relay.talk(connection)

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            talks.append(connection)
            threading.Thread(target=work, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=20) as listener:
        relay.port = listener.getsockname()[1]
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            # Closing alone wakes nobody who waits in `accept` or for a line.
            for waiting in (listener, *talks):
                with suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)
            thread.join(5)
