"""Mail over SMTP (RFC 5321): a server by its URL, sessions with it, one mail at a time.

Here belongs what is said to a server, how long each answer is waited for, and what becomes of a
mail when the session breaks off. What a reply means is `replies`'s.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from typing import NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.address import usable_address
from vibes_pipeline.notices.replies import Command, Deferred, Unknown, plain, refusal

_MESSAGES_PER_CONNECTION = 50
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
_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_URL_SHAPE = "smtp://, smtp+starttls:// or smtps://, then [user:password@]host[:port]"
_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)

_READY = 220
_OK = 250
_OK_WILL_FORWARD = 251
_START_OF_MAIL = 354
_CLOSING = 421
_NO_REPLY = -1


@dataclass(frozen=True)
class SmtpTransport:
    """A mail server; `setting` is the variable that errors name as the one to look at."""

    host: str
    port: int
    security: str = "smtp"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    setting: str = "VIBES_SMTP_URL"
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    messages_per_connection: int = _MESSAGES_PER_CONNECTION
    limit_seconds: Mapping[Command, float] = field(
        default_factory=lambda: LIMIT_SECONDS, hash=False, repr=False
    )

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        setting: str = "VIBES_SMTP_URL",
        tls_context: ssl.SSLContext | None = None,
        limit_seconds: Mapping[Command, float] = LIMIT_SECONDS,
    ) -> SmtpTransport:
        """The server a URL names; user and password are percent-decoded.

        Raises MailError, which never repeats the URL, when it is not of that shape.
        """
        parts, port = _split(url, setting)
        if parts.scheme not in _DEFAULT_PORTS:
            raise MailError(f"{setting} has no known scheme; write {_URL_SHAPE}")
        if not parts.hostname:
            raise MailError(f"{setting} names no host; write {_URL_SHAPE}")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise MailError(
                f"{setting} has text after the port; write {_URL_SHAPE}, "
                "with /, ? and # in the password percent-encoded"
            )
        if bool(parts.username) != bool(parts.password):
            raise MailError(f"{setting} needs both user and password, or neither")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii():
            raise MailError(f"{setting} has a user or password that is not ASCII")
        return cls(
            host=parts.hostname,
            port=port or _DEFAULT_PORTS[parts.scheme],
            security=parts.scheme,
            user=user or None,
            password=password or None,
            setting=setting,
            tls_context=tls_context,
            limit_seconds=limit_seconds,
        )

    @property
    def name(self) -> str:
        """The server, as errors name it."""
        return f"mail server {self.host}:{self.port}"

    def connect(self) -> SmtpConnection:
        return SmtpConnection(self)

    def open(self) -> Session:
        """A session that is greeted, encrypted and logged in; MailError in one line if not."""
        try:
            return self._logged_in()
        except (OSError, UnicodeError) as failure:
            # `from None`: the chain of a login failure holds the credentials' exchange.
            raise MailError(
                f"{self.name} is not usable ({_why(failure)}); check {self.setting}"
            ) from None

    def _logged_in(self) -> Session:
        tls = self.tls_context or _default_tls()
        session = Session(self.host, self.limit_seconds, tls if self.security == "smtps" else None)
        try:
            code, greeting = session.connect(self.host, self.port)
            if code != _READY:
                raise smtplib.SMTPConnectError(code, greeting)
            if self.security == "smtp+starttls":
                session.starttls(context=tls)
            session.ehlo_or_helo_if_needed()
            if self.user is not None and self.password is not None:
                session.login(self.user, self.password)
        except BaseException:
            session.close()
            raise
        return session


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


class SmtpConnection:
    """One SMTP session after another: renewed after so many messages and when it is lost."""

    def __init__(self, transport: SmtpTransport) -> None:
        self._transport = transport
        self._recipient = ""
        self._sent = 0
        self._is_given_up = False
        self._session: Session | None = transport.open()

    def send(self, message: EmailMessage, to: str) -> str:
        """Hand one mail over; the envelope's sender is the message's `From`."""
        self._recipient = usable_address(to)
        if self._sent >= self._transport.messages_per_connection:
            self.close()
        content = _on_the_wire(message)
        session = self._begin(message["From"].addresses[0].addr_spec, len(content))
        self._sent += 1
        self._command(session, f"RCPT TO:<{self._recipient}>", {_OK, _OK_WILL_FORWARD})
        self._command(session, "DATA", {_START_OF_MAIL})
        try:
            session.send_content(content)
        except OSError as failure:
            self._lost(failure)
        return self._answer(session)

    def give_up(self) -> None:
        self._is_given_up = True
        if (session := self._session) is not None:
            session.interrupt()

    def close(self) -> None:
        session, self._session, self._sent = self._session, None, 0
        if session is None:
            return
        try:
            session.quit()
        except OSError:
            session.close()

    def _begin(self, sender: str, size: int) -> Session:
        """Start a mail, on a new session if the server has ended the old one meanwhile."""
        was_open = self._session is not None
        try:
            return self._mail(sender, size)
        except Deferred as failure:
            was_ended = failure.code is None or failure.code == _CLOSING
            if not (was_open and was_ended):
                raise
        return self._mail(sender, size)

    def _mail(self, sender: str, size: int) -> Session:
        session = self._session
        if session is None:
            session = self._reopen()
        size_option = f" SIZE={size}" if session.has_extn("size") else ""
        self._command(session, f"MAIL FROM:<{sender}>{size_option}", {_OK})
        return session

    def _reopen(self) -> Session:
        if not self._is_given_up:
            try:
                self._session = session = self._transport.open()
            except MailError as failure:
                raise Deferred(None, str(failure)) from None
            self._sent = 0
        if self._is_given_up:
            self._lost(ConnectionAbortedError("the sending was interrupted"))
        return session

    def _command(self, session: Session, command: str, expected: Collection[int]) -> None:
        try:
            code, reply = session.docmd(command)
        except OSError as failure:
            self._lost(failure)
        if code in expected:
            return
        said = refusal(session.command, code, self._words(reply))
        if code == _CLOSING or not 400 <= code < 600:
            self._drop()
        else:
            self._reset(session)
        raise said

    def _answer(self, session: Session) -> str:
        """What the server says to the whole mail."""
        try:
            code, reply = session.getreply()
        except OSError as failure:
            self._drop()
            raise Unknown(
                f"{self._transport.name} had the whole mail and was lost before it answered "
                f"({self._words(_why(failure))})"
            ) from None
        said = " ".join(filter(None, (str(code) if code > 0 else "", self._words(reply))))
        if code == _OK:
            return said
        if code == _CLOSING or not 400 <= code < 600:
            self._drop()
        if not 400 <= code < 600:
            raise Unknown(f"{self._transport.name} answered the whole mail with {said}")
        raise refusal(Command.END, code, self._words(reply))

    def _lost(self, failure: OSError) -> NoReturn:
        self._drop()
        words = self._words(_why(failure))
        raise Deferred(None, f"{self._transport.name} was lost ({words})") from None

    def _reset(self, session: Session) -> None:
        try:
            if session.rset()[0] != _OK:
                self._drop()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session, self._sent = None, 0

    def _words(self, said: bytes | str) -> str:
        return plain(said, self._recipient)


def _split(url: str, setting: str) -> tuple[SplitResult, int | None]:
    if any(c.isspace() or not c.isprintable() for c in url):
        raise MailError(f"{setting} holds a space or control character; write {_URL_SHAPE}")
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        # The cause would repeat the URL, and with it the password.
        raise MailError(f"{setting} is not a valid URL; write {_URL_SHAPE}") from None


@cache
def _default_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@cache
def _local_hostname() -> str:
    """The name to greet with; looking it up can take seconds, so it is done once."""
    return str(smtplib.SMTP().local_hostname)


def _on_the_wire(message: EmailMessage) -> bytes:
    """The mail as DATA wants it: CR LF line ends, leading dots doubled, a dot at the end."""
    content = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"


def _why(failure: OSError | UnicodeError) -> str:
    """A server's or the system's words, fit for an error of one line."""
    if isinstance(failure, smtplib.SMTPResponseException):
        reply = failure.smtp_error
        words = plain(reply if isinstance(reply, bytes) else str(reply))
        return f"{failure.smtp_code} {words}" if failure.smtp_code > 0 else words
    return plain(getattr(failure, "strerror", None) or str(failure) or type(failure).__name__)
