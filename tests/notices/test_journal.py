"""The outbox's journal: what a killed sender left in it is known to the next before it sends.

Rulebook §2. Each journal here is one that a sender left: written by the real one, then cut.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from full_disk import files_no_larger_than
from ledger import made
from mail_server import Post
from outbox_sender import SetClock, address, journal_of, outbox, smtp
from planned import charged, freeze_for, statuses

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.deliveries import Delivery, mark_of
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.notices.journal import Journal
from vibes_pipeline.notices.outbox import Outbox

D = schema.deliveries.c


def left_by_a_sender(ledger: Ledger, sender: Outbox, ends: Sequence[str | None]) -> Journal:
    """A journal of one attempt at each open notice, with its outcome unless that is None."""
    journal = Journal(journal_of(ledger), mark_of(ledger), is_durable=False)
    for notice, status in zip(made.open_notices(ledger), ends, strict=True):
        begun = Delivery(
            notice.notice_id,
            notice.attempts + 1,
            sender.clock.now(),
            address_hash=sender.key.hash_address(address(notice.seller_id)),
            actions=notice.actions,
            slot_now=sender.slot_now,
        )
        journal.begin(begun)
        if status is not None:
            code = 250 if status == "sent" else None
            journal.end(sender.ended(begun, status, code, "what the server said"))
    journal.close()
    return journal


def test_what_a_sender_left_is_recorded_and_only_the_rest_is_sent(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 4)
    sender = outbox(ledger, smtp(post.url), clock)
    left_by_a_sender(ledger, sender, ["sent", None, "deferred", "unknown"])
    clock.at += timedelta(minutes=1)
    sellers = [notice.seller_id for notice in made.open_notices(ledger)]
    assert sender.deliver() == Counter(sent=3)
    assert post.copies() == Counter(map(address, sellers[1:]))
    assert set(statuses(ledger).values()) == {"sent"}
    assert set(charged(ledger).values()) == {"alerted"}
    assert Counter(status for (status,) in made.rows(ledger, D.status)) == Counter(
        sending=7, sent=4, unknown=2, deferred=1
    )
    assert not journal_of(ledger).exists()


def test_a_journal_read_twice_is_recorded_once(ledger: Ledger, post: Post, clock: SetClock) -> None:
    freeze_for(ledger, 3)
    sender = outbox(ledger, smtp(post.url), clock)
    journal = left_by_a_sender(ledger, sender, ["sent", None, "failed"])
    text = journal.file.read_bytes()
    sender.recover()
    before = made.counts(ledger)
    # Killed between recording it and removing it.
    journal.file.write_bytes(text)
    sender.recover()
    assert made.counts(ledger) == before
    assert Counter(statuses(ledger).values()) == Counter(sent=1, unknown=1, failed=1)


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_half_a_last_line_is_none(ledger: Ledger, post: Post, clock: SetClock, cut: int) -> None:
    freeze_for(ledger, 1)
    sender = outbox(ledger, smtp(post.url), clock)
    journal = left_by_a_sender(ledger, sender, ["sent"])
    journal.file.write_bytes(journal.file.read_bytes()[:-cut])
    sender.recover()
    # Nobody knows the outcome: it is not taken for accepted.
    assert statuses(ledger) == {"S-0": "unknown"}
    assert charged(ledger) == {"S-0": "proposed"}


def test_a_mail_of_which_half_a_line_tells_was_not_begun(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    sender = outbox(ledger, smtp(post.url), clock)
    journal = left_by_a_sender(ledger, sender, [None])
    journal.file.write_bytes(journal.file.read_bytes()[:-1])
    assert sender.deliver() == Counter(sent=1)
    assert [number for (number,) in made.rows(ledger, D.attempt)] == [1, 1]


def test_a_second_unknown_waits_for_a_person_though_only_the_journal_tells_of_it(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    sender = outbox(ledger, smtp(post.url), clock)
    for _ in range(2):
        left_by_a_sender(ledger, sender, [None])
        sender.recover()
    assert sender.deliver() == Counter()
    assert post.copies() == Counter()


def _of_another_ledger(text: str) -> str:
    return re.sub('"ledger": "[^"]*"', '"ledger": "7/16384/NG"', text)


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        (_of_another_ledger, "belongs to another ledger"),
        (lambda text: text.replace('"attempt": 1', '"attempt": "x"', 1), "is damaged in line 2"),
        (lambda text: text.partition("\n")[2], "is damaged in line 1"),
        (lambda text: text.replace("sent", "accepted"), "is damaged in line 3"),
        (lambda text: "\n".join([*text.splitlines()[:1], *text.splitlines()[2:], ""]), "line 2"),
    ],
)
def test_nothing_is_sent_while_a_journal_cannot_be_used(
    ledger: Ledger, post: Post, clock: SetClock, spoilt: Callable[[str], str], why: str
) -> None:
    freeze_for(ledger, 2)
    sender = outbox(ledger, smtp(post.url), clock)
    journal = left_by_a_sender(ledger, sender, ["sent", "sent"])
    journal.file.write_text(spoilt(journal.file.read_text()))
    with pytest.raises(MailError) as failure:
        sender.deliver()
    assert str(failure.value).startswith(f"the journal {journal.file} ")
    assert why in str(failure.value)
    assert "move it away" in str(failure.value)
    assert post.copies() == Counter()
    assert journal.file.exists()
    journal.file.unlink()


def test_an_acceptance_that_is_told_late_counts_from_when_it_is_recorded(
    ledger: Ledger, post: Post
) -> None:
    freeze_for(ledger, 1, is_simulated=False)
    long_before, now = datetime.now(UTC) - timedelta(hours=5), datetime.now(UTC)
    clock = SetClock(long_before, is_simulated=False)
    sender = outbox(ledger, smtp(post.url), clock)
    left_by_a_sender(ledger, sender, ["sent"])
    clock.at = now
    assert sender.deliver() == Counter()
    assert made.rows(ledger, D.status, D.at) == [("sending", now), ("sent", now)]
    assert charged(ledger) == {"S-0": "alerted"}


def test_a_journal_is_its_users_alone_and_holds_no_address(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    journal = left_by_a_sender(ledger, outbox(ledger, smtp(post.url), clock), ["sent"])
    assert journal.file.stat().st_mode & 0o777 == 0o600
    assert "@" not in journal.file.read_text()
    assert all(json.loads(line) for line in journal.file.read_text().splitlines())
    journal.clear()


def test_a_mail_is_not_begun_that_the_journal_cannot_tell_of(
    ledger: Ledger, post: Post, clock: SetClock, tmp_path: Path
) -> None:
    freeze_for(ledger, 6)
    sender = outbox(ledger, smtp(post.url), clock)
    with files_no_larger_than(400), pytest.raises(MailError) as failure:
        sender.deliver()
    assert str(failure.value) == (
        f"the journal {journal_of(ledger)} cannot be written (File too large); make room there: "
        "what is not sent is tried again"
    )
    sent = len(post.received)
    assert sent < 6
    assert sender.deliver() == Counter(sent=6 - sent)
    assert set(post.copies().values()) == {1}
