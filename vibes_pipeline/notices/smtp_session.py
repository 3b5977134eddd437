"""One session with an SMTP server, whose every answer has a limit in time and in length.

Here belong those limits and the reading of answers from the socket. Which commands are given is
`smtp`'s.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from vibes_pipeline.notices.replies import Command

_MINUTE = 60.0
# How long each answer is waited for (RFC 5321 §4.5.3.2; it names none for the commands set to
# five minutes with MAIL). Giving up early after the final dot makes second copies. The last three
# are ours: no connection within half a minute is none, and a session's end is a courtesy.
LIMIT_SECONDS: Mapping[Command, float] = {
    Command.GREETING: 5 * _MINUTE,
    Command.EHLO: 5 * _MINUTE,
    Command.STARTTLS: 5 * _MINUTE,
    Command.AUTH: 5 * _MINUTE,
    Command.MAIL: 5 * _MINUTE,
    Command.RCPT: 5 * _MINUTE,
    Command.DATA: 2 * _MINUTE,
    Command.BLOCK: 3 * _MINUTE,
    Command.END: 10 * _MINUTE,
    Command.CONNECT: 30.0,
    Command.RSET: 30.0,
    Command.QUIT: 5.0,
}

_BLOCK_BYTES = 64 * 1024
_LONGEST_REPLY_BYTES = 64 * 1024

_COMMANDS = {
    "EHLO": Command.EHLO,
    "HELO": Command.EHLO,
    "STARTTLS": Command.STARTTLS,
    "AUTH": Command.AUTH,
    "MAIL": Command.MAIL,
    "RCPT": Command.RCPT,
    "DATA": Command.DATA,
    "RSET": Command.RSET,
    "QUIT": Command.QUIT,
}

_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_NO_REPLY = -1


class Session(smtplib.SMTP):
    """One session, in which each answer as a whole has its limit in time and length.

    smtplib starts its one timeout anew with every packet, so that a server which sends its answer
    byte by byte is waited for without end. `command` is the one whose answer is awaited.
    """

    def __init__(
        self, host: str, limit_seconds: Mapping[Command, float], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(local_hostname=_local_hostname(), timeout=limit_seconds[Command.CONNECT])
        # Against which `starttls` checks the certificate.
        self._host = host
        self._limit_seconds = limit_seconds
        self._tls = tls
        self._unread = b""
        self.command = Command.CONNECT

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout)
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_hostname=host)
            except BaseException:
                connection.close()
                raise
        self.command = Command.GREETING
        return connection

    def putcmd(self, cmd: str, args: str = "") -> None:
        # An answer to a challenge of AUTH begins with no command's name.
        self.command = _COMMANDS.get(cmd.partition(" ")[0].upper(), self.command)
        self._require_silence()
        self._allow(self._limit_seconds[self.command])
        super().putcmd(cmd, args)

    def send_content(self, content: bytes) -> None:
        """Send a mail up to its final dot; OSError means that the dot did not leave this machine.

        The server cannot have the whole mail then.
        """
        self.command = Command.BLOCK
        self._require_silence()
        for start in range(0, len(content), _BLOCK_BYTES):
            self._allow(self._limit_seconds[Command.BLOCK])
            self.send(content[start : start + _BLOCK_BYTES])
        self.command = Command.END

    def getreply(self) -> tuple[int, bytes]:
        """Code and words of a reply, its lines joined; -1 and the line for what is no reply.

        Raises OSError, with the session closed, when none came whole in its time and length.
        """
        until = time.monotonic() + self._limit_seconds[self.command]
        try:
            return self._reply(until)
        except OSError:
            self.close()
            raise

    def _reply(self, until: float) -> tuple[int, bytes]:
        codes, words, length = set(), [], 0
        while True:
            line = self._line(until)
            length += len(line)
            parts = _REPLY_LINE.fullmatch(line.rstrip(b"\r\n"))
            if parts is None:
                return _NO_REPLY, line
            codes.add(int(parts[1]))
            words.append((parts[3] or b"").strip())
            if len(codes) > 1:
                return _NO_REPLY, line
            if parts[2] != b"-":
                return codes.pop(), b"\n".join(words)
            if length > _LONGEST_REPLY_BYTES:
                raise smtplib.SMTPServerDisconnected("its answer does not end")

    def _line(self, until: float) -> bytes:
        while b"\n" not in self._unread:
            if len(self._unread) > _LONGEST_REPLY_BYTES:
                raise smtplib.SMTPServerDisconnected("its answer does not end")
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer to {self.command} in time")
            self._allow(left)
            try:
                more = self.sock.recv(8192) if self.sock else b""
            except TimeoutError:
                raise TimeoutError(f"no answer to {self.command} in time") from None
            if not more:
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def interrupt(self) -> None:
        """Called by another thread: end what waits for the server."""
        if (sock := self.sock) is not None:
            with suppress(OSError):
                # Not the TLS socket's own, which another thread must not call while one reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _require_silence(self) -> None:
        """Refuse bytes that follow the last answer: they answer no later and no encrypted command.

        Else a server that says too much, or an attacker between it and us, could make a mail count
        as accepted.
        """
        if self._unread:
            self.close()
            raise smtplib.SMTPServerDisconnected("it answers before it is asked")

    def _allow(self, seconds: float) -> None:
        if self.sock is not None:
            self.sock.settimeout(seconds)


@cache
def _local_hostname() -> str:
    """The name to greet with; looking it up can take seconds, so it is done once."""
    return str(smtplib.SMTP().local_hostname)
