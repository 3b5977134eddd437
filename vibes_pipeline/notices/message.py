"""Builds the mail of one notice: `Notice` and `Programme` become bytes, text and HTML.

All wording is in `email_templates/`: a pair of templates per notice kind, and one file per rule
that both parts of every kind share. Here belong the message, its headers and the rendering of its
two parts. What the templates are given is made in `sections`, `programme` and `cleaning`.
"""

from __future__ import annotations

import traceback
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.policy import SMTP
from email.utils import format_datetime as format_datetime_header
from functools import lru_cache

from vibes_pipeline.notices.address import sender_address, usable_address
from vibes_pipeline.notices.cleaning import cleaned
from vibes_pipeline.notices.content import Notice, Programme
from vibes_pipeline.notices.mail import Mail, Unbuilt
from vibes_pipeline.notices.sections import by_claim, credited, orders, sections, total
from vibes_pipeline.notices.wording import html_environment, plain_macros, text_environment

# Header lines are never folded: folding long ones makes CPython write encoded words into them.
_POLICY = SMTP.clone(max_line_length=998)


@dataclass(frozen=True)
class Wording:
    """What some mails are made of; `programmes` is keyed by the notices' periods."""

    notices: Sequence[Notice]
    programmes: Mapping[date, Programme]
    sender: str
    message_date: datetime

    def mail_of(self, notice: Notice) -> Mail:
        """The mail of one of the notices."""
        programme = self.programmes[notice.period]
        return compose(notice, programme, self.sender, self.message_date)


def composed(wording: Wording) -> list[Mail | Unbuilt]:
    """The mails in the order of their notices; one that cannot be built keeps no other back."""
    made: list[Mail | Unbuilt] = []
    for notice in wording.notices:
        try:
            made.append(wording.mail_of(notice))
        except Exception:
            made.append(Unbuilt(traceback.format_exc()))
    return made


def compose(notice: Notice, programme: Programme, sender: str, message_date: datetime) -> Mail:
    """The mail that tells a seller of `notice` (Rulebook §10).

    `sender` is `address` or `Name <address>`; `message_date` is zone-aware and becomes `Date`.
    Raises UnusableAddress if the seller's address is none or unsafe, MailError for the sender's.
    """
    recipient = usable_address(notice.address)
    author = sender_address(sender)
    subject, text, html = render(notice, programme)
    boundary = f"=_{notice.notice_id.hex}"
    # Written out, for building a message object of each mail takes longer than wording it. Only
    # these headers hold a text that is not of a shape known to be safe: our name and our subject.
    head = (
        f"{_header('From', str(author))}"
        f"To: {recipient}\r\n"
        f"{_header('Subject', subject)}"
        f"Date: {format_datetime_header(message_date)}\r\n"
        f"Message-ID: <{notice.notice_id}@{author.domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    )
    content = b"".join(
        (
            head.encode("ascii"),
            _part(boundary, "plain", text),
            _part(boundary, "html", html),
            f"--{boundary}--\r\n".encode(),
        )
    )
    return Mail(str(notice.notice_id), author.addr_spec, content)


def render(notice: Notice, programme: Programme) -> tuple[str, str, str]:
    """Subject, plain text and HTML of a notice."""
    zone = programme.time_zone
    local = cleaned(notice, zone)
    text_parts = text_environment(programme.country, zone)
    week = {"period": notice.period, "programme": programme}
    by_rule = [] if notice.claim else sections(local, programme, text_parts)
    context: dict[str, object] = {
        **week,
        "notice": local,
        "sections": by_rule,
        "orders": orders(by_rule),
        "total": credited(local) if notice.claim else total(local.actions),
        **by_claim(local),
    }
    if notice.claim:
        context["words"] = plain_macros(text_parts.get_template("claims/words.txt"), {})
    text = text_parts.get_template(f"{notice.kind}.txt")
    html = html_environment(programme.country, zone).get_template(f"{notice.kind}.html")
    # The subject block sees nothing of the notice but its period: no seller text can get in.
    subject = "".join(text.blocks["subject"](text.new_context(week))).strip()
    return subject, text.render(context), html.render(context)


@lru_cache(maxsize=64)
def _header(name: str, value: str) -> str:
    """A header's line; an unsafe value is refused, and what is not ASCII is encoded."""
    line: str = _POLICY.fold(*_POLICY.header_store_parse(name, value))
    return line


def _part(boundary: str, subtype: str, text: str) -> bytes:
    head = (
        f"--{boundary}\r\n"
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    lines = b2a_qp(text.encode(), istext=True).splitlines()
    return b"\r\n".join((head.encode("ascii")[:-2], *lines, b"", b""))
