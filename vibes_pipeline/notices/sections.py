"""A notice's actions as its mail lists them: by rule, by order, or by what a claim undid.

Here belong the grouping, the order of lines, which lines are listed one by one, and the sums. The
notice is clean by now: see `cleaning`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Self

from jinja2 import Environment

from vibes_pipeline.ledger.states import STANDING, State
from vibes_pipeline.notices.content import Notice, NoticeAction, Programme
from vibes_pipeline.notices.wording import pairs_of, plain_macros
from vibes_pipeline.rules import LATE_RULES, MAIL_ORDER, Evidence


@dataclass(frozen=True)
class Line:
    """One action as both parts print it; `facts` are pairs of label and value."""

    action: NoticeAction
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ProductSum:
    """Actions of one rule and one product that are not listed one by one."""

    name: str
    sku: str | None
    count: int
    total: Decimal | None


@dataclass(frozen=True)
class Section:
    """All actions of one rule: its title and words once, then the lines.

    `count` and `total` are of all its actions. Those without a line of their own are in `sums`,
    by product; `unnamed` sums what is beyond these, of so many products.
    """

    title: str
    words: str
    effect: str
    reasons: Sequence[str]
    lines: Sequence[Line]
    count: int
    total: Decimal | None
    sums: Sequence[ProductSum] = ()
    unnamed: ProductSum | None = None

    @property
    def heading(self) -> str:
        return self.title if self.count == 1 else f"{self.title} ({self.count})"

    @property
    def unlisted(self) -> int:
        """How many actions have no line of their own."""
        return self.count - len(self.lines)


@dataclass(frozen=True)
class Order:
    """All actions of one order, soonest first, whatever their rule; "" stands for no order."""

    number: str
    lines: Sequence[Line]

    @property
    def heading(self) -> str:
        return f"Order {self.number}" if self.number else "Without order number"


@dataclass(frozen=True)
class Listed:
    """The actions of a slot, as its notice lists them."""

    sections: Sequence[Section]

    @classmethod
    def of(cls, notice: Notice, programme: Programme, environment: Environment) -> Self:
        return cls(sections(notice, programme, environment))

    @property
    def every_line(self) -> list[Line]:
        """All lines, whether they are listed or not."""
        return [line for section in self.sections for line in section.lines]

    def within(self, lines: int, sums: int) -> dict[str, object]:
        """What templates are given of the actions when so many lines and sums are listed."""
        shown = shortened(self.sections, lines, sums)
        every_line = self.every_line
        listed = (line for section in shown for line in section.lines)
        return {
            "sections": shown,
            # Which reference to quote is shown by one that the mail has.
            "example": next(listed, every_line[0]).action.reference,
            "orders": orders(shown),
            "order_count": len({line.action.order_number for line in every_line}),
        }


@dataclass(frozen=True)
class Claimed:
    """The actions that a claim undid, and those that stay as they are."""

    undone: Sequence[NoticeAction]
    staying: Sequence[NoticeAction]
    words: Mapping[str, Callable[..., str]]

    @classmethod
    def of(cls, notice: Notice, environment: Environment) -> Self:
        words = plain_macros(environment.get_template("claims/words.txt"), {})
        return cls(**by_claim(notice), words=words)

    @property
    def every_line(self) -> list[Line]:
        return [
            Line(action, [("What became of it", fate(action))])
            for actions, fate in (
                (self.undone, self.words["fate"]),
                (self.staying, self.words["standing"]),
            )
            for action in actions
        ]

    def within(self, lines: int, sums: int) -> dict[str, object]:
        """What templates are given of the actions when so many lines are listed."""
        return {
            "words": self.words,
            "sections": [],
            "undone": self.undone,
            "staying": self.staying,
            "listed_undone": self.undone[:lines],
            "listed_staying": self.staying[: max(lines - len(self.undone), 0)],
        }


def sections(notice: Notice, programme: Programme, environment: Environment) -> list[Section]:
    """Every action with its line, by rule, the most serious rule first."""
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
        count=len(actions),
        total=total(actions),
    )


def shortened(every: Sequence[Section], lines: int, sums: int) -> list[Section]:
    """The sections with at most so many lines and sums by product: those that weigh most.

    What is beyond is summed by product, and what is beyond that in one sum for each rule.
    """
    if sum(section.count for section in every) <= lines:
        return list(every)
    all_lines = sorted((line for s in every for line in s.lines), key=lambda li: _weight(li.action))
    listed = {line.action.action_id for line in all_lines[:lines]}
    summed = [
        _by_product(s, [li for li in s.lines if li.action.action_id not in listed]) for s in every
    ]
    heaviest = sorted((s for of_rule in summed for s in of_rule), key=_sum_weight)[:sums]
    named = {id(s) for s in heaviest}
    return [
        replace(
            section,
            lines=[line for line in section.lines if line.action.action_id in listed],
            sums=[s for s in of_rule if id(s) in named],
            unnamed=_beyond([s for s in of_rule if id(s) not in named]),
        )
        for section, of_rule in zip(every, summed, strict=True)
    ]


def _by_product(section: Section, lines: Sequence[Line]) -> list[ProductSum]:
    products: dict[str, list[NoticeAction]] = {}
    for line in lines:
        products.setdefault(line.action.sku or "", []).append(line.action)
    sums = (
        ProductSum(
            actions[0].product_name or sku or section.title,
            sku or None,
            len(actions),
            total(actions),
        )
        for sku, actions in products.items()
    )
    return sorted(sums, key=_sum_weight)


def _beyond(sums: Sequence[ProductSum]) -> ProductSum | None:
    if not sums:
        return None
    amounts = [s.total for s in sums if s.total is not None]
    return ProductSum(
        f"{len(sums)} more product{'s' if len(sums) > 1 else ''}",
        None,
        sum(s.count for s in sums),
        sum(amounts, Decimal(0)) if amounts else None,
    )


def _weight(action: NoticeAction) -> tuple[object, ...]:
    """Lines that weigh most come first: what is no charge, then the greatest amounts.

    Of late orders the soonest weighs most, whatever its state.
    """
    rank = 0 if action.rule in LATE_RULES else MAIL_ORDER.index(action.rule)
    return (action.amount is not None, -(action.amount or 0), rank, *_line_order(action))


def _sum_weight(of_product: ProductSum) -> tuple[object, ...]:
    return (-(of_product.total or 0), -of_product.count, of_product.name, of_product.sku or "")


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
