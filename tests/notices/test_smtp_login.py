"""Encryption and login, at servers that ask for them and at some that only pretend to."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import subprocess
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from desk import TO, Desk, mail, scripted, serving
from mail_server import EphemeralController

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.smtp import SmtpTransport

USER, PASSWORD = "vibes@mail", "p@ss/w0rd?"
ENCODED = "vibes%40mail:p%40ss%2Fw0rd%3F"


@pytest.fixture(autouse=True)
def _quiet_server(caplog: pytest.LogCaptureFixture) -> None:
    # Connections cut on purpose; the server logs each as an error.
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    caplog.set_level(logging.CRITICAL, logger="mail.log")


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
    controller = EphemeralController(
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


def test_what_was_said_in_the_clear_is_not_heard_once_the_session_is_encrypted(
    server_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 ready\r\n")
        connection.recv(4096)
        connection.sendall(b"250-here\r\n250 STARTTLS\r\n")
        connection.recv(4096)
        connection.sendall(b"220 go on\r\n250 it is all accepted\r\n")
        with suppress(OSError), server_tls.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(4096)

    with scripted(talk) as server:
        transport = replace(server, security="smtp+starttls", tls_context=trust)
        with pytest.raises(MailError, match="it answers before it is asked"):
            transport.connect()


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
