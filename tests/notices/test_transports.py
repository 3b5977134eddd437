"""What the outbox learns of each mail (Rulebook §2), from servers that really answer."""

from __future__ import annotations

import asyncio
import logging
import mailbox
import re
import shutil
import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from notice_samples import MESSAGE_DATE, SENDER, action, nigeria, notice

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.address import UnusableAddress
from vibes_pipeline.notices.compose import compose
from vibes_pipeline.notices.transports import (
    Deferred,
    DeliveryError,
    MaildirTransport,
    Refused,
    SmtpTransport,
    Unknown,
    transport_for,
)

TO = "owner@lantern-loom.example"
USER, PASSWORD = "vibes@mail", "p@ss/w0rd?"
ENCODED = "vibes%40mail:p%40ss%2Fw0rd%3F"


# --- servers ------------------------------------------------------------------------------------


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


class _EphemeralController(Controller):
    """Listens on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _cut(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


@contextmanager
def serving(desk: Desk, **options: Any) -> Iterator[SmtpTransport]:
    """An SMTP server at work, and the transport to it."""
    controller = _EphemeralController(desk, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield SmtpTransport("127.0.0.1", controller.port, command_timeout_seconds=5)
    finally:
        controller.stop()


@pytest.fixture(autouse=True)
def _quiet_server(caplog: pytest.LogCaptureFixture) -> None:
    # Connections cut on purpose; the server logs each as an error.
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    caplog.set_level(logging.CRITICAL, logger="mail.log")


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
        yield SmtpTransport(
            "127.0.0.1", port, command_timeout_seconds=1, answer_timeout_seconds=0.2
        )
        thread.join(timeout=5)


def _up_to_data(connection: socket.socket) -> None:
    """Greet and accept everything until the mail's content is to come."""
    connection.sendall(b"220 ready\r\n")
    for reply in (b"250 hello\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n"):
        connection.recv(4096)
        connection.sendall(reply)


def _whole_content(connection: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"\r\n.\r\n"):
        content += connection.recv(65536)
    return content


def mail(number: int = 1, **changes: Any) -> EmailMessage:
    made = notice([action("returns_charge", number)], **changes)
    return compose(made, nigeria(), SENDER, MESSAGE_DATE)


def always(answer: str) -> Callable[[SMTP, int], str | None]:
    return lambda server, nth: answer


def first_time(answer: str) -> Callable[[SMTP, int], str | None]:
    return lambda server, nth: answer if nth == 1 else None


# --- what a server answers ----------------------------------------------------------------------


def test_a_mail_is_accepted_by_the_servers_250_to_the_whole_of_it() -> None:
    desk = Desk()
    message = mail()
    with serving(desk) as transport:
        connection = transport.connect()
        assert connection.send(message, TO) == "250 2.0.0 OK: queued as 42"
        connection.close()
    (envelope,) = desk.received
    assert envelope.mail_from == "vibes@mail.example"
    assert envelope.rcpt_tos == [TO]
    assert envelope.content == message.as_bytes()


@pytest.mark.parametrize(
    ("command", "answer", "outcome"),
    [
        ("RCPT", "450 4.2.1 mailbox busy", Deferred),
        ("RCPT", "550 5.1.1 no such user", Refused),
        ("DATA", "451 4.3.0 try again later", Deferred),
        ("DATA", "554 5.7.1 rejected", Refused),
        ("MAIL", "451 4.3.0 not now", Deferred),
        ("MAIL", "552 5.3.4 message too large", Refused),
        # About the sender or the login, hence about every mail alike.
        ("MAIL", "530 5.7.0 authentication required", Deferred),
    ],
)
def test_an_answer_other_than_250_is_told_apart_and_the_connection_goes_on(
    command: str, answer: str, outcome: type[DeliveryError]
) -> None:
    desk = Desk()
    desk.answers[command] = first_time(answer)
    with serving(desk) as transport:
        connection = transport.connect()
        with pytest.raises(outcome) as failure:
            connection.send(mail(1), TO)
        assert connection.send(mail(2), TO).startswith("250")
        connection.close()
    assert (failure.value.code, failure.value.text) == (int(answer[:3]), answer[4:])
    assert str(failure.value) == answer
    assert len(desk.received) == len(desk.sessions) == 1


@pytest.mark.parametrize("answer", ["252 maybe", "200 fine", "354 more", "hello"])
def test_an_answer_to_the_whole_mail_that_is_none_leaves_it_unknown(answer: str) -> None:
    def talk(connection: socket.socket) -> None:
        _up_to_data(connection)
        _whole_content(connection)
        connection.sendall(answer.encode() + b"\r\n")

    with scripted(talk) as transport, pytest.raises(Unknown, match="answered the whole mail with"):
        transport.connect().send(mail(), TO)


def test_a_server_lost_after_the_whole_mail_leaves_it_unknown() -> None:
    def talk(connection: socket.socket) -> None:
        _up_to_data(connection)
        _whole_content(connection)

    with (
        scripted(talk) as transport,
        pytest.raises(Unknown, match="lost before it answered") as failure,
    ):
        transport.connect().send(mail(), TO)
    assert failure.value.code is None


def test_a_server_that_never_answers_the_whole_mail_leaves_it_unknown() -> None:
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        _up_to_data(connection)
        _whole_content(connection)
        done.wait(5)

    with scripted(talk) as transport:
        with pytest.raises(Unknown, match="lost before it answered"):
            transport.connect().send(mail(), TO)
        done.set()


def test_a_server_lost_before_it_has_the_whole_mail_defers_it() -> None:
    def talk(connection: socket.socket) -> None:
        _up_to_data(connection)
        # Closing with unread content resets the connection while the rest is being written.
        connection.recv(1)

    message = mail()
    del message["Content-Type"]
    message.set_payload("x" * 32_000_000)
    with scripted(talk) as transport, pytest.raises(Deferred, match="was lost"):
        transport.connect().send(message, TO)


@pytest.mark.parametrize("replies", [1, 2, 3])
def test_a_server_lost_before_data_defers_the_mail(replies: int) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 ready\r\n")
        for _ in range(replies):
            connection.recv(4096)
            connection.sendall(b"250 OK\r\n")

    with scripted(talk) as transport, pytest.raises(Deferred) as failure:
        transport.connect().send(mail(), TO)
    assert failure.value.code is None


def test_after_an_unknown_the_next_mail_goes_over_a_new_session() -> None:
    def cut(server: SMTP, nth: int) -> str | None:
        if nth == 1:
            _cut(server)
        return None

    desk = Desk()
    desk.answers["DATA"] = cut
    with serving(desk) as transport:
        connection = transport.connect()
        with pytest.raises(Unknown):
            connection.send(mail(1), TO)
        assert connection.send(mail(2), TO).startswith("250")
        connection.close()
    assert len(desk.sessions) == 2


def test_what_the_server_says_never_repeats_the_recipient() -> None:
    desk = Desk()
    desk.answers["RCPT"] = first_time(f"550-5.1.1 <{TO.upper()}>\r\n550 unknown")
    desk.answers["DATA"] = always(f"250 queued for {TO}")
    with serving(desk) as transport:
        connection = transport.connect()
        with pytest.raises(Refused) as refusal:
            connection.send(mail(1), TO)
        assert connection.send(mail(2), TO) == "250 queued for (recipient)"
        connection.close()
    assert refusal.value.text == "5.1.1 <(recipient)> unknown"


def test_a_line_that_begins_with_a_dot_arrives_as_it_was() -> None:
    desk = Desk()
    message = mail()
    del message["Content-Type"]
    message.set_payload(".\r\n.hidden\r\nnot\r\n..two\r\n")
    with serving(desk) as transport:
        connection = transport.connect()
        connection.send(message, TO)
        connection.close()
    assert desk.received[0].content == message.as_bytes()
    assert desk.received[0].content.endswith(b"\r\n\r\n.\r\n.hidden\r\nnot\r\n..two\r\n")


def test_an_unusable_recipient_never_reaches_the_server() -> None:
    desk = Desk()
    with serving(desk) as transport:
        connection = transport.connect()
        with pytest.raises(UnusableAddress):
            connection.send(mail(), "owner@shop.example>\r\nRCPT TO:<all@shop.example")
        connection.close()
    assert desk.commands == []


# --- sessions -----------------------------------------------------------------------------------


def test_a_session_is_reused_and_renewed_every_fifty_messages() -> None:
    desk = Desk()
    message = mail()
    with serving(desk) as transport:
        connection = transport.connect()
        for _ in range(101):
            connection.send(message, TO)
        connection.close()
    assert len(desk.received) == 101
    assert len(desk.sessions) == 3


def test_a_session_closed_with_421_between_messages_is_renewed_once() -> None:
    def closing(server: SMTP, nth: int) -> str | None:
        return "421 4.4.2 idle too long" if nth == 2 else None

    desk = Desk()
    desk.answers["MAIL"] = closing
    with serving(desk) as transport:
        connection = transport.connect()
        assert [connection.send(mail(n), TO)[:3] for n in range(3)] == ["250"] * 3
        connection.close()
    assert len(desk.received) == 3
    assert len(desk.sessions) == 2


def test_a_session_cut_between_messages_is_renewed_once() -> None:
    desk = Desk()
    with serving(desk) as transport:
        connection = transport.connect()
        connection.send(mail(1), TO)
        server = desk.servers[0]
        server.loop.call_soon_threadsafe(_cut, server)
        assert connection.send(mail(2), TO).startswith("250")
        connection.close()
    assert len(desk.sessions) == 2


def test_a_server_that_only_says_421_defers_the_mail() -> None:
    desk = Desk()
    desk.answers["MAIL"] = always("421 4.3.2 shutting down")
    with serving(desk) as transport:
        connection = transport.connect()
        with pytest.raises(Deferred, match=r"421 4.3.2 shutting down"):
            connection.send(mail(), TO)
        connection.close()
    assert desk.commands == ["MAIL", "MAIL"]


def test_a_server_gone_for_good_defers_each_mail() -> None:
    desk = Desk()
    with serving(desk) as transport:
        connection = transport.connect()
        connection.send(mail(1), TO)
    for number in (2, 3):
        with pytest.raises(Deferred, match=r"mail server 127\.0\.0\.1:\d+"):
            connection.send(mail(number), TO)
    connection.close()


def test_an_unreachable_server_is_one_line_that_names_it_and_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    transport = SmtpTransport.from_url(f"smtp://127.0.0.1:{port}")
    with pytest.raises(
        MailError,
        match=rf"^mail server 127\.0\.0\.1:{port} is not usable \(Connection refused\); "
        "check VIBES_SMTP_URL$",
    ):
        transport.connect()


# --- encryption and login -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is needed to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    made, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += f" -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {made}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return made, key


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trust(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    expected = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=data == expected, handled=False)


def _with_login(server_tls: ssl.SSLContext) -> dict[str, Any]:
    return {
        "tls_context": server_tls,
        "require_starttls": True,
        "authenticator": _authenticate,
        "auth_required": True,
    }


def test_starttls_and_login_with_a_percent_encoded_password(
    server_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    desk = Desk()
    with serving(desk, **_with_login(server_tls)) as server:
        url = f"smtp+starttls://{ENCODED}@127.0.0.1:{server.port}"
        connection = SmtpTransport.from_url(url, tls_context=trust).connect()
        assert connection.send(mail(), TO).startswith("250")
        connection.close()
    assert desk.sessions[0].ssl is not None
    assert desk.sessions[0].authenticated


def test_smtps_is_encrypted_from_the_first_byte(
    server_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    desk = Desk()
    controller = _EphemeralController(
        desk, hostname="127.0.0.1", port=0, ssl_context=server_tls, server_hostname="127.0.0.1"
    )
    controller.start()
    try:
        url = f"smtps://127.0.0.1:{controller.port}"
        connection = SmtpTransport.from_url(url, tls_context=trust).connect()
        assert connection.send(mail(), TO).startswith("250")
        connection.close()
    finally:
        controller.stop()


def test_a_server_with_an_untrusted_certificate_is_refused(server_tls: ssl.SSLContext) -> None:
    with serving(Desk(), tls_context=server_tls) as server:
        transport = SmtpTransport.from_url(f"smtp+starttls://127.0.0.1:{server.port}")
        with pytest.raises(MailError, match=r"(?i)certificate.*check VIBES_SMTP_URL$"):
            transport.connect()


def test_without_starttls_at_the_server_nothing_is_sent_in_the_clear() -> None:
    desk = Desk()
    with serving(desk) as server:
        transport = SmtpTransport.from_url(f"smtp+starttls://{ENCODED}@127.0.0.1:{server.port}")
        with pytest.raises(MailError, match="STARTTLS extension not supported"):
            transport.connect()
    assert desk.commands == []


def test_a_wrong_password_is_one_line_without_it(
    server_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    with serving(Desk(), **_with_login(server_tls)) as server:
        url = f"smtp+starttls://vibes%40mail:hunter2@127.0.0.1:{server.port}"
        transport = SmtpTransport.from_url(url, tls_context=trust)
        with pytest.raises(MailError, match=r"\(535 .*\); check VIBES_SMTP_URL$") as failure:
            transport.connect()
    assert "hunter2" not in "".join(traceback.format_exception(failure.value))
    assert "hunter2" not in repr(transport)


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("smtp", "mail.example", 25, None, None)),
        ("smtp+starttls://mail.example", ("smtp+starttls", "mail.example", 587, None, None)),
        ("smtps://mail.example/", ("smtps", "mail.example", 465, None, None)),
        ("SMTP://127.0.0.1:1025", ("smtp", "127.0.0.1", 1025, None, None)),
        ("smtp://[::1]:25", ("smtp", "::1", 25, None, None)),
        (f"smtps://{ENCODED}@mail.example:2465", ("smtps", "mail.example", 2465, USER, PASSWORD)),
    ],
)
def test_a_url_names_a_server(url: str, expected: tuple[Any, ...]) -> None:
    made = SmtpTransport.from_url(url)
    assert (made.security, made.host, made.port, made.user, made.password) == expected


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mail.example", "no known scheme"),
        ("http://u:hunter2@mail.example", "no known scheme"),
        ("smtp://", "names no host"),
        ("smtp://u:hunter2@", "names no host"),
        ("smtp://u:hunter2@mail.example:smtp", "not a valid URL"),
        ("smtp://u:hunter2@mail.example:99999", "not a valid URL"),
        ("smtp://u:hunter2@[mail.example", "not a valid URL"),
        ("smtp://u:hunter2/x@mail.example", "not a valid URL|after the port"),
        ("smtp://u:hunter2@mail.example/inbox", "after the port"),
        ("smtp://u:hunter2@mail.example?timeout=3", "after the port"),
        ("smtp://u:hunter2#x@mail.example", "not a valid URL|after the port"),
        ("smtp://user@mail.example", "both user and password"),
        ("smtp://:hunter2@mail.example", "both user and password"),
        ("smtp://u:hunter2@mail.example\r\nX", "space or control character"),
        ("smtp://u:hunter2%C3%A9@mail.example", "not ASCII"),
    ],
)
def test_a_bad_url_is_one_clear_line_that_never_repeats_it(url: str, problem: str) -> None:
    with pytest.raises(MailError, match=problem) as failure:
        SmtpTransport.from_url(url)
    assert re.match("VIBES_SMTP_URL ", str(failure.value))
    assert "\n" not in str(failure.value)
    assert "hunter2" not in "".join(traceback.format_exception(failure.value))


SMTP_URL, CATCHER_URL = "smtp://mail.example", "smtp://127.0.0.1:1025"


@pytest.mark.parametrize(
    ("smtp_url", "mail_catcher_url", "is_simulated", "host"),
    [
        (None, None, False, None),
        (None, None, True, None),
        (SMTP_URL, None, False, "mail.example"),
        (SMTP_URL, CATCHER_URL, False, "mail.example"),
        # A simulated ledger never sends to sellers.
        (SMTP_URL, None, True, None),
        (SMTP_URL, CATCHER_URL, True, "127.0.0.1"),
        # The catcher is for simulated ledgers only.
        (None, CATCHER_URL, False, None),
        ("", "", False, None),
    ],
)
def test_the_settings_and_the_ledger_decide_where_mail_goes(
    smtp_url: str | None,
    mail_catcher_url: str | None,
    is_simulated: bool,
    host: str | None,
    tmp_path: Path,
) -> None:
    made = transport_for(
        smtp_url=smtp_url,
        mail_catcher_url=mail_catcher_url,
        is_simulated=is_simulated,
        maildir_path=tmp_path,
    )
    if host is None:
        assert made == MaildirTransport(tmp_path)
    else:
        assert isinstance(made, SmtpTransport)
        assert made.host == host


def test_a_bad_mail_catcher_is_named_by_its_own_setting(tmp_path: Path) -> None:
    with pytest.raises(MailError, match=r"^VIBES_MAIL_CATCHER_URL has no known scheme"):
        transport_for(
            smtp_url=None,
            mail_catcher_url="localhost:1025",
            is_simulated=True,
            maildir_path=tmp_path,
        )


# --- the Maildir --------------------------------------------------------------------------------


def test_a_maildir_is_one_that_mail_programs_read(tmp_path: Path) -> None:
    connection = MaildirTransport(tmp_path / "mail").connect()
    message = mail()
    assert connection.send(message, TO).startswith("250 ")
    connection.close()
    (kept,) = mailbox.Maildir(str(tmp_path / "mail"), create=False)
    assert kept["To"] == TO
    assert kept["Message-ID"] == message["Message-ID"]
    assert not list((tmp_path / "mail" / "tmp").iterdir())


def test_a_notice_written_again_replaces_itself(tmp_path: Path) -> None:
    connection = MaildirTransport(tmp_path).connect()
    connection.send(mail(1), TO)
    connection.send(mail(2), TO)
    (path,) = (tmp_path / "new").iterdir()
    assert path.name == str(notice([]).notice_id)
    assert path.read_bytes() == mail(2).as_bytes().replace(b"\r\n", b"\n")


def test_a_maildir_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file in the way")
    with pytest.raises(MailError, match=r"the mail folder .*/mail cannot be made .*VIBES_HOME"):
        MaildirTransport(tmp_path / "mail").connect()


def test_a_maildir_that_was_lost_defers_the_mail(tmp_path: Path) -> None:
    connection = MaildirTransport(tmp_path / "mail").connect()
    shutil.rmtree(tmp_path / "mail")
    with pytest.raises(Deferred, match=r"the mail folder .* cannot be written"):
        connection.send(mail(), TO)


def test_a_transport_never_shows_its_password() -> None:
    made = SmtpTransport.from_url("smtp://u:hunter2@mail.example")
    assert "hunter2" not in repr(replace(made, setting="X")) + str(made)
