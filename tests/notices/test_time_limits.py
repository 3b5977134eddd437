"""How long each answer of a server is waited for (RFC 5321 §4.5.3.2), and what follows if none comes."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from desk import TO, mail, scripted, up_to_data
from relay import SILENT, Relay, relaying

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.replies import Command, Deferred, Unknown
from vibes_pipeline.notices.smtp import SmtpTransport
from vibes_pipeline.notices.smtp_session import LIMIT_SECONDS

SHORT = 0.05


def test_the_limits_are_those_of_the_standard() -> None:
    minutes = {command.name: seconds / 60 for command, seconds in LIMIT_SECONDS.items()}
    assert {
        name: minutes[name] for name in ("GREETING", "MAIL", "RCPT", "DATA", "BLOCK", "END")
    } == {
        "GREETING": 5,
        "MAIL": 5,
        "RCPT": 5,
        "DATA": 2,
        "BLOCK": 3,
        "END": 10,
    }
    assert minutes["EHLO"] == minutes["STARTTLS"] == minutes["AUTH"] == 5


@pytest.mark.parametrize(
    ("command", "silent_at", "error"),
    [
        ("GREETING", "greeting", MailError),
        ("EHLO", "EHLO", MailError),
        ("STARTTLS", "STARTTLS", MailError),
        ("AUTH", "AUTH", MailError),
        ("MAIL", "MAIL", Deferred),
        ("RCPT", "RCPT", Deferred),
        ("DATA", "DATA", Deferred),
        ("END", "END", Unknown),
    ],
)
def test_each_command_has_a_limit_of_its_own(
    command: str, silent_at: str, error: type[MailError]
) -> None:
    offers = "250-relay.example\r\n250-STARTTLS\r\n250 AUTH PLAIN"
    with relaying(Relay(says={"EHLO": offers, silent_at: SILENT})) as relay:
        transport = relay.transport(**{command: SHORT})
        if command == "STARTTLS":
            transport = replace(transport, security="smtp+starttls")
        if command == "AUTH":
            transport = replace(transport, user="vibes", password="hunter2")
        began_at = time.monotonic()
        with pytest.raises(error, match=f"no answer to {Command[command]} in time"):
            transport.connect().send(mail(), TO)
        assert time.monotonic() - began_at < 4.0, "another command's limit was waited for"


def test_a_server_that_does_not_take_the_content_is_not_waited_for_longer() -> None:
    def talk(connection: socket.socket) -> None:
        up_to_data(connection)
        time.sleep(0.3)

    message = replace(mail(), content=b"x" * 32_000_000)
    with scripted(talk) as server:
        limits = {**server.limit_seconds, Command.BLOCK: SHORT}
        transport = replace(server, limit_seconds=limits)
        with pytest.raises(Deferred, match="was lost"):
            transport.connect().send(message, TO)


def test_an_answer_that_only_dribbles_is_none() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220-")
        with suppress(OSError):
            for _ in range(60):
                connection.sendall(b"x")
                time.sleep(0.01)

    with scripted(talk) as server:
        limits = {**server.limit_seconds, Command.GREETING: SHORT}
        with pytest.raises(MailError, match="no answer to the greeting in time"):
            replace(server, limit_seconds=limits).connect()


def test_a_session_is_ended_without_waiting_for_the_goodbye() -> None:
    with relaying(Relay(says={"QUIT": SILENT})) as relay:
        connection = relay.transport(QUIT=SHORT).connect()
        assert connection.send(mail(), TO).startswith("250 ")
        connection.close()


def test_limits_are_set_where_the_transport_is_made() -> None:
    given = dict.fromkeys(Command, 1.0)
    made = SmtpTransport.from_url("smtp://mail.example", limit_seconds=given)
    assert made.limit_seconds == given
