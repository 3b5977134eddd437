"""Senders that die or are interrupted, and senders at once: nothing is lost, nothing sent twice.

Rulebook §2. The processes are real, and die at a point that they have visibly reached.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event

import pytest
import sqlalchemy as sa
from forks import forks
from ledger import made
from mail_server import Post
from outbox_sender import DIED, SetClock, address, outbox, send, smtp
from patience import PATIENCE_SECONDS
from planned import charged, freeze_for, statuses
from relay import SILENT, relaying

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import database, views
from vibes_pipeline.ledger.ledger import OUTBOX_LOCK, Ledger
from vibes_pipeline.ledger.locks import HOLDER
from vibes_pipeline.ledger.notices import only_sender
from vibes_pipeline.notices import senders

DEATHS = ("while the server thinks", "just after the server's 250", "just before handing over")


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("death", DEATHS)
def test_a_sender_killed_midway_is_taken_over_without_loss(
    ledger: Ledger,
    ledger_url: sa.URL,
    post: Post,
    clock: SetClock,
    death: str,
    connections: int,
) -> None:
    sellers = freeze_for(ledger, 20)
    if death == "while the server thinks":
        post.answers = {address(seller): ["block"] for seller in sellers[::3]}
    sender = _start_sender(ledger_url, post.url, clock, death, connections)
    if death == "while the server thinks":
        for _ in range(connections):
            assert post.blocked.acquire(timeout=PATIENCE_SECONDS)
        sender.strike(signal.SIGKILL)
        assert sender.wait() == -signal.SIGKILL
        post.release()
    else:
        assert sender.wait() == DIED

    # What it could not tell the ledger any more is in its journal.
    outbox(ledger, smtp(post.url), clock).recover()
    left = statuses(ledger)
    broken_off = {seller for seller, status in left.items() if status == "unknown"}
    known_sent = {seller for seller, status in left.items() if status == "sent"}
    assert 1 <= len(broken_off) <= connections
    assert set(left.values()) <= {"sent", "unknown", "queued"}
    assert {s for s, state in charged(ledger).items() if state == "alerted"} == known_sent

    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter(sent=20 - len(known_sent))
    assert set(statuses(ledger).values()) == {"sent"}
    assert set(charged(ledger).values()) == {"alerted"}
    copies = {seller: post.copies()[address(seller)] for seller in sellers}
    assert {seller for seller, mails in copies.items() if mails > 1} <= broken_off
    assert max(copies.values()) <= 2
    if death != "just before handing over":
        assert max(copies.values()) == 2
    n = views.notice_states.c
    assert {
        s for s, unknowns in made.rows(ledger, n.seller_id, n.unknowns) if unknowns
    } == broken_off
    assert outbox(ledger, smtp(post.url), clock).deliver() == Counter()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sender_killed_when_its_batch_is_recorded_leaves_no_mail_to_be_sent_twice(
    ledger: Ledger, ledger_url: sa.URL, post: Post, clock: SetClock, moment: str
) -> None:
    sellers = freeze_for(ledger, 20)
    death = f"{moment} its batch is recorded"
    sender = _start_sender(ledger_url, post.url, clock, death, 2)
    assert sender.wait() == DIED
    had = post.copies()
    assert had
    if moment == "before":
        assert set(statuses(ledger).values()) == {"queued"}

    outbox(ledger, smtp(post.url), clock).deliver()
    assert set(statuses(ledger).values()) == {"sent"}
    assert set(charged(ledger).values()) == {"alerted"}
    copies = post.copies()
    assert copies.keys() == {address(seller) for seller in sellers}
    # Only those twice whose answer it had not noted, one a connection.
    n = views.notice_states.c
    unseen = {address(s) for s, unknown in made.rows(ledger, n.seller_id, n.unknowns) if unknown}
    assert {to for to, mails in copies.items() if mails > 1} <= unseen
    assert len(unseen) <= 2


@dataclass(frozen=True)
class Sender:
    """A process of the outbox; `interrupted` is set once it has seen an interrupt."""

    process: BaseProcess
    interrupted: Event

    def strike(self, number: int) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def wait(self) -> int:
        """Its exit status, negative for the signal that ended it."""
        self.process.join(PATIENCE_SECONDS)
        assert self.process.exitcode is not None, "it goes on"
        return self.process.exitcode


def _start_sender(
    url: sa.URL, smtp_url: str, clock: SetClock, death: str, connections: int
) -> Sender:
    interrupted = forks().Event()
    given = (death, url.render_as_string(hide_password=False), smtp_url, connections, clock.at)
    process = forks().Process(target=send, args=(*given, interrupted), daemon=True)
    process.start()
    return Sender(process, interrupted)


def test_two_senders_at_once_send_each_notice_once(
    ledger: Ledger, ledger_url: sa.URL, post: Post, clock: SetClock
) -> None:
    sellers = freeze_for(ledger, 24)
    post.delay_seconds = 0.01
    other = Ledger(database.connect(ledger_url), "NG")
    together = threading.Barrier(2)

    def deliver(over: Ledger) -> Counter[str]:
        together.wait(timeout=PATIENCE_SECONDS)
        return outbox(over, smtp(post.url), clock).deliver()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(deliver, (ledger, other))
    other.close()
    assert one + two == Counter(sent=24)
    assert post.copies() == Counter(map(address, sellers))


def test_a_sender_that_has_lost_its_hold_begins_no_mail_more(
    ledger: Ledger, ledger_url: sa.URL, post: Post, clock: SetClock
) -> None:
    sellers = freeze_for(ledger, 12)
    post.default = "block"
    other = Ledger(database.connect(ledger_url), "NG")
    with ThreadPoolExecutor(1) as pool:
        delivered = pool.submit(outbox(ledger, smtp(post.url), clock).deliver)
        for _ in range(4):
            assert post.blocked.acquire(timeout=PATIENCE_SECONDS)
        _end_holder(other, OUTBOX_LOCK + "NG")
        post.release()
        with pytest.raises(LedgerError) as failure:
            delivered.result(timeout=PATIENCE_SECONDS)
    assert re.fullmatch(
        "PostgreSQL went away: .*; the lock 'vibes outbox of NG' was lost with it",
        str(failure.value),
    )
    # What was at hand is known all the same.
    assert Counter(statuses(other).values()) == {"sent": 4, "queued": 8}
    assert outbox(other, smtp(post.url), clock).deliver() == Counter(sent=8)
    other.close()
    assert post.copies() == Counter(map(address, sellers))


def _end_holder(ledger: Ledger, lock: str) -> None:
    """End the session that holds the lock, and no other of its process."""
    with ledger.engine.connect() as connection:
        holder = connection.execute(HOLDER, {"name": lock}).one()
        ended = sa.select(sa.func.pg_terminate_backend(holder.pid, 5000))
        assert connection.execute(ended).scalar_one()


# --- interrupted --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_sending_after_the_mails_at_hand(
    ledger: Ledger, ledger_url: sa.URL, post: Post, clock: SetClock, number: int
) -> None:
    freeze_for(ledger, 30)
    # Each connection has a mail at hand that is answered once the interrupt has been seen.
    post.default = "block"
    death = "interrupted over a server that answers"
    sender = _start_sender(ledger_url, post.url, clock, death, 4)
    for _ in range(4):
        assert post.blocked.acquire(timeout=PATIENCE_SECONDS)
    sender.strike(number)
    assert sender.interrupted.wait(PATIENCE_SECONDS)
    post.release()
    assert sender.wait() != 0
    assert len(post.received) == 4
    assert Counter(statuses(ledger).values()) == {"sent": 4, "queued": 26}


def test_an_interrupt_is_followed_within_seconds() -> None:
    assert senders.ANSWERS_WITHIN_SECONDS + senders.RECORDS_WITHIN_SECONDS <= 3


def test_an_interrupt_does_not_wait_for_a_server_that_does_not_answer(
    ledger: Ledger, ledger_url: sa.URL, clock: SetClock
) -> None:
    sellers = freeze_for(ledger, 30)
    with relaying() as relay:
        relay.to = {address(s): {"RCPT": SILENT} for s in sellers[:2]}
        relay.to |= {address(s): {"END": SILENT} for s in sellers[2:]}
        sender = _start_sender(ledger_url, relay.url, clock, "interrupted", 4)
        for _ in range(4):
            assert relay.is_waiting.acquire(timeout=PATIENCE_SECONDS)
        sender.strike(signal.SIGINT)
        # Of two minutes that the server has to answer.
        assert sender.wait() != 0
        asked = {s for s in sellers if address(s) in relay.recipients}
    # Whoever was asked of is not forgotten: one whose mail the server had is unknown.
    got = {s for s in asked if address(s) in relay.mails}
    expected = {
        s: "unknown" if s in got else "deferred" if s in asked else "queued" for s in sellers
    }
    assert len(asked) == 4
    assert statuses(ledger) == expected


def test_who_waits_for_another_sender_can_be_interrupted(
    ledger: Ledger, ledger_url: sa.URL, post: Post, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    with only_sender(ledger):
        sender = _start_sender(ledger_url, post.url, clock, "interrupted", 4)
        _wait_for(lambda: _lock_seekers(ledger) > 0)
        sender.strike(signal.SIGINT)
        assert sender.wait() != 0
    assert not post.received


def _lock_seekers(ledger: Ledger) -> int:
    """How many connections wait for the outbox in the database's queue."""
    with ledger.reading() as connection:
        return connection.execute(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event = 'advisory'"
            )
        ).scalar_one()


def _wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until, "never came so far"
        time.sleep(0.002)
