"""`vibes mail resend`: the way out for a notice of which nobody knows whether it went out."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from cli import troubles
from cli.shell import Shell
from ledger import made
from notices.mail_server import Post, serving

from vibes_pipeline.clock import WallClock
from vibes_pipeline.ledger import schema
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.policy import load_policy
from vibes_pipeline.settings import Settings

ADDRESS = "s-slow@shop.example"


@pytest.fixture
def post() -> Iterator[Post]:
    with serving() as server:
        yield server


def state(shell: Shell) -> tuple[UUID, str]:
    """The one notice and its status."""
    ledger = shell.ledger()
    n = schema.notice_states.c
    ((notice_id, status),) = made.rows(ledger, n.notice_id, n.status)
    ledger.close()
    return notice_id, status


@pytest.fixture
def doubtful(shell: Shell, post: Post) -> Shell:
    """A live shell with one notice, both attempts of which broke off before the answer."""
    shell = shell.with_(VIBES_SMTP_URL=post.url, VIBES_MAIL_FROM="vibes@mail.example")
    ledger, clock = shell.ledger(), WallClock()
    made.freeze_cycle(
        ledger, [made.charge("S-slow", "I-late")], now=clock.now(), is_simulated=False
    )
    settings, policy = Settings.from_environment(shell.full_environment), load_policy("ng")
    post.answers[ADDRESS] = ["cut", "cut"]
    for _ in range(3):
        deliver_notices(ledger, policy, settings, clock, slot_now=clock.now())
    ledger.close()
    assert len(post.received) == 2
    return shell


def test_a_notice_unknown_twice_is_sent_again_when_a_person_says_so(
    doubtful: Shell, post: Post
) -> None:
    notice_id, status = state(doubtful)
    assert status == "unknown"
    sent = doubtful("mail", "resend", str(notice_id))
    assert (sent.status, sent.err) == (0, "")
    assert state(doubtful) == (notice_id, "sent")
    assert len({mail["Message-ID"] for mail in post.mails_to(ADDRESS)}) == 1

    again = doubtful("mail", "resend", str(notice_id))
    assert again.status == 2
    assert again.error.startswith(f"no notice {notice_id} waits for a person: ")
    assert len(post.received) == 3


def test_an_answer_lost_once_more_is_told(doubtful: Shell, post: Post) -> None:
    notice_id, _ = state(doubtful)
    post.answers[ADDRESS] = ["cut"]
    lost = doubtful("mail", "resend", str(notice_id))
    assert lost.status == 1
    assert lost.error == (
        f"the answer to notice {notice_id} was lost once more; ask the relay's log"
    )
    assert state(doubtful) == (notice_id, "unknown")


def test_nothing_is_sent_again_on_a_simulated_ledger(shell: Shell) -> None:
    assert shell("run", "weekly-alert", "--at", troubles.ALERT_AT).status == 0
    refused = shell("mail", "resend", str(uuid4()))
    assert refused.status == 1
    assert refused.error.startswith("the ledger of NG is simulated: ")
