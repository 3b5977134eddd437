"""Builds the mail of one notice: `Notice` and `Programme` become bytes, text and HTML.

All wording is in `email_templates/`: a pair of templates per notice kind, and one file per rule
that both parts of every kind share. Here belong the message, its headers and the rendering of its
two parts. What the templates are given is made in `sections`, `programme` and `cleaning`; what is
attached, in `attachment`.
"""

from __future__ import annotations

import re
import traceback
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.policy import SMTP
from email.utils import format_datetime as format_datetime_header
from functools import lru_cache
from typing import NamedTuple

from vibes_pipeline.notices.address import message_id, sender_address, usable_address
from vibes_pipeline.notices.attachment import file_name, table
from vibes_pipeline.notices.cleaning import cleaned
from vibes_pipeline.notices.content import Notice, Programme
from vibes_pipeline.notices.mail import Mail, Unbuilt
from vibes_pipeline.notices.sections import Claimed, Listed, credited, total
from vibes_pipeline.notices.wording import html_environment, text_environment

# Header lines are never folded: folding long ones makes CPython write encoded words into them.
_POLICY = SMTP.clone(max_line_length=998)
# Words with a letter that is not ASCII; those that follow each other are encoded in one.
_NOT_ASCII = re.compile(r"[^ ]*[^\x00-\x7f][^ ]*(?: [^ ]*[^\x00-\x7f][^ ]*)*")


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
    letter = render(notice, programme)
    # Written out, for building a message object of each mail takes longer than wording it. Only
    # these headers hold a text that is not of a shape known to be safe: our name and our subject.
    head = (
        f"{_header('From', str(author))}"
        f"To: {recipient}\r\n"
        f"Subject: {_encoded(letter.subject)}\r\n"
        f"Date: {format_datetime_header(message_date)}\r\n"
        f"Message-ID: {message_id(notice.notice_id, author)}\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
    )
    body = _multipart(
        "alternative",
        f"=_{notice.notice_id.hex}",
        [_text_part("plain", letter.text), _text_part("html", letter.html)],
    )
    if letter.table is not None:
        attached = _csv_part(file_name(notice), letter.table)
        body = _multipart("mixed", f"=_{notice.notice_id.hex}_m", [body, attached])
    return Mail(str(notice.notice_id), author.addr_spec, head.encode("ascii") + body)


class Letter(NamedTuple):
    """What a notice says; `table` has all its lines, where the two parts list only some."""

    subject: str
    text: str
    html: str
    table: bytes | None


def render(notice: Notice, programme: Programme) -> Letter:
    """The words of a notice; the HTML is no longer than mail programs show."""
    zone = programme.time_zone
    local = cleaned(notice, zone)
    texts = text_environment(programme.country, zone)
    html_template = html_environment(programme.country, zone).get_template(f"{notice.kind}.html")
    # The subject block sees nothing else of the notice: no seller text can get in.
    ours: dict[str, object] = {
        "period": notice.period,
        "programme": programme,
        "total": credited(local) if notice.claim else total(local.actions),
        "count": len(local.actions),
        "takes_effect_at": notice.takes_effect_at,
        "implemented_at": notice.implemented_at,
    }
    content = Claimed.of(local, texts) if notice.claim else Listed.of(local, programme, texts)
    every_line = content.every_line
    for lines, sums in _lengths(programme.notice_lines, len(every_line)):
        unlisted = len(every_line) - lines
        context = {
            **ours,
            **content.within(lines, sums),
            "notice": local,
            "unlisted": max(unlisted, 0),
            "attached": file_name(notice),
        }
        html = html_template.render(context)
        if len(html.encode()) <= programme.html_limit_bytes:
            break
    text_template = texts.get_template(f"{notice.kind}.txt")
    subject = "".join(text_template.blocks["subject"](text_template.new_context(ours))).strip()
    attached = table(every_line, programme) if unlisted > 0 else None
    return Letter(subject, text_template.render(context), html, attached)


def _lengths(lines: int, sums: int) -> Iterator[tuple[int, int]]:
    """How many lines and sums by product to list: as many as may be, then fewer and fewer."""
    yield lines, sums
    while sums:
        sums //= 2
        yield lines, sums
    while lines:
        lines //= 2
        yield lines, sums


@lru_cache(maxsize=64)
def _header(name: str, value: str) -> str:
    """A header's line; an unsafe value is refused, and what is not ASCII is encoded."""
    line: str = _POLICY.fold(*_POLICY.header_store_parse(name, value))
    return line


def _encoded(subject: str) -> str:
    """Our own subject as a header has it: words that are not ASCII are encoded (RFC 2047).

    No two subjects are alike, and for one the standard library takes as long as for half a mail.
    """
    if not subject.isprintable():
        raise ValueError("a subject is one line of printable text")
    return _NOT_ASCII.sub(_encoded_words, subject)


def _encoded_words(found: re.Match[str]) -> str:
    encoded = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or chr(byte) in ",.-" else f"={byte:02X}"
        for byte in found[0].encode()
    )
    return f"=?utf-8?q?{encoded}?="


def _multipart(subtype: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'
    between = f"--{boundary}\r\n".encode()
    return b"".join(
        [head.encode(), *(between + part for part in parts), f"--{boundary}--\r\n".encode()]
    )


def _text_part(subtype: str, text: str) -> bytes:
    head = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    lines = map(_quoted_printable, text.removesuffix("\n").split("\n"))
    return b"\r\n".join((head.encode("ascii")[:-2], *lines, b"", b""))


# Most lines are the frame's, or the rules' words: the same in mail after mail.
@lru_cache(maxsize=4096)
def _quoted_printable(line: str) -> bytes:
    return b2a_qp(line.encode(), istext=True).replace(b"\n", b"\r\n")


def _csv_part(name: str, content: bytes) -> bytes:
    head = (
        f'Content-Type: text/csv; charset="utf-8"; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
    )
    lines = encodebytes(content).splitlines()
    return b"\r\n".join((head.encode("ascii"), *lines, b""))
