"""Builds the mail of one notice: `Notice` and `Programme` become an EmailMessage, text and HTML.

All wording is in `email_templates/`: a pair of templates per notice kind, and one file per rule
that both parts of every kind share. Here belong the message, its headers and the rendering of its
two parts. What the templates are given is made in `sections`, `programme` and `cleaning`.
"""

from __future__ import annotations

from binascii import b2a_qp
from datetime import datetime
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime as format_datetime_header
from functools import cache, lru_cache

from css_inline import CSSInliner

from vibes_pipeline.notices.address import sender_address, usable_address
from vibes_pipeline.notices.cleaning import cleaned
from vibes_pipeline.notices.content import Notice, Programme
from vibes_pipeline.notices.sections import by_claim, credited, orders, sections, total
from vibes_pipeline.notices.wording import html_environment, plain_macros, text_environment


class _KeptHeaders(HeaderRegistry):
    """Parses each header once: most are the same in every mail, and parsing outweighs rendering."""

    __getitem__ = lru_cache(maxsize=64)(HeaderRegistry.__getitem__)
    __call__ = lru_cache(maxsize=256)(HeaderRegistry.__call__)


# Header lines are never folded: folding long ones makes CPython write encoded words into them.
_POLICY = SMTP.clone(max_line_length=998, header_factory=_KeptHeaders())


def compose(
    notice: Notice, programme: Programme, sender: str, message_date: datetime
) -> EmailMessage:
    """The mail that tells a seller of `notice` (Rulebook §10).

    `sender` is `address` or `Name <address>`; `message_date` is zone-aware and becomes `Date`.
    Raises UnusableAddress if the seller's address is none or unsafe, MailError for the sender's.
    """
    recipient = usable_address(notice.address)
    author = sender_address(sender)
    subject, text, html = render(notice, programme)

    message = EmailMessage(policy=_POLICY)
    message["From"] = str(author)
    message["To"] = recipient
    message["Subject"] = subject
    # As text: headers are kept by value, and equal times of two zones are equal.
    message["Date"] = format_datetime_header(message_date)
    message["Message-ID"] = f"<{notice.notice_id}@{author.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = "multipart/alternative"
    message.set_boundary(f"=_{notice.notice_id.hex}")
    message.attach(_part(text, "plain"))
    message.attach(_part(html, "html"))
    return message


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
    return subject, text.render(context), _inliner().inline(html.render(context))


def _part(text: str, subtype: str) -> EmailMessage:
    # Not `set_content`: its quoted-printable encoder is slower than all else here together.
    part = EmailMessage(policy=_POLICY)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    part.set_payload(b2a_qp(text.encode(), istext=True).decode("ascii"))
    return part


@cache
def _inliner() -> CSSInliner:
    return CSSInliner(load_remote_stylesheets=False, minify_css=True)
