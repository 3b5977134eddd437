"""The morning's mail to operators: what waits, how that has changed, what was done (Rulebook §17).

Here belong what the mail says and when it is planned: once a day, in the ledger, with its words.
`notices.operators` sends it from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from babel import Locale

from vibes_pipeline.calendar import DAY, day_start
from vibes_pipeline.clock import Clock
from vibes_pipeline.ledger import as_of, operators
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.operators import Kind, OperatorsMail
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.address import sender_address
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.operators import Words, by_hash, send_due, worded
from vibes_pipeline.notices.replies import without_addresses
from vibes_pipeline.notices.wording import html_environment, text_environment
from vibes_pipeline.operations.done import Done, DoneByRule, done_between
from vibes_pipeline.operations.waiting import Waits, what_waits
from vibes_pipeline.policy import Policy
from vibes_pipeline.rules import Rule
from vibes_pipeline.settings import Settings

TEMPLATE = "operators/morning"
MINUS = "\u2212"


@dataclass(frozen=True)
class Morning:
    """All that a morning's mail tells; `before` is the day of the mail before, None if none was."""

    as_of: datetime
    is_simulated: bool
    waiting: Sequence[Waits]
    done: Done
    before: date | None
    told_before: Mapping[str, int]

    @property
    def day(self) -> date:
        """The local day on which it is sent."""
        return self.as_of.date()

    @property
    def count(self) -> int:
        """How much waits for a person."""
        return sum(waits.count for waits in self.waiting if waits.is_for_a_person)

    @property
    def told(self) -> dict[str, int]:
        """What the next mail is compared with: how many wait, by cause."""
        return {waits.cause.value: waits.count for waits in self.waiting}


def send(ledger: Ledger, settings: Settings, policy: Policy, clock: Clock) -> Counter[str]:
    """Plan the mail of the clock's day, unless it is planned, and send what is due.

    Gives how many operators' mails ended in which status; raises as `send_due` does.
    """
    if not is_planned(ledger, policy.local_date(clock.now())):
        morning = look(ledger, settings, policy, clock.now())
        plan(ledger, settings, policy, morning)
    return send_due(ledger, settings, clock, is_simulated=clock.is_simulated)


def is_planned(ledger: Ledger, day: date) -> bool:
    """Whether the mail of a day is in the ledger, be it for nobody."""
    return operators.newest(ledger, Kind.MORNING, day.isoformat()) is not None


def told_last(ledger: Ledger) -> Mapping[str, int]:
    """How many waited by cause, as the newest mail told."""
    newest = operators.newest(ledger, Kind.MORNING)
    return newest.told if newest else {}


def plan(ledger: Ledger, settings: Settings, policy: Policy, morning: Morning) -> None:
    """Record the mail, for all operators, or for nobody where nothing waits and the policy says so.

    It is not sent any more once the next one is due.
    """
    words, operations = words_of(morning, policy), policy.operations
    goes_out = morning.count or operations.operators_mail.on(morning.day).is_sent_when_nothing_waits
    mail = OperatorsMail(
        kind=Kind.MORNING,
        about=morning.day.isoformat(),
        told=morning.told,
        planned_at=morning.as_of,
        pointless_at=operations.mail_due_at(morning.day + DAY, policy.time_zone),
        subject=words.subject,
        body=words.body,
        html=words.html,
    )
    operators.plan(ledger, mail, list(by_hash(settings)) if goes_out else [])


def look(ledger: Ledger, settings: Settings, policy: Policy, now: datetime) -> Morning:
    """What waits at an instant, what the mail before told, what was done the day before."""
    now = now.astimezone(policy.time_zone)
    today = now.date()
    before = operators.newest(ledger, Kind.MORNING, before=today.isoformat())
    days = (day_start(day, policy.time_zone) for day in (today - DAY, today))
    return Morning(
        as_of=now,
        is_simulated=ledger.mode() is LedgerMode.SIMULATED,
        waiting=what_waits(ledger, settings, policy, now),
        done=done_between(ledger, *days),
        before=date.fromisoformat(before.about) if before else None,
        told_before=before.told if before else {},
    )


def sample(ledger: Ledger, settings: Settings, policy: Policy, now: datetime) -> Mail:
    """The mail as it would go out now, to the first operator; nothing is recorded.

    A simulated ledger is looked at as of its newest slot. Without operators it is to the sender.
    """
    is_simulated = ledger.mode() is LedgerMode.SIMULATED
    at = (as_of.present(ledger) if is_simulated else None) or now
    words = words_of(look(ledger, settings, policy, at), policy)
    to = next(iter(settings.operators), sender_address(settings.sender).addr_spec)
    return worded(settings, to, uuid4(), words, at)


# What it says -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """What waits for one cause, in plain text.

    Each text is on one line, not too long, and has no mail address in it.
    """

    title: str
    count: str
    details: Sequence[str]
    look_at: str


@dataclass(frozen=True)
class DoneLine:
    """What was done of one kind."""

    what: str
    count: str
    amount: Decimal | None = None


def words_of(morning: Morning, policy: Policy) -> Words:
    """The subject and both parts."""
    country, zone = policy.country, policy.time_zone
    texts = text_environment(country, zone)
    lines = [(waits, _line(waits, morning, policy, texts.filters)) for waits in morning.waiting]
    # What waits no more is told once.
    told = [(w, line) for w, line in lines if w.count or morning.told_before.get(w.cause)]
    waits_for = f"{counted(morning.count, 'thing waits', 'things wait')} for a person"
    headline = waits_for if morning.count else "Nothing waits for a person"
    context = {
        "headline": headline,
        "lead": _lead(morning, texts.filters) if told else "There is nothing to decide or to mend.",
        "country_name": Locale.parse("en").territories[country],
        "currency": policy.currency,
        "as_of": morning.as_of,
        "is_simulated": morning.is_simulated,
        "for_a_person": [line for waits, line in told if waits.is_for_a_person],
        "for_information": [line for waits, line in told if not waits.is_for_a_person],
        "yesterday": morning.day - DAY,
        "done": [
            *(DoneLine(_done(d, policy), f"{d.count:,}", d.amount) for d in morning.done.actions),
            DoneLine("Mails that the mail server accepted", f"{morning.done.mails:,}"),
        ],
    }
    subject = f"VIBES {country}: {headline[0].lower()}{headline[1:]}, {morning.day:%d %b %Y}"
    return Words(
        subject,
        texts.get_template(f"{TEMPLATE}.txt").render(context).strip("\n"),
        html_environment(country, zone).get_template(f"{TEMPLATE}.html").render(context),
    )


def _lead(morning: Morning, filters: Mapping[str, Any]) -> str:
    below = "Each line names the command that shows it or ends it."
    if morning.before is None:
        return below
    return (
        f"{below} In brackets: the change since the mail of {filters['long_day'](morning.before)}."
    )


def _line(waits: Waits, morning: Morning, policy: Policy, filters: Mapping[str, Any]) -> Line:
    change = waits.count - morning.told_before.get(waits.cause, waits.count)
    sign = "+" if change > 0 else MINUS
    facts = []
    if waits.oldest_at is not None:
        facts.append(f"The oldest since {filters['moment'](waits.oldest_at)}")
    if waits.amount is not None:
        facts.append(f"{filters['money'](waits.amount, policy.currency)} at stake")
    named = ", ".join(filter(None, (without_addresses(clean(name)) for name in waits.sample)))
    if named and waits.count > len(waits.sample):
        named = f"Among them: {named}"
    return Line(
        title=f"{waits.what[0].upper()}{waits.what[1:]}",
        count=f"{waits.count:,}" + (f" ({sign}{abs(change):,})" if change else ""),
        details=list(filter(None, ("; ".join(facts), named))),
        look_at=waits.look_at,
    )


def _done(of: DoneByRule, policy: Policy) -> str:
    """`Returns Charge, implemented`; a rule that only a later program knows by its own name."""
    title = policy.rules[Rule(of.rule)].title if of.rule in policy.rules else of.rule
    return f"{title}, {of.state}"
