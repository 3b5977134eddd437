"""Where mail goes: to the server that a URL names, or into the Maildir (Rulebook §2)."""

from __future__ import annotations

import mailbox
import re
import shutil
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk import TO, mail
from full_disk import files_no_larger_than
from notice_samples import notice

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.replies import Unwritable
from vibes_pipeline.notices.smtp import SmtpTransport
from vibes_pipeline.notices.transports import MaildirTransport, transport_for

USER, PASSWORD = "vibes@mail", "p@ss/w0rd?"
ENCODED = "vibes%40mail:p%40ss%2Fw0rd%3F"


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
    assert kept["Message-ID"] == f"<{message.name}@mail.example>"
    assert not list((tmp_path / "mail" / "tmp").iterdir())


def test_a_notice_written_again_replaces_itself(tmp_path: Path) -> None:
    connection = MaildirTransport(tmp_path).connect()
    connection.send(mail(1), TO)
    connection.send(mail(2), TO)
    (path,) = (tmp_path / "new").iterdir()
    assert path.name == str(notice([]).notice_id)
    assert path.read_bytes() == mail(2).content.replace(b"\r\n", b"\n")


def test_a_maildir_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file in the way")
    with pytest.raises(MailError, match=r"the mail folder .*/mail cannot be made .*VIBES_HOME"):
        MaildirTransport(tmp_path / "mail").connect()


def test_a_maildir_that_was_lost_defers_the_mail(tmp_path: Path) -> None:
    connection = MaildirTransport(tmp_path / "mail").connect()
    shutil.rmtree(tmp_path / "mail")
    with pytest.raises(Unwritable, match=r"the mail folder .* cannot be written"):
        connection.send(mail(), TO)


def test_on_a_full_disk_no_half_of_a_mail_is_kept(tmp_path: Path) -> None:
    connection = MaildirTransport(tmp_path).connect()
    with files_no_larger_than(100), pytest.raises(Unwritable, match=r"too large.*; make room"):
        connection.send(mail(), TO)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_transport_never_shows_its_password() -> None:
    made = SmtpTransport.from_url("smtp://u:hunter2@mail.example")
    assert "hunter2" not in repr(replace(made, setting="X")) + str(made)
