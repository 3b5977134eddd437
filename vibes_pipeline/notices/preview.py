"""Samples of the mails as people get them: real notices of the ledger, worded by what sends them.

Nothing is recorded and nothing is sent. The samples hold a seller's name, address and products as
the mails themselves do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice, actions_listed
from vibes_pipeline.ledger.states import Status
from vibes_pipeline.notices.address import UnusableAddress
from vibes_pipeline.notices.delivery import SellerMails
from vibes_pipeline.notices.directory import read_directory
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.mails import Telling
from vibes_pipeline.paths import email_templates_dir
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings

# A seller's address may have become unusable since: then the next notice is tried.
CANDIDATES = 20
FRAMES = frozenset({"base", "by_order", "claim"})


@dataclass(frozen=True)
class Sample:
    """One notice kind's mail; `mail` is None when the ledger has no notice of the kind."""

    kind: str
    mail: Mail | None
    rules: Sequence[str] = ()
    actions: int = 0

    @cached_property
    def message(self) -> EmailMessage | None:
        """The mail as a mail program reads it."""
        return message_from_bytes(self.mail.content, policy=SMTP) if self.mail else None

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, subtype: str) -> str:
        body = self.message.get_body((subtype,)) if self.message else None
        return str(body.get_content()).replace("\r\n", "\n") if body else ""


def kinds() -> list[str]:
    """Every kind of notice that there are templates for, by name."""
    names = {file.stem for file in email_templates_dir().glob("*.txt")}
    return sorted(names - FRAMES)


def samples(ledger: Ledger, policy: Policy, settings: Settings) -> list[Sample]:
    """Of each kind the notice that lists most rules, worded as of when it was sent."""
    mails = SellerMails(ledger, policy, read_directory(policy, settings), settings.sender)
    return [_sample(ledger, mails, kind) for kind in kinds()]


def write_gallery(made: Sequence[Sample], folder: Path) -> Path:
    """Each mail as .eml, .html and .txt, and the page that shows all; give that page."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for sample in made:
        if sample.mail is not None:
            (folder / f"{sample.kind}.eml").write_bytes(sample.mail.content)
            (folder / f"{sample.kind}.html").write_text(sample.html, encoding="utf-8")
            (folder / f"{sample.kind}.txt").write_text(sample.text, encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    index = folder / "index.html"
    page = environment.get_template("gallery.html").render(samples=made)
    index.write_text(page, encoding="utf-8")
    return index


def _sample(ledger: Ledger, mails: SellerMails, kind: str) -> Sample:
    with ledger.reading() as connection:
        for notice, at in _candidates(connection, ledger.country, kind):
            listed = actions_listed(connection, notice.actions)
            wording = mails.wording([Telling(notice, listed)], at)
            try:
                mail = wording.mail_of(*wording.notices)
            except UnusableAddress:
                continue
            rules = sorted({action["rule"] for action in listed})
            return Sample(kind, mail, rules, len(listed))
    return Sample(kind, None)


def _candidates(
    connection: sa.Connection, country: str, kind: str
) -> list[tuple[OpenNotice, datetime]]:
    """Notices of a kind with the instant to word them as of.

    Sent ones come first, then those of most rules, the shortest of them.
    """
    n, listed, a = views.notice_states.c, schema.notice_actions.c, views.action_states.c
    rows = connection.execute(
        sa.select(
            *n,
            sa.func.max(a.notice_hours).label("notice_hours"),
            sa.func.array_remove(sa.func.array_agg(a.action_id), None).label("actions"),
        )
        .join(schema.notice_actions, listed.notice_id == n.notice_id, isouter=True)
        .join(views.action_states, a.action_id == listed.action_id, isouter=True)
        .where(
            n.country == country,
            n.kind == kind,
            sa.or_(n.is_alert, n.claim_event_id.is_not(None), a.implemented_at.is_not(None)),
        )
        .group_by(*list(n))
        .order_by(
            (n.status == Status.SENT).desc(),
            sa.func.count(a.rule.distinct()).desc(),
            sa.func.count(),
            n.planned_at.desc(),
            n.notice_id,
        )
        .limit(CANDIDATES)
    ).mappings()
    fields = OpenNotice.__dataclass_fields__
    found = [OpenNotice(**{name: row[name] for name in fields}) for row in rows]
    return [(notice, notice.last_at or notice.planned_at) for notice in found]
