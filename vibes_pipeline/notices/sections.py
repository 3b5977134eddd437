"""A notice's actions as its mail lists them: by rule, by order, or by what a claim undid.

Here belong the grouping, the order of lines and the sums. The notice is clean by now: see
`cleaning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from jinja2 import Environment

from vibes_pipeline.ledger.states import STANDING, State
from vibes_pipeline.notices.content import Notice, NoticeAction, Programme
from vibes_pipeline.notices.wording import pairs_of, plain_macros
from vibes_pipeline.rules import MAIL_ORDER, Evidence


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
    """All actions of one order, soonest first, whatever their rule; "" stands for no order."""

    number: str
    lines: Sequence[Line]

    @property
    def heading(self) -> str:
        return f"Order {self.number}" if self.number else "Without order number"


def sections(notice: Notice, programme: Programme, environment: Environment) -> list[Section]:
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
        total=total(actions),
    )


def orders(sections: Sequence[Section]) -> list[Order]:
    """The lines of all sections grouped by order, the order with the soonest line first."""
    by_order: dict[str, list[Line]] = {}
    lines = (line for section in sections for line in section.lines)
    for line in sorted(lines, key=lambda line: _line_order(line.action)):
        by_order.setdefault(line.action.order_number or "", []).append(line)
    return [Order(number, lines) for number, lines in by_order.items()]


def _line_order(action: NoticeAction) -> tuple[float, str, str]:
    # As instants: local times go back an hour when summer time ends.
    happened = action.event_at.timestamp() if action.event_at else 0.0
    return (happened, action.order_number or "", action.reference)


def total(actions: Sequence[NoticeAction]) -> Decimal | None:
    amounts = [action.amount for action in actions if action.amount is not None]
    return sum(amounts, Decimal(0)) if amounts else None


def by_claim(notice: Notice) -> dict[str, list[NoticeAction]]:
    """The actions that the notice's claim undid, and those that stay as they are."""
    ordered = sorted(notice.actions, key=lambda a: (MAIL_ORDER.index(a.rule), _line_order(a)))
    claim_id = notice.claim.claim_id if notice.claim else None
    undone = [a for a in ordered if claim_id and a.claim_id == claim_id]
    staying = [a for a in ordered if a not in undone and a.state in STANDING]
    return {"undone": undone, "staying": staying}


def credited(notice: Notice) -> Decimal | None:
    """The sum of the charges that the notice's claim reversed; None without any."""
    return total([a for a in by_claim(notice)["undone"] if a.state == State.REVERSED])
