"""What the outbox learns of each mail (Rulebook §2), from servers that really answer."""

from __future__ import annotations

import logging
import socket
import threading
from dataclasses import replace

import pytest
from aiosmtpd.smtp import SMTP
from desk import (
    TO,
    Desk,
    always,
    cut,
    first_time,
    mail,
    scripted,
    serving,
    up_to_data,
    whole_content,
)

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.address import UnusableAddress
from vibes_pipeline.notices.replies import Deferred, DeliveryError, Refused, Unknown
from vibes_pipeline.notices.smtp import SmtpTransport


@pytest.fixture(autouse=True)
def _quiet_server(caplog: pytest.LogCaptureFixture) -> None:
    # Connections cut on purpose; the server logs each as an error.
    caplog.set_level(logging.CRITICAL, logger="asyncio")
    caplog.set_level(logging.CRITICAL, logger="mail.log")


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
    assert envelope.content == message.content


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
        up_to_data(connection)
        whole_content(connection)
        connection.sendall(answer.encode() + b"\r\n")

    with scripted(talk) as transport, pytest.raises(Unknown, match="answered the whole mail with"):
        transport.connect().send(mail(), TO)


def test_a_server_lost_after_the_whole_mail_leaves_it_unknown() -> None:
    def talk(connection: socket.socket) -> None:
        up_to_data(connection)
        whole_content(connection)

    with (
        scripted(talk) as transport,
        pytest.raises(Unknown, match="lost before it answered") as failure,
    ):
        transport.connect().send(mail(), TO)
    assert failure.value.code is None


def test_a_server_that_never_answers_the_whole_mail_leaves_it_unknown() -> None:
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        up_to_data(connection)
        whole_content(connection)
        done.wait(5)

    with scripted(talk) as transport:
        with pytest.raises(Unknown, match="lost before it answered"):
            transport.connect().send(mail(), TO)
        done.set()


def test_a_server_lost_before_it_has_the_whole_mail_defers_it() -> None:
    def talk(connection: socket.socket) -> None:
        up_to_data(connection)
        # Closing with unread content resets the connection while the rest is being written.
        connection.recv(1)

    message = replace(mail(), content=b"x" * 32_000_000)
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
    def cut_first(server: SMTP, nth: int) -> str | None:
        if nth == 1:
            cut(server)
        return None

    desk = Desk()
    desk.answers["DATA"] = cut_first
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
    dotted = b"\r\n\r\n.\r\n.hidden\r\nnot\r\n..two\r\n"
    message = replace(mail(), content=b"Subject: dots" + dotted)
    with serving(desk) as transport:
        connection = transport.connect()
        connection.send(message, TO)
        connection.close()
    assert desk.received[0].content == message.content
    assert desk.received[0].content.endswith(dotted)


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


def test_a_sessioncut_between_messages_is_renewed_once() -> None:
    desk = Desk()
    with serving(desk) as transport:
        connection = transport.connect()
        connection.send(mail(1), TO)
        server = desk.servers[0]
        server.loop.call_soon_threadsafe(cut, server)
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
