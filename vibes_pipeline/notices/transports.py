"""How one mail travels: to an SMTP server, or into a Maildir.

A transport knows nothing of notices, retries or the ledger. It tells the outbox exactly one of
four things: accepted (the server's 250 to the whole message, nothing less), `Deferred`, `Refused`
or `Unknown` (Rulebook §2, the notice guarantee).
"""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.address import usable_address

_MESSAGES_PER_CONNECTION = 50
_COMMAND_TIMEOUT_SECONDS = 30.0
# A server may check a whole message before it answers; giving up early makes second copies.
_ANSWER_TIMEOUT_SECONDS = 120.0
_LONGEST_REPLY = 500

_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_URL_SHAPE = "smtp://, smtp+starttls:// or smtps://, then [user:password@]host[:port]"

_OK = 250
_OK_WILL_FORWARD = 251
_START_OF_MAIL = 354
_CLOSING = 421
_TOO_LARGE = 552


class DeliveryError(MailError):
    """One mail was not accepted; `code` is the server's, None where it gave none."""

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(text if code is None else f"{code} {text}")
        self.code = code
        self.text = text


class Deferred(DeliveryError):
    """Not accepted for now: a 4xx, or the server was lost before it had the whole mail."""


class Refused(DeliveryError):
    """Not accepted for good: a 5xx about this mail or its recipient."""


class Unknown(DeliveryError):
    """The server had the whole mail and gave no usable answer: accepted or not, nobody knows."""

    def __init__(self, text: str) -> None:
        super().__init__(None, text)


class Connection(Protocol):
    """An open way for mails, used by one thread."""

    def send(self, message: EmailMessage, to: str) -> str:
        """The server's reply, such as "250 2.0.0 OK"; else Deferred, Refused or Unknown."""
        ...

    def close(self) -> None: ...


class Transport(Protocol):
    """Where mail goes; connect as often as there are threads that send."""

    def connect(self) -> Connection:
        """An open connection; MailError if there is no reaching it."""
        ...


def transport_for(
    *,
    smtp_url: str | None,
    mail_catcher_url: str | None,
    is_simulated: bool,
    maildir_path: Path,
) -> Transport:
    """The transport a ledger uses; a simulated one never writes to sellers (Rulebook §2)."""
    if is_simulated and mail_catcher_url:
        return SmtpTransport.from_url(mail_catcher_url, setting="VIBES_MAIL_CATCHER_URL")
    if smtp_url and not is_simulated:
        return SmtpTransport.from_url(smtp_url)
    return MaildirTransport(maildir_path)


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
    command_timeout_seconds: float = _COMMAND_TIMEOUT_SECONDS
    answer_timeout_seconds: float = _ANSWER_TIMEOUT_SECONDS

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        setting: str = "VIBES_SMTP_URL",
        tls_context: ssl.SSLContext | None = None,
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
        )

    def connect(self) -> SmtpConnection:
        return SmtpConnection(self)

    def open(self) -> smtplib.SMTP:
        """A session that is greeted, encrypted and logged in; MailError in one line if not."""
        try:
            return self._logged_in(self._greeted())
        except (OSError, UnicodeError) as failure:
            # `from None`: the chain of a login failure holds the credentials' exchange.
            raise MailError(
                f"mail server {self.host}:{self.port} is not usable ({_in_one_line(failure)}); "
                f"check {self.setting}"
            ) from None

    def _greeted(self) -> smtplib.SMTP:
        if self.security == "smtps":
            return smtplib.SMTP_SSL(
                self.host,
                self.port,
                local_hostname=_local_hostname(),
                timeout=self.command_timeout_seconds,
                context=self._tls(),
            )
        return smtplib.SMTP(
            self.host,
            self.port,
            local_hostname=_local_hostname(),
            timeout=self.command_timeout_seconds,
        )

    def _logged_in(self, smtp: smtplib.SMTP) -> smtplib.SMTP:
        try:
            if self.security == "smtp+starttls":
                smtp.starttls(context=self._tls())
            smtp.ehlo_or_helo_if_needed()
            if self.user is not None and self.password is not None:
                smtp.login(self.user, self.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _tls(self) -> ssl.SSLContext:
        return self.tls_context or _default_tls()


class SmtpConnection:
    """One SMTP session after another: renewed after so many messages and when it is lost."""

    def __init__(self, transport: SmtpTransport) -> None:
        self._transport = transport
        self._recipient = ""
        self._sent = 0
        self._session: smtplib.SMTP | None = transport.open()

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
            # One write, and an error from it means that its end did not leave this machine:
            # the server cannot have the whole mail.
            session.send(content)
        except OSError as failure:
            self._lost(failure)
        return self._answer(session)

    def close(self) -> None:
        session, self._session, self._sent = self._session, None, 0
        if session is None:
            return
        try:
            session.quit()
        except OSError:
            session.close()

    def _begin(self, sender: str, size: int) -> smtplib.SMTP:
        """Start a mail, on a new session if the server has ended the old one meanwhile."""
        was_open = self._session is not None
        try:
            return self._mail(sender, size)
        except Deferred as failure:
            was_ended = failure.code is None or failure.code == _CLOSING
            if not (was_open and was_ended):
                raise
        return self._mail(sender, size)

    def _mail(self, sender: str, size: int) -> smtplib.SMTP:
        session = self._session
        if session is None:
            session = self._reopen()
        size_option = f" SIZE={size}" if session.has_extn("size") else ""
        try:
            self._command(session, f"MAIL FROM:<{sender}>{size_option}", {_OK})
        except Refused as refusal:
            if refusal.code == _TOO_LARGE:
                raise
            # About the sender or the login, hence about every mail: no reason to give one up.
            raise Deferred(refusal.code, refusal.text) from None
        return session

    def _reopen(self) -> smtplib.SMTP:
        try:
            self._session = self._transport.open()
        except MailError as failure:
            raise Deferred(None, str(failure)) from None
        self._sent = 0
        return self._session

    def _command(self, session: smtplib.SMTP, command: str, expected: set[int]) -> None:
        try:
            code, reply = session.docmd(command)
        except OSError as failure:
            self._lost(failure)
        if code in expected:
            return
        if code == _CLOSING or code < 0:
            self._drop()
        else:
            self._reset(session)
        raise (Refused if 500 <= code < 600 else Deferred)(code, self._words(reply))

    def _answer(self, session: smtplib.SMTP) -> str:
        """What the server says to the whole mail."""
        try:
            if session.sock is not None:
                session.sock.settimeout(self._transport.answer_timeout_seconds)
            code, reply = session.getreply()
            if session.sock is not None:
                session.sock.settimeout(self._transport.command_timeout_seconds)
        except OSError as failure:
            self._drop()
            raise Unknown(
                f"mail server {self._name} had the whole mail and was lost before it answered "
                f"({self._words(failure)})"
            ) from None
        text = self._words(reply)
        if code == _OK:
            return f"{code} {text}"
        if code == _CLOSING:
            self._drop()
        if 400 <= code < 500:
            raise Deferred(code, text)
        if 500 <= code < 600:
            raise Refused(code, text)
        self._drop()
        raise Unknown(f"mail server {self._name} answered the whole mail with {code} {text}")

    def _lost(self, failure: OSError) -> NoReturn:
        self._drop()
        raise Deferred(
            None, f"mail server {self._name} was lost ({self._words(failure)})"
        ) from None

    def _reset(self, session: smtplib.SMTP) -> None:
        try:
            if session.rset()[0] != _OK:
                self._drop()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session, self._sent = None, 0

    def _words(self, said: bytes | OSError) -> str:
        """Servers like to repeat the recipient; what we keep and show must not."""
        words = _in_one_line(said)
        return re.sub(re.escape(self._recipient), "(recipient)", words, flags=re.IGNORECASE)

    @property
    def _name(self) -> str:
        return f"{self._transport.host}:{self._transport.port}"


@dataclass(frozen=True)
class MaildirTransport:
    """A folder that mail clients read (tmp, new, cur): where mail goes when no server may."""

    path: Path

    def connect(self) -> MaildirConnection:
        try:
            for folder in ("tmp", "new", "cur"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise MailError(
                f"the mail folder {self.path} cannot be made ({_in_one_line(failure)}); "
                "check VIBES_HOME"
            ) from None
        return MaildirConnection(self.path)


@dataclass(frozen=True)
class MaildirConnection:
    path: Path

    def send(self, message: EmailMessage, to: str) -> str:
        """Write the mail under its notice's id: sent again, it replaces itself."""
        usable_address(to)
        name = _notice_id(message)
        try:
            written = self.path / "tmp" / name
            written.write_bytes(message.as_bytes(policy=message.policy.clone(linesep="\n")))
            written.replace(self.path / "new" / name)
        except OSError as failure:
            raise Deferred(
                None, f"the mail folder {self.path} cannot be written ({_in_one_line(failure)})"
            ) from None
        return f"{_OK} 2.0.0 kept in the mail folder as {name}"

    def close(self) -> None:
        pass


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


def _notice_id(message: EmailMessage) -> str:
    """The part of the Message-ID before the @, which is a safe file name or a bug of ours."""
    name = str(message["Message-ID"]).strip("<>").partition("@")[0]
    if not re.fullmatch(r"[0-9A-Za-z-]+", name):
        raise ValueError("the Message-ID does not begin with a notice's id")
    return name


def _in_one_line(said: bytes | OSError | UnicodeError) -> str:
    """A server's or the system's words, fit for an error of one line."""
    if isinstance(said, smtplib.SMTPResponseException):
        reply = said.smtp_error
        words = reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)
        words = f"{said.smtp_code} {words}"
    elif isinstance(said, bytes):
        words = said.decode("ascii", "replace")
    else:
        words = getattr(said, "strerror", None) or str(said) or type(said).__name__
    printable = "".join(c if c.isprintable() else " " for c in words)
    return " ".join(printable.split())[:_LONGEST_REPLY]
