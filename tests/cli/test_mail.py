"""`vibes mail resend`: the way out for a notice that was not sent, whatever kept it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast
from uuid import UUID, uuid4

import pytest
from cli import troubles
from cli.shell import Outcome, Shell
from ledger import made
from notices.mail_server import Post, serving
from rules.marketplace import Marketplace

from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import views
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.policy import load_policy
from vibes_pipeline.settings import Settings


@pytest.fixture
def post() -> Iterator[Post]:
    with serving() as server:
        yield server


@dataclass
class Desk:
    """A live shell over notices of which none was sent."""

    shell: Shell
    post: Post

    def resend(self, *arguments: str, answer: str | None = None) -> Outcome:
        return self.shell("mail", "resend", *arguments, typed=answer)

    def statuses(self) -> dict[str, str]:
        """By seller, less what is the same in all their names."""
        ledger = self.shell.ledger()
        n = views.notice_states.c
        found = made.rows(ledger, n.seller_id, n.status)
        ledger.close()
        return {seller.removeprefix("S-"): status for seller, status in found}

    def notice_of(self, seller: str) -> UUID:
        ledger = self.shell.ledger()
        n = views.notice_states.c
        found = dict(made.rows(ledger, n.seller_id, n.notice_id))
        ledger.close()
        return cast(UUID, found[f"S-{seller}"])


# What the server answers each seller in turn, before it takes everything.
ANSWERS = {
    "gone": ["550 5.1.1 no such user"],
    "doubtful": ["550 5.7.1 rejected"],
    "busy": ["451 later"],
    "lost": ["cut", "cut"],
}


@pytest.fixture
def desk(shell: Shell, post: Post) -> Desk:
    """One notice refused, one refused in doubt, one deferred, one unknown twice."""
    shell = shell.with_(VIBES_SMTP_URL=post.url, VIBES_MAIL_FROM="vibes@mail.example")
    market = Marketplace(week=troubles.CYCLE)
    for seller in ANSWERS:
        market.seller(seller_id=f"S-{seller}", email=f"{seller}@shop.example")
    shell = shell.with_(VIBES_WAREHOUSE=market.write(shell.folder / "sellers"))
    ledger, clock = shell.ledger(), WallClock()
    charges = [made.charge(f"S-{seller}", f"I-{seller}") for seller in ANSWERS]
    made.freeze_cycle(ledger, charges, now=clock.now(), is_simulated=False)
    post.answers = {f"{seller}@shop.example": list(said) for seller, said in ANSWERS.items()}
    settings, policy = Settings.from_environment(shell.full_environment), load_policy("ng")
    for _ in range(2):
        with suppress(MailError):
            deliver_notices(ledger, policy, settings, clock, slot_now=clock.now())
    ledger.close()
    made_desk = Desk(shell, post)
    assert made_desk.statuses() == WAITING
    return made_desk


WAITING = {"gone": "failed", "doubtful": "deferred", "busy": "deferred", "lost": "unknown"}


def test_a_notice_is_sent_when_a_person_says_so_whatever_keeps_it_back(desk: Desk) -> None:
    statuses = dict(WAITING)
    for seller, status in WAITING.items():
        notice_id = str(desk.notice_of(seller))
        done = desk.resend(notice_id, "--yes")
        assert (done.status, done.err) == (0, ""), seller
        assert done.out.splitlines() == [f"       1  weekly_alert, {status}", "1 sent"]
        statuses[seller] = "sent"
        assert desk.statuses() == statuses
        assert len({m["Message-ID"] for m in desk.post.mails_to(f"{seller}@shop.example")}) == 1

        received = len(desk.post.received)
        again = desk.resend(notice_id, "--yes")
        assert again.status == 2
        assert again.error.startswith(f"no notice {notice_id} waits to be sent: ")
        assert len(desk.post.received) == received


def test_what_matches_is_counted_and_asked_about_before_anything_is_sent(desk: Desk) -> None:
    cycle = ("--period", made.CYCLE.isoformat())
    received = len(desk.post.received)
    declined = desk.resend("--kind", "weekly_alert", answer="n")
    assert declined.status == 1
    assert declined.out.startswith(
        "       2  weekly_alert, deferred\n       1  weekly_alert, failed\n"
    )
    assert "Send them now? [y/N]" in declined.out
    assert desk.resend("--status", "failed", "--kind", "late_alert", "--yes").out == (
        "no notice that matches waits to be sent\n"
    )
    assert len(desk.post.received) == received

    failed = desk.resend("--status", "failed", "--kind", "weekly_alert", *cycle, answer="y")
    assert failed.status == 0
    assert desk.statuses() == {**WAITING, "gone": "sent"}
    # What may have gone out before is not among those that match, unless it is named.
    assert desk.resend(*cycle, "--yes").status == 0
    assert desk.statuses() == {**dict.fromkeys(WAITING, "sent"), "lost": "unknown"}
    assert desk.resend("--status", "unknown", "--yes").status == 0
    assert set(desk.statuses().values()) == {"sent"}


def test_what_is_not_sent_this_time_either_is_told(desk: Desk) -> None:
    desk.post.answers["lost@shop.example"] = ["cut"]
    desk.post.answers["gone@shop.example"] = ["550 5.1.1 no such user"]
    lost = desk.resend(str(desk.notice_of("lost")), "--yes")
    assert lost.status == 1
    assert lost.error == (
        "1 of 1 notice is not sent (1 unknown): `vibes export notices` has the server's words; "
        "of one that is unknown ask the relay's log"
    )
    assert desk.resend("--status", "failed", "--yes").error.startswith("1 of 1 notice is not sent")
    assert desk.statuses() == WAITING


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "name one notice, or give --status, --kind or --period for those to send"),
        (
            (str(uuid4()), "--status", "failed"),
            "name one notice, or give --status, --kind or --period for those to send",
        ),
        (
            ("--kind", "alert"),
            "'alert' is no kind of notice (did you mean late_alert?); they are claim_outcome, claim_receipt, late_alert, "
            "late_cancellation, weekly_alert, weekly_implementation",
        ),
        (("--period", "today"), "'today' is not a date; write one such as 2026-11-09"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    shell: Shell, arguments: tuple[str, ...], error: str
) -> None:
    refused = shell("mail", "resend", *arguments)
    assert (refused.status, refused.error) == (2, error)


def test_without_a_mail_server_nothing_is_sent_again(desk: Desk) -> None:
    desk.shell = desk.shell.with_(VIBES_SMTP_URL=None)
    refused = desk.resend("--status", "failed", "--yes")
    assert (refused.status, refused.error) == (
        1,
        "VIBES_SMTP_URL is not set: there is no mail server to send with",
    )


def test_nothing_is_sent_again_on_a_simulated_ledger(shell: Shell) -> None:
    ledger = shell.ledger()
    made.freeze_cycle(ledger, [made.charge("S-1", "I-1")])
    ledger.close()
    refused = shell("mail", "resend", str(uuid4()))
    assert refused.status == 1
    assert refused.error.startswith("the ledger of NG is simulated: ")


def test_a_key_that_is_lost_stops_all_mail_until_a_person_accepts_the_new_one(desk: Desk) -> None:
    key = desk.shell.home / "key"
    key.unlink()
    refused = desk.resend("--status", "failed", "--yes")
    assert refused.status == 1
    assert refused.error.startswith(f"{key} is not the key with which the ledger of NG has hashed ")
    assert desk.statuses() == WAITING
    assert desk.shell("mail", "accept-key", typed="n\n").status == 1
    assert desk.resend("--status", "failed", "--yes").status == 1
    accepted = desk.shell("mail", "accept-key", "--yes")
    assert (accepted.status, accepted.out) == (0, f"the ledger of NG goes on with {key}\n")
    assert desk.resend("--status", "failed", "--yes").status == 0
    assert desk.statuses() == {**WAITING, "gone": "sent"}


def test_a_ledger_that_is_not_used_knows_no_key(shell: Shell) -> None:
    refused = shell("mail", "accept-key", "--yes")
    assert refused.status == 2
    assert refused.error == "the ledger of NG is not used yet: it knows no key"
