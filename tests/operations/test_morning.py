"""The morning's mail to operators: what it says, and that each gets it once (Rulebook §17)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from ledger import made
from notices.mail_server import Post
from notices.outbox_sender import SetClock
from operations.scene import NOW
from rules.marketplace import NIGERIA

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import operators, schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.operators import Kind
from vibes_pipeline.notices.operators import SomeNotReached, due_mails
from vibes_pipeline.operations import morning
from vibes_pipeline.operations.causes import Cause
from vibes_pipeline.operations.done import Done, DoneByRule
from vibes_pipeline.operations.morning import Morning
from vibes_pipeline.operations.waiting import Waits
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
NIGHT, DUTY = "night@operators.example", "duty@operators.example"
NOBODY_LISTENS = "smtp://127.0.0.1:1"


# --- what it says ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mail(crowded: Ledger, settings: Settings) -> EmailMessage:
    """As of `NOW`, after a mail of the day before that told of less."""
    told = {cause.value: 1 for cause in Cause}
    seen = morning.look(crowded, settings, NIGERIA, NOW)
    after = replace(seen, before=(NOW - DAY).date(), told_before=told)
    words = morning.words_of(after, NIGERIA)
    message = EmailMessage()
    message["Subject"] = words.subject
    message.set_content(words.body)
    message.add_alternative(words.html, subtype="html")
    return message


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_the_subject_says_how_much_waits_for_a_person(mail: EmailMessage) -> None:
    # 3 slots, 5 claims, 2 reviews, one of each of the eight other causes.
    assert mail["Subject"] == "VIBES NG: 18 things wait for a person, 23 Nov 2026"


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_each_line_has_its_count_its_change_and_the_command_to_go_to(
    mail: EmailMessage, kind: str
) -> None:
    text = " ".join(part(mail, kind).split())
    for words in (
        "Claims undecided, within the target",
        "4 (+3)",
        "The oldest since Wed 18 Nov 2026, 09:00",
        "₦2,000.00 at stake",
        "vibes claims",
        "Slots due and not done",
        "3 (+2)",
        "the change since the mail of Sunday 22 November 2026",
        "vibes mail resend --status unknown",
        "order_items: price is null",
        "For a person",
        "For information",
    ):
        assert words in text
    assert text.index("For a person") < text.index("For information") < text.index("Done on")


def test_what_sellers_wrote_is_text_on_one_line_in_either_part(mail: EmailMessage) -> None:
    html = part(mail, "html")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Bcc: (address), C-1" in html
    assert "@shop.example" not in mail.as_string()
    assert "\nBcc" not in part(mail, "plain")


def only(**counts: int) -> Morning:
    """A morning with so many of some causes, after one in which two claims were overdue."""
    waiting = tuple(Waits(cause, counts.get(cause.name.lower(), 0)) for cause in Cause)
    done = Done([DoneByRule("returns_charge", "implemented", 1200, None)], 64)
    told = {Cause.CLAIMS_OVER_TARGET.value: 2}
    return Morning(NOW, True, waiting, done, (NOW - DAY).date(), told)


def test_what_waits_no_more_is_told_once_and_what_never_did_is_not() -> None:
    body = morning.words_of(only(bad_rows=7), NIGERIA).body
    assert body.startswith("Nothing waits for a person\n")
    claims = next(line for line in body.splitlines() if line.startswith("Claims undecided for"))
    assert claims.endswith(" 0 (−2)")
    assert "Sellers listed" not in body
    assert "Rows of the warehouse set aside as bad" in body
    assert "Returns Charge, implemented" in body
    assert "1,200" in body
    assert ", simulated" in body


def test_what_was_done_the_day_before_is_summed_by_rule(
    crowded: Ledger, settings: Settings
) -> None:
    at = made.IMPLEMENT_AT + DAY
    done = morning.look(crowded, settings, NIGERIA, at).done
    assert [(d.rule, d.state, d.count, str(d.amount)) for d in done.actions] == [
        ("returns_charge", "implemented", 2, "3000.00"),
        ("account_delisting", "implemented", 1, "None"),
    ]
    assert done.mails == 2


# --- once a day, to each operator -----------------------------------------------------------------


@dataclass
class Desk:
    """A ledger that is not used otherwise, the operators of a home, and a clock that is set."""

    ledger: Ledger
    home: Path
    url: str
    clock: SetClock = field(default_factory=lambda: SetClock(NOW, is_simulated=False))
    operators: tuple[str, ...] = (NIGHT, DUTY)
    policy: Policy = NIGERIA

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(
            {
                "VIBES_HOME": str(self.home),
                "VIBES_SMTP_URL": self.url,
                "VIBES_MAIL_FROM": "vibes@mail.example",
                "VIBES_OPERATORS": ", ".join(self.operators),
            }
        )

    def send(self, after: timedelta = timedelta()) -> dict[str, int]:
        self.clock.at += after
        return dict(morning.send(self.ledger, self.settings, self.policy, self.clock))

    def statuses(self) -> list[str]:
        s = views.operators_mail_states.c
        return sorted(status for (status,) in made.rows(self.ledger, s.status))


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path, post: Post) -> Desk:
    return Desk(ledger, tmp_path, post.url)


def test_a_second_run_of_the_day_sends_nothing_and_the_next_day_s_mail_is_another(
    desk: Desk, post: Post
) -> None:
    assert desk.send() == {"sent": 2}
    assert desk.send(MINUTE) == {}
    made.open_ledger(desk.ledger, "2026-11-24 05:00")
    assert desk.send(DAY) == {"sent": 2}
    assert post.copies() == {NIGHT: 2, DUTY: 2}
    first, second = post.mails_to(NIGHT)
    assert first["Subject"] == "VIBES NG: nothing waits for a person, 23 Nov 2026"
    assert (first["From"], first["To"]) == ("vibes@mail.example", NIGHT)
    assert first["Message-ID"] != second["Message-ID"]
    assert second["Subject"] == "VIBES NG: 1 thing waits for a person, 24 Nov 2026"
    html = part(second, "html")
    assert "1 (+1)" in html, "a slot that was due at 06:00"
    assert "since the mail of Monday 23 November 2026" in html


def test_while_the_relay_is_down_it_is_tried_again_and_the_words_stay(
    desk: Desk, post: Post
) -> None:
    desk.url = NOBODY_LISTENS
    with pytest.raises(MailError, match="is not usable"):
        desk.send()
    assert desk.statuses() == ["deferred", "deferred"]
    desk.url = post.url
    assert desk.send() == {}, "its pause is not over"
    assert desk.send(MINUTE) == {"sent": 2}
    (mail,) = post.mails_to(NIGHT)
    assert "Monday 23 November 2026, 07:30" in part(mail, "plain")


def test_what_was_not_sent_by_the_next_morning_is_not_sent_any_more(desk: Desk, post: Post) -> None:
    desk.url = NOBODY_LISTENS
    with pytest.raises(MailError):
        desk.send()
    desk.url = post.url
    assert desk.send(DAY) == {"sent": 2}
    assert desk.statuses() == ["deferred", "deferred", "sent", "sent"]


def test_one_whose_answer_was_lost_is_resent_once_and_then_waits(desk: Desk, post: Post) -> None:
    post.answers = {NIGHT: ["cut", "cut", "cut"]}
    with pytest.raises(SomeNotReached, match="address 1 was not written to"):
        desk.send()
    with pytest.raises(MailError):
        desk.send(MINUTE)
    assert desk.send(MINUTE) == {}
    assert desk.statuses() == ["sent", "unknown"]
    assert post.copies() == {NIGHT: 2, DUTY: 1}
    first, second = post.mails_to(NIGHT)
    assert first["Message-ID"] == second["Message-ID"]


def test_one_whose_sender_died_before_the_answer_was_noted_is_resent_once(
    desk: Desk, post: Post
) -> None:
    desk.operators = (NIGHT,)
    morning.plan(
        desk.ledger,
        desk.settings,
        NIGERIA,
        morning.look(desk.ledger, desk.settings, NIGERIA, desk.clock.at),
    )
    (waiting,) = due_mails(desk.ledger, desk.clock.at)
    operators.record(desk.ledger, waiting, 1, "sending", desk.clock.at)
    assert desk.send() == {"sent": 1}
    d = schema.operators_deliveries.c
    noted = {(attempt, status) for attempt, status in made.rows(desk.ledger, d.attempt, d.status)}
    assert noted == {(0, "queued"), (1, "sending"), (1, "unknown"), (2, "sending"), (2, "sent")}


def test_an_operator_who_is_refused_keeps_nobody_else_from_it_and_is_not_tried_again(
    desk: Desk, post: Post
) -> None:
    desk.operators = ("nobody at home", NIGHT, DUTY)
    post.answers = {NIGHT: ["550 5.1.1 no such box"]}
    with pytest.raises(SomeNotReached) as told:
        desk.send()
    assert str(told.value) == (
        "VIBES_OPERATORS: address 1 cannot be used: it holds a space; address 2 was not written "
        "to: 550 5.1.1 no such box"
    )
    assert desk.send(DAY / 2) == {}
    assert desk.statuses() == ["failed", "failed", "sent"]


def test_who_became_an_operator_later_gets_the_next_mail(desk: Desk, post: Post) -> None:
    desk.operators = (NIGHT,)
    desk.send()
    desk.operators = (NIGHT, DUTY)
    assert desk.send(MINUTE) == {}
    desk.send(DAY)
    assert post.copies() == {NIGHT: 2, DUTY: 1}


def test_when_nothing_waits_it_is_the_policy_that_says_whether_a_mail_goes_out(
    desk: Desk, post: Post
) -> None:
    desk.policy = quiet()
    assert desk.send() == {}
    assert morning.is_planned(desk.ledger, NOW.date()), "the day is dealt with"
    made.open_ledger(desk.ledger, "2026-11-24 05:00")
    assert desk.send(DAY) == {"sent": 2}, "the late alert of the day is missing"


def quiet() -> Policy:
    """The policy of those who want no mail when nothing waits."""
    parameter = NIGERIA.operations.operators_mail
    (dated,) = parameter.values
    value = dated.value.model_copy(update={"is_sent_when_nothing_waits": False})
    changed = parameter.model_copy(update={"values": (dated.model_copy(update={"value": value}),)})
    operations = NIGERIA.operations.model_copy(update={"operators_mail": changed})
    return NIGERIA.model_copy(update={"operations": operations})


def test_over_a_simulated_ledger_it_goes_to_the_mail_folder(desk: Desk, post: Post) -> None:
    desk.clock = SetClock(NOW, is_simulated=True)
    assert desk.send() == {"sent": 2}
    assert not post.received
    assert len(list((desk.home / "mail" / "new").iterdir())) == 2


def test_the_sample_is_what_would_go_out_and_leaves_no_trace(
    crowded: Ledger, settings: Settings
) -> None:
    sample = morning.sample(crowded, settings, NIGERIA, datetime.now(made.LAGOS))
    assert b"To: vibes@marketplace.example" in sample.content
    assert b"21 Nov 2026" in sample.content, "a simulated ledger is looked at as of its newest slot"
    assert operators.newest(crowded, Kind.MORNING) is None


@pytest.mark.parametrize(
    ("told_before", "planned"),
    [
        pytest.param("2026-11-22", True, id="yesterday's"),
        pytest.param("2026-11-23", False, id="today's"),
    ],
)
def test_a_mail_is_compared_with_one_of_an_earlier_day(
    desk: Desk, told_before: str, planned: bool
) -> None:
    mail = operators.OperatorsMail(
        Kind.MORNING, told_before, {}, NOW - DAY, NOW + DAY, "subject", "body"
    )
    assert operators.plan(desk.ledger, mail, [])
    assert not operators.plan(desk.ledger, mail, []), "a morning has one mail"
    seen = morning.look(desk.ledger, desk.settings, NIGERIA, NOW)
    assert (seen.before is not None) == planned
