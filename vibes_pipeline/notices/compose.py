"""Builds the mail of one notice: `Notice` and `Programme` become an EmailMessage, text and HTML.

All wording is in `email_templates/`: a pair of templates per notice kind, and one file per rule
that both parts of every kind share. What is done here is what templates must not do: clean the
seller's text, put times into local time, group by rule and by order, add up, and build a safe
message.
"""

from __future__ import annotations

import unicodedata
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime as format_datetime_header
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from css_inline import CSSInliner
from jinja2 import Environment

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger.states import STANDING, State
from vibes_pipeline.notices.address import usable_address
from vibes_pipeline.notices.content import (
    ClaimText,
    Notice,
    NoticeAction,
    NoticeClaim,
    OrderBand,
    Programme,
    ReasonText,
    RuleText,
)
from vibes_pipeline.notices.wording import (
    html_environment,
    pairs_of,
    plain_macros,
    text_environment,
)
from vibes_pipeline.policy.claims import ClaimCategory
from vibes_pipeline.policy.model import Policy
from vibes_pipeline.policy.parameter import DECISION, Dated
from vibes_pipeline.policy.rules import Band, QualityCharge, band_edges
from vibes_pipeline.rules import MAIL_ORDER, Evidence


class _KeptHeaders(HeaderRegistry):
    """Parses each header once: most are the same in every mail, and parsing outweighs rendering."""

    __getitem__ = lru_cache(maxsize=64)(HeaderRegistry.__getitem__)
    __call__ = lru_cache(maxsize=256)(HeaderRegistry.__call__)


# Header lines are never folded: folding long ones makes CPython write encoded words into them.
_POLICY = SMTP.clone(max_line_length=998, header_factory=_KeptHeaders())
_LONGEST_SELLER_TEXT = 160


@dataclass(frozen=True)
class Line:
    """One action as both parts print it; `facts` are pairs of label and value."""

    action: NoticeAction
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """All actions of one rule: its title and words once, then the lines."""

    title: str
    words: str
    effect: str
    reasons: Sequence[str]
    lines: Sequence[Line]
    total: Decimal | None

    @property
    def heading(self) -> str:
        return self.title if len(self.lines) == 1 else f"{self.title} ({len(self.lines)})"


@dataclass(frozen=True)
class Order:
    """All actions of one order, soonest first, whatever their rule; "" is the number of none."""

    number: str
    lines: Sequence[Line]

    @property
    def heading(self) -> str:
        return f"Order {self.number}" if self.number else "Without order number"


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


def programme(policy: Policy, day: date) -> Programme:
    """What mails say of a policy as of a local date; PolicyError where it has no value then."""
    orders, sales, contact = policy.order_regulation, policy.sales_regulation, policy.contact
    return Programme(
        country=policy.country,
        country_name=Locale.parse("en").territories[policy.country],
        currency=policy.currency,
        time_zone=policy.time_zone,
        claim_link=contact.links.raise_a_claim.on(day),
        phones=contact.phones.on(day),
        how_to_object=" ".join(reference.sentence for reference in contact.how_to_object),
        rules={
            rule.value: RuleText(
                text.title, text.words, text.exemptions.sentence if text.exemptions else None
            )
            for rule, text in policy.rules.items()
        },
        reasons={
            "returns_charge": _reasons(policy.returns_charge),
            "dropoff_qc_charge": _reasons(policy.dropoff_qc_charge),
        },
        weekly_alert_weekday=policy.slots.weekly_alert.on(day).weekday.name.capitalize(),
        order_bands=_order_bands(orders.bands.on(day)),
        daily_order_minimum=orders.daily_order_minimum.on(day),
        order_regulation_days=orders.in_force_days.on(day),
        order_regulation_window_weeks=orders.window_weeks.on(day),
        sales_regulation_days=sales.in_force_days.on(day),
        rejection_window_days=sales.rejection_window_days.on(day),
        return_lag_weeks=sales.return_lag_weeks.on(day),
        claim_categories={
            name: _claim_text(category.dated_on(day))
            for name, category in policy.claims.categories.items()
        },
        seko_link=contact.links.seko_contact.on(day),
    )


def _claim_text(category: Dated[ClaimCategory]) -> ClaimText:
    """A category's name and the source texts' words on it; our own decisions are not quoted."""
    contacts = [r.redirected_to for r in category.value.reasons.values() if r.redirected_to]
    return ClaimText(
        name=category.value.name,
        words=" ".join(r.sentence for r in category.references if r.document != DECISION),
        redirected_to=contacts[0] if contacts else None,
    )


def _reasons(charge: QualityCharge) -> dict[str, ReasonText]:
    return {
        code: ReasonText(text.name, text.definition.sentence) for code, text in charge.texts.items()
    }


def _order_bands(bands: Sequence[Band]) -> list[OrderBand]:
    return [
        OrderBand(
            edges.from_pct,
            edges.includes_from,
            edges.to_pct,
            band.daily_share_pct,
            band.pending_to_shipped_multiple,
        )
        for band, edges in zip(bands, band_edges(bands), strict=True)
    ]


def sender_address(sender: str) -> Address:
    """The `From` of all mails, out of `address` or `Name <address>`; MailError if unusable."""
    name, bracket, rest = sender.rpartition("<")
    spec = rest.removesuffix(">") if bracket else sender.strip()
    name = name.strip().strip('"')
    try:
        if "=?" in name or not name.isprintable() or (bracket and not sender.endswith(">")):
            raise MailError("it is not of that form")
        return Address(display_name=name, addr_spec=usable_address(spec))
    except MailError as failure:
        raise MailError(
            f"the sender must be an address or `Name <address>`, not {sender!r} ({failure})"
        ) from None


def render(notice: Notice, programme: Programme) -> tuple[str, str, str]:
    """Subject, plain text and HTML of a notice."""
    zone = programme.time_zone
    local = _cleaned(notice, zone)
    text_parts = text_environment(programme.country, zone)
    week = {"period": notice.period, "programme": programme}
    sections = [] if notice.claim else _sections(local, programme, text_parts)
    context: dict[str, object] = {
        **week,
        "notice": local,
        "sections": sections,
        "orders": _orders(sections),
        "total": _credited(local) if notice.claim else _total(local.actions),
        **_by_claim(local),
    }
    if notice.claim:
        context["words"] = plain_macros(text_parts.get_template("claims/words.txt"), {})
    text = text_parts.get_template(f"{notice.kind}.txt")
    html = html_environment(programme.country, zone).get_template(f"{notice.kind}.html")
    # The subject block sees nothing of the notice but its period: no seller text can get in.
    subject = "".join(text.blocks["subject"](text.new_context(week))).strip()
    return subject, text.render(context), _inliner().inline(html.render(context))


def _by_claim(notice: Notice) -> dict[str, list[NoticeAction]]:
    """The actions that the notice's claim undid, and those that stay as they are."""
    ordered = sorted(notice.actions, key=lambda a: (MAIL_ORDER.index(a.rule), _line_order(a)))
    claim_id = notice.claim.claim_id if notice.claim else None
    undone = [a for a in ordered if claim_id and a.claim_id == claim_id]
    staying = [a for a in ordered if a not in undone and a.state in STANDING]
    return {"undone": undone, "staying": staying}


def _credited(notice: Notice) -> Decimal | None:
    """The sum of the charges that the notice's claim reversed; None without any."""
    return _total([a for a in _by_claim(notice)["undone"] if a.state == State.REVERSED])


def _sections(notice: Notice, programme: Programme, environment: Environment) -> list[Section]:
    by_rule: dict[str, list[NoticeAction]] = {}
    for action in notice.actions:
        by_rule.setdefault(action.rule, []).append(action)
    return [
        _section(rule, sorted(by_rule[rule], key=_line_order), notice, programme, environment)
        for rule in sorted(by_rule, key=MAIL_ORDER.index)
    ]


def _section(
    rule: str,
    actions: list[NoticeAction],
    notice: Notice,
    programme: Programme,
    environment: Environment,
) -> Section:
    words = plain_macros(
        environment.get_template(f"rules/{rule}.txt"),
        {"notice": notice, "programme": programme, "actions": actions},
    )
    codes = {a.evidence[Evidence.REASON] for a in actions if Evidence.REASON in a.evidence}
    defined = programme.reasons.get(rule, {})
    reasons = [defined[code] for code in sorted(codes) if code in defined]
    return Section(
        title=programme.rules[rule].title,
        words=programme.rules[rule].words,
        effect=" ".join(words["effect"]().split()),
        reasons=[f"{reason.label}: {reason.definition}" for reason in reasons],
        lines=[Line(action, pairs_of(words["facts"](action))) for action in actions],
        total=_total(actions),
    )


def _orders(sections: Sequence[Section]) -> list[Order]:
    """The same lines by order, the order of the soonest line first."""
    by_order: dict[str, list[Line]] = {}
    lines = (line for section in sections for line in section.lines)
    for line in sorted(lines, key=lambda line: _line_order(line.action)):
        by_order.setdefault(line.action.order_number or "", []).append(line)
    return [Order(number, lines) for number, lines in by_order.items()]


def _line_order(action: NoticeAction) -> tuple[float, str, str]:
    # As instants: local times go back an hour when summer time ends.
    happened = action.event_at.timestamp() if action.event_at else 0.0
    return (happened, action.order_number or "", action.reference)


def _total(actions: Sequence[NoticeAction]) -> Decimal | None:
    amounts = [action.amount for action in actions if action.amount is not None]
    return sum(amounts, Decimal(0)) if amounts else None


def _part(text: str, subtype: str) -> EmailMessage:
    # Not `set_content`: its quoted-printable encoder is slower than all else here together.
    part = EmailMessage(policy=_POLICY)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    part.set_payload(b2a_qp(text.encode(), istext=True).decode("ascii"))
    return part


# Cleaning: after this, all text is on one line and times are local.


def clean(text: str) -> str:
    """Seller text on one line, without control, format or unassigned characters, not too long."""
    if not text.isprintable():
        text = "".join(
            "" if unicodedata.category(c) == "Cf" else c if c.isprintable() else " " for c in text
        )
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SELLER_TEXT else text[: _LONGEST_SELLER_TEXT - 1] + "…"


def _cleaned(notice: Notice, zone: ZoneInfo) -> Notice:
    return replace(
        notice,
        seller_id=clean(notice.seller_id),
        shop_name=clean(notice.shop_name),
        actions=[_cleaned_action(action, zone) for action in notice.actions],
        takes_effect_at=notice.takes_effect_at and notice.takes_effect_at.astimezone(zone),
        implemented_at=notice.implemented_at and notice.implemented_at.astimezone(zone),
        claim=notice.claim and _cleaned_claim(notice.claim),
    )


def _cleaned_claim(claim: NoticeClaim) -> NoticeClaim:
    return replace(
        claim,
        claim_id=clean(claim.claim_id),
        category=_clean_or_none(claim.category),
        order_number=_clean_or_none(claim.order_number),
        sku=_clean_or_none(claim.sku),
        action_reference=_clean_or_none(claim.action_reference),
    )


def _cleaned_action(action: NoticeAction, zone: ZoneInfo) -> NoticeAction:
    return replace(
        action,
        seller_id=clean(action.seller_id),
        sku=_clean_or_none(action.sku),
        product_name=_clean_or_none(action.product_name),
        order_number=_clean_or_none(action.order_number),
        order_item_id=_clean_or_none(action.order_item_id),
        claim_id=_clean_or_none(action.claim_id),
        event_at=action.event_at and action.event_at.astimezone(zone),
        evidence={key: _clean_evidence(value) for key, value in action.evidence.items()},
    )


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _clean_evidence(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


@cache
def _inliner() -> CSSInliner:
    return CSSInliner(load_remote_stylesheets=False, minify_css=True)
