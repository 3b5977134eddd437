"""Mail over SMTP (RFC 5321): a server by its URL, and one mail after another over sessions with it.

Here belongs what is said to a server, and what becomes of a mail when the session breaks off. How
long each answer is waited for is `smtp_session`'s, what a reply means `replies`'s.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.address import usable_address
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.replies import Command, Deferred, Unknown, plain, refusal
from vibes_pipeline.notices.smtp_session import LIMIT_SECONDS, Session

_MESSAGES_PER_CONNECTION = 50
_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_URL_SHAPE = "smtp://, smtp+starttls:// or smtps://, then [user:password@]host[:port]"
_READY = 220
_OK = 250
_OK_WILL_FORWARD = 251
_START_OF_MAIL = 354
_CLOSING = 421


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
        # Reading the system's certificates takes long: only who needs them waits for it.
        tls = None if self.security == "smtp" else self.tls_context or _default_tls()
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


class SmtpConnection:
    """One SMTP session after another: renewed after so many messages and when it is lost."""

    def __init__(self, transport: SmtpTransport) -> None:
        self._transport = transport
        self._recipient = ""
        self._sent = 0
        self._is_given_up = False
        self._session: Session | None = transport.open()

    def send(self, mail: Mail, to: str) -> str:
        """Hand one mail over."""
        self._recipient = usable_address(to)
        if self._sent >= self._transport.messages_per_connection:
            self.close()
        content = _on_the_wire(mail.content)
        session = self._begin(mail.sender, len(content))
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


def _on_the_wire(content: bytes) -> bytes:
    """The mail as DATA wants it: leading dots doubled, a dot at the end."""
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    return content.replace(b"\r\n.", b"\r\n..") + end


def _why(failure: OSError | UnicodeError) -> str:
    """A server's or the system's words, fit for an error of one line."""
    if isinstance(failure, smtplib.SMTPResponseException):
        reply = failure.smtp_error
        words = plain(reply if isinstance(reply, bytes) else str(reply))
        return f"{failure.smtp_code} {words}" if failure.smtp_code > 0 else words
    return plain(getattr(failure, "strerror", None) or str(failure) or type(failure).__name__)
