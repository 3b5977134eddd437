"""One delivery: all that is due is worded, sent and recorded in batches, by threads that share it.

A clerk reads what the mails tell of, has them worded ahead of the senders and records what became
of them; each sender hands mails over its own connection. Here belongs that division of labour. What
is due is `outbox`'s; how a mail travels is `transports`'s; whom a refusal is about, `verdicts`'s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from queue import SimpleQueue
from typing import NamedTuple

import sqlalchemy as sa

from vibes_pipeline.errors import MailError
from vibes_pipeline.interrupts import interrupts_held
from vibes_pipeline.ledger import deliveries
from vibes_pipeline.ledger import notices as ledger_notices
from vibes_pipeline.ledger.deliveries import Delivery
from vibes_pipeline.ledger.locks import Hold
from vibes_pipeline.ledger.states import Status
from vibes_pipeline.notices.address import usable_address
from vibes_pipeline.notices.attempts import Attempt, Means
from vibes_pipeline.notices.journal import Journal
from vibes_pipeline.notices.mail import Mail, Unbuilt
from vibes_pipeline.notices.mails import Telling, Worded
from vibes_pipeline.notices.replies import DeliveryError, Refused, Unknown, Unwritable
from vibes_pipeline.notices.senders import Pace, Sender, Worker, run_to_the_end
from vibes_pipeline.notices.speed import Watch
from vibes_pipeline.notices.transports import Connection, MaildirTransport
from vibes_pipeline.notices.verdicts import Settled, Verdicts

# A batch is what is sent in about this time: a mail tells of the ledger as it was shortly before.
BATCH_SECONDS = 0.3
FIRST_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 16, 4, 256
# What became of mails is recorded once so many wait for it, or the first has waited so long.
RECORDED_AT_ONCE, RECORDED_AFTER_SECONDS = 256, 0.3
# How soon the clerk sees that no sender is left.
_LOOKS_EVERY_SECONDS = 0.05

log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    """Attempts whose mails are being worded, as of `at`."""

    attempts: Sequence[Attempt]
    at: datetime
    mails: Future[Sequence[Worded]]


class _Ready(NamedTuple):
    """A mail to be handed over; what it says is true until `until`."""

    attempt: Attempt
    mail: Mail
    until: datetime | None


@dataclass
class Dispatch:
    """The sending of all that is due; its threads share all but their connections."""

    means: Means
    hold: Hold
    journal: Journal
    due: deque[Attempt]
    progress: Callable[[], None]
    ended: list[str]

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.verdicts: Verdicts[Delivery] = Verdicts(self.stop)
        self.pace = Pace(self.means.rate)
        self._ahead: deque[_Batch] = deque()
        self._ready: SimpleQueue[_Ready | None] = SimpleQueue()
        self._outcomes: deque[Delivery] = deque()
        self._unfinished = 0
        self._mutex = threading.Lock()
        self._wake = threading.Event()
        self._batch_size = FIRST_BATCH
        self._handed_at = self._recorded_at = time.monotonic()
        self._watch = Watch(self._limit())

    def run(self) -> None:
        """Send until nothing is due or the relay refuses; `MailError` as the outbox says."""
        count = min(self.means.connections, len(self.due))
        if isinstance(self.means.transport, MaildirTransport):
            count = 1
        self._senders = [Sender(self.means.transport, self._send, self.stop) for _ in range(count)]
        clerk = Worker(self._keep, self.stop)
        with (
            interrupts_held() as interrupted,
            self.means.mails.ready_for(len(self.due)),
        ):
            run_to_the_end(self._senders, clerk, self.stop, interrupted)
        if interrupted.is_set():
            # The signal was held back while mails were sent; the caller must still see it.
            raise KeyboardInterrupt
        self._complain()

    def _complain(self) -> None:
        ended = Counter(self.ended)
        if complaint := self.verdicts.complaint:
            waiting = {"not attempted": self._left} if self._left else {}
            counts = ", ".join(f"{n} {s}" for s, n in [*sorted(ended.items()), *waiting.items()])
            if isinstance(complaint, Unwritable):
                raise MailError(f"{complaint}; {counts}; what is not sent is tried again")
            raise MailError(
                f"the mail server takes no mails, whoever they are to ({complaint}); {counts}; "
                "see to the server: what is not sent is tried again"
            )
        if ended["not built"]:
            raise MailError(
                f"{ended['not built']} mails could not be built and stay queued, all others were "
                "attempted; see the log for the cause"
            )

    # --- the clerk ---

    def _keep(self) -> None:
        """Have mails worded for the senders, and record what became of them, until all is done."""
        with self.means.recording() as connection:
            try:
                while self._goes_on():
                    self._feed(connection)
                    self._record(connection)
                    if warning := self._watch.warning(self._left, self.means.clock.now()):
                        self.means.warn(warning)
                    if not self.due or len(self._ahead) >= self.means.mails.lanes:
                        self._wake.wait(_LOOKS_EVERY_SECONDS)
                        self._wake.clear()
            except BaseException:
                self.stop.set()
                raise
            finally:
                for _ in self._senders:
                    self._ready.put(None)
                for sender in self._senders:
                    sender.has_ended.wait()
                self._settle(self.verdicts.end())
                self._record(connection, all_of_it=True)
            self.journal.clear()

    def _limit(self) -> datetime | None:
        """By when all must be accepted: the earliest end of an alert's notice that is ahead."""
        now, limits = self.means.clock.now(), dict[object, datetime | None]()
        for notice in (attempt.notice for attempt in self.due):
            of = (notice.kind, notice.period, notice.notice_hours)
            if of not in limits:
                limits[of] = self.means.mails.in_time_until(notice, now)
        return min((limit for limit in limits.values() if limit and limit > now), default=None)

    @property
    def _left(self) -> int:
        return len(self.due) + sum(len(batch.attempts) for batch in self._ahead) + self._unfinished

    def _goes_on(self) -> bool:
        if self.stop.is_set() or all(sender.has_ended.is_set() for sender in self._senders):
            return False
        return bool(self.due or self._ahead or self._unfinished)

    def _feed(self, connection: sa.Connection) -> None:
        """Keep the senders in mails, and so many batches in work as are worded at a time."""
        while self.due and len(self._ahead) < self.means.mails.lanes:
            self._ahead.append(self._begin_batch(connection))
        if self._ahead and self._is_low:
            self._hand(self._ahead.popleft())

    @property
    def _is_low(self) -> bool:
        return self._ready.qsize() <= self._batch_size // 2

    def _begin_batch(self, connection: sa.Connection) -> _Batch:
        """Read what the next mails tell of, and have them worded."""
        at, mails = self.means.clock.now(), self.means.mails
        taken = [self.due.popleft() for _ in range(min(self._batch_size, len(self.due)))]
        told = ledger_notices.actions_to_list(connection, [a.notice for a in taken])
        attempts, tellings = [], []
        for attempt in taken:
            notice = attempt.notice
            listed = mails.worth_listing(notice, told[notice.notice_id], at)
            if not listed and not notice.is_about_a_claim:
                self._note("pointless")
                continue
            notice = replace(notice, actions=[action["action_id"] for action in listed])
            attempts.append(attempt._replace(notice=notice))
            tellings.append(Telling(notice, listed))
        return _Batch(attempts, at, mails.word(tellings, at))

    def _hand(self, batch: _Batch) -> None:
        """Give a batch to the senders; the next is larger if the last one was sent soon."""
        mails = self.means.mails
        for attempt, mail in zip(batch.attempts, batch.mails.result(), strict=True):
            notice = attempt.notice
            if isinstance(mail, Unbuilt):
                log.error(
                    "the mail of notice %s could not be built\n%s", notice.notice_id, mail.cause
                )
                self._note("not built")
                continue
            with self._mutex:
                self._unfinished += 1
            self._ready.put(_Ready(attempt, mail, mails.true_until(notice, batch.at)))
        took, self._handed_at = time.monotonic() - self._handed_at, time.monotonic()
        if took < BATCH_SECONDS / 2:
            self._batch_size = min(2 * self._batch_size, LARGEST_BATCH)
        elif took > 2 * BATCH_SECONDS:
            self._batch_size = max(self._batch_size // 2, SMALLEST_BATCH)

    def _record(self, connection: sa.Connection, *, all_of_it: bool = False) -> None:
        """Give the ledger what became of mails, when it is enough or has waited long enough."""
        is_enough = (
            all_of_it
            or len(self._outcomes) >= RECORDED_AT_ONCE
            or time.monotonic() - self._recorded_at >= RECORDED_AFTER_SECONDS
        )
        if self._outcomes and is_enough:
            # The senders go on appending meanwhile.
            outcomes = [self._outcomes.popleft() for _ in range(len(self._outcomes))]
            deliveries.record(self.means.ledger, connection, outcomes)
        if is_enough:
            self._recorded_at = time.monotonic()

    # --- the senders ---

    def _send(self, way: Connection) -> None:
        """Hand mails over one connection until there are none or all are to stop."""
        while (ready := self._ready.get()) is not None:
            if not self.pace.turn(self.stop):
                return
            if ready.until is not None and self.means.clock.now() > ready.until:
                # It would state a date that is not so any more: it is worded anew.
                self.due.append(ready.attempt)
            else:
                self._hand_over(way, ready)
            with self._mutex:
                self._unfinished -= 1
                is_last = self._unfinished == 0
            is_wanted = self._ahead and self._is_low
            if is_last or is_wanted or len(self._outcomes) >= RECORDED_AT_ONCE:
                self._wake.set()

    def _hand_over(self, way: Connection, ready: _Ready) -> None:
        """Note the server's answer; a refusal only once it is clear whom it was about."""
        # Once the hold is lost, another sender may have begun and taken this one for dead.
        self.hold.require()
        to = usable_address(ready.attempt.address)
        delivery = self.means.begun(ready.attempt)
        self.journal.begin(delivery)
        try:
            reply = way.send(ready.mail, to)
        except Refused as refusal:
            # Until it is settled: whoever takes over would try again.
            self.journal.end(self.means.ended(delivery, Status.DEFERRED, *_words(refusal)))
            self._settle(self.verdicts.refuse(to, delivery, refusal))
        except DeliveryError as failure:
            status = Status.UNKNOWN if isinstance(failure, Unknown) else Status.DEFERRED
            self._end(delivery, status, *_words(failure))
            self.verdicts.fail(to, failure)
        else:
            self._end(delivery, *self.means.accepted(reply))
            self._settle(self.verdicts.accept(to))

    def _settle(self, settled: Sequence[Settled[Delivery]]) -> None:
        for delivery, refusal, is_final in settled:
            self._end(delivery, Status.FAILED if is_final else Status.DEFERRED, *_words(refusal))

    def _end(self, delivery: Delivery, status: str, code: int | None, detail: str) -> None:
        ended = self.means.ended(delivery, status, code, detail)
        try:
            self.journal.end(ended)
        finally:
            # The ledger shall have it even if the journal cannot.
            self._outcomes.append(ended)
            self._note(status)

    def _note(self, outcome: str) -> None:
        self.ended.append(outcome)
        self.progress()


def _words(failure: DeliveryError) -> tuple[int | None, str]:
    return failure.code, failure.text
