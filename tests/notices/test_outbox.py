"""Every notice goes out once, whatever servers and senders do (Rulebook §2)."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from full_disk import files_no_larger_than
from ledger import made
from mail_server import Post, serving
from outbox_sender import Addresses, PlainMails, SetClock, address, outbox, smtp
from planned import charged, freeze_for, statuses, withdraw

from vibes_pipeline.errors import LedgerError, MailError
from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import address_keys, schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.notices.mails import Telling, Worded
from vibes_pipeline.notices.outbox import retry_at
from vibes_pipeline.notices.transports import MaildirTransport

MINUTE = timedelta(minutes=1)
D = schema.deliveries.c


def attempts(ledger: Ledger) -> list[tuple[int, str]]:
    """Every row of the deliveries of a ledger with one notice."""
    found = made.rows(ledger, D.attempt, D.status)
    return sorted(found, key=lambda row: (row[0], row[1] != "sending"))


# --- sent ---------------------------------------------------------------------------------------


def test_each_notice_is_sent_once_to_its_sellers_address(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    sellers = freeze_for(ledger, 12)
    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter(sent=12)
    assert post.copies() == Counter(map(address, sellers))
    for notice_id, seller in made.rows(
        ledger, schema.notices.c.notice_id, schema.notices.c.seller_id
    ):
        (mail,) = post.mails_to(address(seller))
        assert mail["Message-ID"] == f"<{notice_id}@mail.example>"
    assert set(charged(ledger).values()) == {"alerted"}
    assert made.open_notices(ledger) == []


def test_an_outbox_run_again_sends_nothing(ledger: Ledger, post: Post, clock: SetClock) -> None:
    freeze_for(ledger, 5)
    outbox(ledger, smtp(post.url), clock).deliver()
    before = made.counts(ledger)
    clock.at += timedelta(days=2)
    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter()
    assert len(post.received) == 5
    assert made.counts(ledger) == before


def test_an_outbox_with_nothing_to_send_does_not_ask_for_a_server(
    ledger: Ledger, clock: SetClock
) -> None:
    assert outbox(ledger, smtp("smtp://127.0.0.1:1"), clock).deliver() == Counter()


def test_progress_is_told_of_every_notice_attempted(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 7)
    told: list[None] = []
    outbox(ledger, smtp(post.url), clock, {"S-1": None} | _all_but(7, "S-1")).deliver(
        lambda: told.append(None)
    )
    assert len(told) == 7


def _all_but(sellers: int, seller: str) -> dict[str, str | None]:
    return {f"S-{n}": address(f"S-{n}") for n in range(sellers) if f"S-{n}" != seller}


def test_an_attempt_is_worded_as_of_its_own_moment_and_its_events_bear_the_slots(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    sender = outbox(ledger, smtp(post.url), clock)
    clock.at = made.ALERT_AT + timedelta(hours=30)
    sender.deliver()
    (mail,) = post.mails_to(address("S-0"))
    assert mail["Date"].datetime == clock.at
    assert {at for (at,) in made.rows(ledger, D.at)} == {clock.at}
    assert made.rows(ledger, views.action_states.c.alerted_at) == [(made.ALERT_AT,)]


def test_a_mail_that_is_not_true_any_more_when_its_turn_comes_is_worded_anew(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 3)
    worded: list[datetime] = []

    @dataclass(frozen=True)
    class Dated(PlainMails):
        def word(self, tellings: Sequence[Telling], at: datetime) -> Future[Sequence[Worded]]:
            worded.extend(at for _ in tellings)
            clock.at = made.ALERT_AT + timedelta(seconds=2)
            return super().word(tellings, at)

        def true_until(self, notice: OpenNotice, at: datetime) -> datetime:
            return at + timedelta(seconds=1)

    known = Addresses()
    sender = replace(outbox(ledger, smtp(post.url), clock, known), mails=Dated(known))
    assert sender.deliver() == Counter(sent=3)
    assert sorted(worded) == [made.ALERT_AT] * 3 + [clock.at] * 3
    assert {
        mail["Date"].datetime for s in ("S-0", "S-2") for mail in post.mails_to(address(s))
    } == {clock.at}


def test_an_alert_whose_actions_are_all_withdrawn_is_not_sent(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 2)
    withdraw(ledger, "S-0")
    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter(sent=1)
    assert post.copies() == Counter([address("S-1")])


# --- not sent -----------------------------------------------------------------------------------


def test_a_mail_put_off_is_tried_again_after_a_pause_that_doubles(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 2)
    post.answers[address("S-0")] = ["451 later"] * 3
    sender = outbox(ledger, smtp(post.url), clock)
    assert sender.deliver() == Counter(sent=1, deferred=1)
    for pause in (MINUTE, 2 * MINUTE):
        clock.at += pause - timedelta(seconds=1)
        assert sender.deliver() == Counter()
        clock.at += timedelta(seconds=1)
        assert sender.deliver() == Counter(deferred=1)
    clock.at += 4 * MINUTE
    assert sender.deliver() == Counter(sent=1)
    assert post.copies() == {address("S-0"): 4, address("S-1"): 1}
    assert statuses(ledger) == {"S-0": "sent", "S-1": "sent"}


@pytest.mark.parametrize(
    ("attempts_so_far", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (500, 60)]
)
def test_the_pause_after_an_attempt_is_never_longer_than_an_hour(
    attempts_so_far: int, minutes: int
) -> None:
    deferred = OpenNotice(
        notice_id=UUID(int=0),
        kind="weekly_alert",
        is_alert=True,
        period=made.CYCLE,
        seller_id="S-0",
        planned_at=made.ALERT_AT,
        status="deferred",
        attempts=attempts_so_far,
        last_at=made.ALERT_AT,
        address_hash=None,
        unknowns=0,
        claim_event_id=None,
        notice_hours=72,
        actions=(),
    )
    assert retry_at(deferred) == made.ALERT_AT + minutes * MINUTE


def test_a_mail_put_off_is_given_up_once_it_has_become_pointless(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    post.answers[address("S-0")] = ["451 later"]
    outbox(ledger, smtp(post.url), clock).deliver()
    withdraw(ledger, "S-0")
    clock.at += timedelta(days=1)
    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter()
    assert len(post.received) == 1


def test_a_mail_refused_for_good_waits_for_another_address(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 2)
    post.answers[address("S-0")] = ["550 5.1.1 no such user"]
    addresses = Addresses()
    sender = outbox(ledger, smtp(post.url), clock, addresses)
    assert sender.deliver() == Counter(sent=1, failed=1)
    clock.at += timedelta(days=30)
    assert sender.deliver() == Counter()
    assert charged(ledger) == {"S-0": "proposed", "S-1": "alerted"}
    assert (550, "5.1.1 no such user") in made.rows(ledger, D.code, D.detail)

    addresses["S-0"] = "mended@shop.example"
    assert sender.deliver() == Counter(sent=1)
    assert post.copies()["mended@shop.example"] == 1
    assert charged(ledger) == {"S-0": "alerted", "S-1": "alerted"}


@pytest.mark.parametrize(
    "unusable",
    [
        None,
        "",
        "no address at all",
        "s-0@shop.example\r\nBcc: all@shop.example",
        "s-0@shop.example, s-1@shop.example",
    ],
)
def test_a_seller_without_a_usable_address_is_written_to_once_it_is_mended(
    ledger: Ledger, post: Post, clock: SetClock, unusable: str | None
) -> None:
    freeze_for(ledger, 2)
    addresses = Addresses({"S-0": unusable})
    sender = outbox(ledger, smtp(post.url), clock, addresses)
    assert sender.deliver() == Counter(sent=1, undeliverable=1)
    clock.at += timedelta(days=1)
    assert sender.deliver() == Counter()
    assert statuses(ledger) == {"S-0": "undeliverable", "S-1": "sent"}
    assert post.copies() == Counter([address("S-1")])

    addresses["S-0"] = address("S-0")
    assert sender.deliver() == Counter(sent=1)
    assert charged(ledger) == {"S-0": "alerted", "S-1": "alerted"}


def test_an_address_that_failed_before_there_was_a_key_is_known_until_it_is_mended(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 2)
    for notice in made.open_notices(ledger):
        unkeyed = sha256(address(notice.seller_id).encode()).hexdigest()
        assert made.record(ledger, notice, 1, "sending", clock.at, address_hash=unkeyed)
        assert made.record(ledger, notice, 1, "failed", clock.at, address_hash=unkeyed)
    addresses = Addresses()
    sender = outbox(ledger, smtp(post.url), clock, addresses)
    assert sender.deliver() == Counter()
    addresses["S-0"] = "mended@shop.example"
    assert sender.deliver() == Counter(sent=1)


def test_with_another_key_nothing_is_sent_until_a_person_accepts_it(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 2)
    post.answers = {address("S-0"): ["550 5.1.1 no such user"]}
    sender = outbox(ledger, smtp(post.url), clock)
    assert sender.deliver() == Counter(sent=1, failed=1)
    other = replace(sender, key=Key(Path("/home/of/vibes/key"), bytes(range(32))))
    clock.at += timedelta(days=1)
    for _ in range(2):
        with pytest.raises(LedgerError) as refused:
            other.deliver()
    assert str(refused.value) == (
        "/home/of/vibes/key is not the key with which the ledger of NG has hashed addresses since "
        "2026-11-18: restore that file from the backup; if the key is lost for good, `vibes mail "
        "accept-key` goes on with this one, and each mail that was refused is sent once more"
    )
    assert len(post.received) == 2, "S-0 was not tried again"
    assert sender.deliver() == Counter(), "with its own key the ledger goes on"

    address_keys.accept(ledger, other.key, clock.at)
    assert other.deliver() == Counter(sent=1)
    assert other.deliver() == Counter()


def test_no_address_is_kept_in_the_ledger(ledger: Ledger, post: Post, clock: SetClock) -> None:
    freeze_for(ledger, 3)
    post.answers = {
        address("S-0"): [f"550 <{address('S-0')}> is unknown"],
        address("S-1"): [f"451 {address('S-1')} is busy"],
    }
    outbox(ledger, smtp(post.url), clock).deliver()
    kept = "".join(map(str, made.rows(ledger, *D)))
    assert "unknown" in kept
    assert "shop.example" not in kept


def test_a_server_that_cannot_be_reached_loses_nothing(ledger: Ledger, clock: SetClock) -> None:
    freeze_for(ledger, 6)
    with serving() as gone:
        pass
    with pytest.raises(MailError, match=f"127.0.0.1:{gone.port}"):
        outbox(ledger, smtp(gone.url), clock).deliver()
    assert set(statuses(ledger).values()) == {"queued"}
    with serving() as back:
        assert outbox(ledger, smtp(back.url), clock).deliver() == Counter(sent=6)
    assert set(back.copies().values()) == {1}


def test_a_mail_folder_on_a_full_disk_ends_the_delivery_and_takes_all_once_there_is_room(
    ledger: Ledger, clock: SetClock, tmp_path: Path
) -> None:
    freeze_for(ledger, 12)
    sender = outbox(ledger, MaildirTransport(tmp_path), clock, padding="x" * 10_000)
    # Room for the journal's lines, and for no mail.
    with files_no_larger_than(8_000), pytest.raises(MailError) as failure:
        sender.deliver()
    tried = Counter(statuses(ledger).values())["deferred"]
    assert 1 <= tried <= 2
    assert str(failure.value) == (
        f"the mail folder {tmp_path} cannot be written (File too large); make room there; "
        f"{tried} deferred, {12 - tried} not attempted; what is not sent is tried again"
    )
    # At the same instant: a folder needs no pause.
    assert sender.deliver() == Counter(sent=12)
    assert len([*(tmp_path / "new").iterdir()]) == 12
    assert not [*(tmp_path / "tmp").iterdir()]


# --- nobody knows -------------------------------------------------------------------------------


def test_a_mail_cut_off_before_the_answer_is_sent_once_more(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    post.answers[address("S-0")] = ["cut"]
    sender = outbox(ledger, smtp(post.url), clock)
    assert sender.deliver() == Counter(unknown=1)
    assert charged(ledger) == {"S-0": "proposed"}
    assert sender.deliver() == Counter(sent=1)
    one, other = post.mails_to(address("S-0"))
    # So that a mail program shows one.
    assert one["Message-ID"] == other["Message-ID"]
    assert attempts(ledger) == [(1, "sending"), (1, "unknown"), (2, "sending"), (2, "sent")]


@pytest.mark.parametrize("answers", [["cut", "cut"], ["cut", "451 later", "cut"]])
def test_after_a_second_one_that_nobody_knows_of_a_notice_waits_for_a_person(
    ledger: Ledger, post: Post, clock: SetClock, answers: list[str]
) -> None:
    freeze_for(ledger, 1)
    post.answers[address("S-0")] = list(answers)
    for _ in range(5):
        outbox(ledger, smtp(post.url), clock).deliver()
        clock.at += timedelta(days=1)
    assert len(post.received) == len(answers)
    assert statuses(ledger) == {"S-0": "unknown"}
    made.implement_cycle(ledger, now=clock.at)
    assert charged(ledger) == {"S-0": "proposed"}


def test_an_attempt_without_an_outcome_was_broken_off_and_is_repeated_once(
    ledger: Ledger, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    (notice,) = made.open_notices(ledger)
    made.record(ledger, notice, 1, "sending", clock.at)
    post.answers[address("S-0")] = ["451 later"]
    sender = outbox(ledger, smtp(post.url), clock)
    assert sender.deliver() == Counter(deferred=1)
    (notice,) = made.open_notices(ledger)
    made.record(ledger, notice, 3, "sending", clock.at)
    assert sender.deliver() == Counter()
    assert attempts(ledger) == [
        (1, "sending"),
        (1, "unknown"),
        (2, "sending"),
        (2, "deferred"),
        (3, "sending"),
        (3, "unknown"),
    ]


# --- all at once --------------------------------------------------------------------------------

# What may become of a mail that gets the answer; a refusal is in doubt while the relay itself is.
MAY_BECOME = {
    "250 OK": {"sent"},
    "451 later": {"deferred"},
    "550 no": {"failed", "deferred"},
    "cut": {"unknown"},
}


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_a_server_answers_a_notice_ends_as_the_rulebook_has_it(
    ledger: Ledger, post: Post, clock: SetClock, seed: int
) -> None:
    chance = random.Random(seed)
    scripts = {
        seller: [*chance.choices(list(MAY_BECOME), (7, 3, 2, 4), k=4), *["250 OK"] * 20]
        for seller in freeze_for(ledger, 40)
    }
    post.answers = {address(seller): list(script) for seller, script in scripts.items()}
    for _ in range(12):
        # Now and then a few in a row are not let through.
        with suppress(MailError):
            outbox(ledger, smtp(post.url), clock).deliver()
        clock.at += timedelta(hours=2)

    n, became = schema.notices.c, defaultdict[str, list[str]](list)
    with ledger.reading() as connection:
        for seller, status in connection.execute(
            sa.select(n.seller_id, D.status)
            .join_from(schema.notices, schema.deliveries, n.notice_id == D.notice_id)
            .where(D.status != "sending")
            .order_by(D.attempt)
        ):
            became[seller].append(status)
    assert post.copies() == {address(seller): len(ends) for seller, ends in became.items()}
    for seller, ends in became.items():
        told = scripts[seller][: len(ends)]
        assert all(end in MAY_BECOME[answer] for answer, end in zip(told, ends, strict=True)), told
        assert not {"sent", "failed"} & set(ends[:-1])
        assert ends[-1] in ("sent", "failed") or ends.count("unknown") == 2
        assert ends.count("unknown") <= 2
    assert charged(ledger) == {
        seller: "alerted" if ends[-1] == "sent" else "proposed" for seller, ends in became.items()
    }


# --- the Maildir --------------------------------------------------------------------------------


def test_a_simulated_ledgers_maildir_counts_as_accepted(
    ledger: Ledger, clock: SetClock, tmp_path: Path
) -> None:
    freeze_for(ledger, 3)
    assert outbox(ledger, MaildirTransport(tmp_path), clock).deliver() == Counter(sent=3)
    assert set(charged(ledger).values()) == {"alerted"}
    made.implement_cycle(ledger)
    assert set(charged(ledger).values()) == {"implemented"}
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_a_live_ledgers_maildir_is_no_notice_to_anyone(
    ledger: Ledger, post: Post, tmp_path: Path
) -> None:
    freeze_for(ledger, 3, is_simulated=False)
    clock = SetClock(datetime.now(UTC), is_simulated=False)
    kept = outbox(ledger, MaildirTransport(tmp_path), clock)
    assert kept.deliver() == Counter(stored=3)
    assert len(list((tmp_path / "new").iterdir())) == 3
    assert kept.deliver() == Counter()
    made.implement_cycle(ledger, now=datetime.now(UTC), is_simulated=False)
    assert set(charged(ledger).values()) == {"proposed"}

    # A mail server was set since: now they go out.
    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter(sent=3)
    assert set(charged(ledger).values()) == {"alerted"}
