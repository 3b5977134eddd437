"""One slot killed at random moments over a bad relay, run again until it ends well, and judged.

Here belong the moments, the runs after them and what must hold in the end: the ledger is that of an
undisturbed run, every notice is accepted, and no mail that is known to be sent was sent again.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from random import Random
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from killed.bad_relay import ACCEPTED, BadRelay, GoodRelay
from killed.contents import Contents, contents, differences
from killed.slot_process import DONE, Order, Running, start
from ledger.promises import PROMISES
from notices.mail_server import serving
from rules.marketplace import NIGERIA
from storm.course import Course, Moment, Place, Start
from storm.files import write
from storm.world import together, world

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.notices.attempts import CONNECTIONS
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.notices.outbox import (
    REFUSED,
    RESENDS_OF_UNKNOWN,
    awaits_a_person,
)

# The moment of each slot that is killed, in order of time.
KILLED = {
    Slot.WEEKLY_ALERT: Moment("Wed 07:00", Slot.WEEKLY_ALERT),
    Slot.LATE_ALERT: Moment("Thu 06:00", Slot.LATE_ALERT),
    Slot.LATE_CANCELLATION: Moment("Thu 23:00", Slot.LATE_CANCELLATION),
    Slot.WEEKLY_IMPLEMENTATION: Moment("Sat 09:00", Slot.WEEKLY_IMPLEMENTATION),
}
# What has something to do once another has told of it.
RESTS_ON = {
    Slot.WEEKLY_IMPLEMENTATION: Slot.WEEKLY_ALERT,
    Slot.LATE_CANCELLATION: Slot.LATE_ALERT,
}
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
# How often a ledger's slot is killed before it may end.
STRIKES = (1, 1, 1, 2, 3)
# When after the slot what it left is tried again: a deferred notice waits 1, 2, 4 … minutes.
ROUNDS = [timedelta(minutes=m) for m in (0, 1, 3, 7, 15, 31, 63, 127, 190, 250)]
LOOK_EVERY_SECONDS = 0.004
PATIENCE_SECONDS = 180.0
ENDED_BY_DEATH = "the sender ended before the server's answer was recorded"


class Stage(StrEnum):
    """What the time up to a kill is spent in."""

    ALL = "all of it"
    RECORDING = "transactions that have written something"
    SENDING = "all after the first mail"


Lengths = Mapping[Stage, float]  # in seconds


class Landed(StrEnum):
    """What a slot was at when it was killed."""

    BEFORE = "before any event"
    RECORDING = "while it recorded"
    SENDING = "while it sent"
    AFTER = "after its last mail"


class Strike(NamedTuple):
    number: int
    landed: Landed


@dataclass(frozen=True)
class Killing:
    """What came of one ledger: where it was struck, what it took to end well, what is wrong."""

    seed: str
    is_by_command: bool
    strikes: Sequence[Strike]
    runs: int
    accepted: int
    deaths: int
    copies: int
    by_hand: int
    seconds: float
    faults: Sequence[str]


@dataclass(frozen=True)
class Undisturbed:
    """A slot that nobody killed: what it began from, its ledger, how long it was at each stage.

    Lengths are in seconds.
    """

    start: Start
    contents: Contents
    lengths: Lengths


@dataclass
class Kills:
    """The slots of a course over so many marketplaces, and ledgers that stand before each."""

    place: Place
    marketplaces: int
    _undisturbed: dict[Slot, Undisturbed] = field(default_factory=dict)
    _by_command: dict[Slot, Lengths] = field(default_factory=dict)
    _strikes: int = 0

    def __post_init__(self) -> None:
        tables = together(*(world(f"m{n:02}-") for n in range(self.marketplaces)))
        self.warehouse = write(tables, self.place.folder / "good")

    def prepare(self, slots: Collection[Slot]) -> None:
        """Run the slots undisturbed, over a relay that takes everything."""
        wanted = {*slots, *(RESTS_ON[slot] for slot in slots if slot in RESTS_ON)}
        with self.place.begun(self.place.empty(), NIGERIA) as course:
            for slot in (slot for slot in KILLED if slot in wanted):
                start = self.place.kept(course)
                with self._run(course, KILLED[slot], GoodRelay()) as run:
                    lengths = run.measured()
                    assert not run.rest(), "a relay that takes everything left something"
                self._undisturbed[slot] = Undisturbed(start, contents(course.ledger), lengths)

    def killing(self, slot: Slot, number: int, *, is_by_command: bool = False) -> Killing:
        """Kill the slot on a ledger of its own, let it end, and judge what came of it."""
        undisturbed = self._undisturbed[slot]
        lengths = self._lengths(slot) if is_by_command else undisturbed.lengths
        seed, began_at = f"{slot} {number}", time.monotonic()
        random, strikes = Random(seed), []
        relay = BadRelay(seed=seed)
        with self._cloned(slot, relay, is_by_command=is_by_command) as run:
            for _ in range(random.choice(STRIKES)):
                stage = random.choice([*Stage])
                after = random.random() * lengths[stage]
                struck = run.struck(stage, after, SIGNALS[self._strikes % len(SIGNALS)])
                if struck is not None:
                    strikes.append(struck)
                    self._strikes += 1
            run.end_well()
            by_hand = run.rest()
            return Killing(
                seed=seed,
                is_by_command=is_by_command,
                strikes=strikes,
                runs=run.runs,
                accepted=run.accepted().total(),
                deaths=run.deaths(),
                copies=sum(n - 1 for n in run.accepted().values()),
                by_hand=by_hand.total(),
                faults=[
                    *run.complaints,
                    *differences(undisturbed.contents, contents(run.ledger)),
                    *run.faults(strikes, by_hand),
                ],
                seconds=time.monotonic() - began_at,
            )

    def _lengths(self, slot: Slot) -> Lengths:
        """How long the installed command is at each stage."""
        if slot not in self._by_command:
            with self._cloned(slot, GoodRelay(), is_by_command=True) as run:
                self._by_command[slot] = run.measured()
        return self._by_command[slot]

    @contextmanager
    def _cloned(self, slot: Slot, relay: BadRelay, *, is_by_command: bool) -> Iterator[_Run]:
        """The slot on a ledger of its own, nothing done yet."""
        with (
            self.place.begun(self._undisturbed[slot].start, NIGERIA) as course,
            self._run(course, KILLED[slot], relay, is_by_command=is_by_command) as run,
        ):
            yield run

    @contextmanager
    def _run(
        self, course: Course, moment: Moment, relay: BadRelay, *, is_by_command: bool = False
    ) -> Iterator[_Run]:
        period = NIGERIA.slot_calendar.period_of(moment.slot, moment.at)
        url = self.place.administration.url.set(database=course.database)
        with serving(relay):
            environment = {
                "VIBES_HOME": str(course.home),
                "VIBES_WAREHOUSE": str(self.warehouse),
                "VIBES_POSTGRES_URL": url.render_as_string(hide_password=False),
                "VIBES_MAIL_CATCHER_URL": relay.url,
            }
            order = Order(moment.slot, period, moment.at, environment, is_by_command)
            yield _Run(order, course, relay, self.place.administration)


@dataclass
class _Run:
    """A slot on a ledger that stands before it, and the relay that its mails go to."""

    order: Order
    course: Course
    relay: BadRelay
    administration: sa.Engine
    runs: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        return self.course.ledger

    # --- runs ---

    def measured(self) -> Lengths:
        """Run the slot undisturbed, and tell how long it was at each stage."""
        running = self._start()
        lengths = self._watch(running, {})
        assert running.status() == DONE, running.complaint()
        return lengths

    def struck(self, stage: Stage, after: float, number: int) -> Strike | None:
        """Run the slot and kill it once it was so long at the stage; None if it ended before."""
        running = self._start()
        self._watch(running, {stage: after})
        try:
            # It stands still while is seen what it is at.
            os.kill(running.pid, signal.SIGSTOP)
            landed = self._landed()
            os.kill(running.pid, number)
            os.kill(running.pid, signal.SIGCONT)
        except ProcessLookupError:
            landed = None
        # What it says when it is struck amid anything is nobody's concern.
        self._ended(running)
        return None if landed is None else Strike(number, landed)

    def _watch(self, running: Running, until: Lengths) -> Lengths:
        """Look on until the run has ended, or was as long at a stage as is given."""
        spent = dict.fromkeys(Stage, 0.0)
        heard_before, looked_at = self.relay.heard, time.monotonic()
        while running.status() is None and all(spent[s] < until[s] for s in until):
            time.sleep(LOOK_EVERY_SECONDS)
            stages = {Stage.ALL}
            if self.relay.heard > heard_before:
                stages.add(Stage.SENDING)
            elif self._writes():
                stages.add(Stage.RECORDING)
            since, looked_at = looked_at, time.monotonic()
            for stage in stages:
                spent[stage] += looked_at - since
        return spent

    def end_well(self) -> None:
        """Run the slot again and again until it is done; a relay in trouble is given a minute."""
        for tries in range(10):
            later = timedelta(minutes=max(tries - 2, 0))
            running = self._start(later)
            if self._wait(running) == DONE:
                return
        self.complaints.append("the slot did not end well in ten runs")

    def rest(self) -> Counter[UUID]:
        """Deliver what the slot left, as the outbox does; which notices a person had sent again."""
        by_hand: Counter[UUID] = Counter()
        for later in ROUNDS:
            clock = SimulatedClock(self.order.now + later)
            self._deliver(clock)
            stuck = [
                notice.notice_id
                for notice in open_notices(self.ledger, clock.now())
                if notice.status in REFUSED or awaits_a_person(notice)
            ]
            if stuck:
                by_hand.update(stuck)
                self._deliver(clock, stuck)
            if not open_notices(self.ledger, clock.now()):
                break
        return by_hand

    def _deliver(self, clock: SimulatedClock, only: Sequence[UUID] | None = None) -> None:
        with suppress(MailError):
            deliver_notices(
                self.ledger, NIGERIA, self.order.settings, clock, slot_now=clock.now(), only=only
            )

    def _start(self, later: timedelta = timedelta()) -> Running:
        self.runs += 1
        return start(replace(self.order, now=self.order.now + later))

    def _wait(self, running: Running) -> int:
        status = self._ended(running)
        if complaint := running.complaint():
            self.complaints.append(complaint)
        return status

    def _ended(self, running: Running) -> int:
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while (status := running.status()) is None:
            if time.monotonic() > gives_up_at:
                os.kill(running.pid, signal.SIGKILL)
                self.complaints.append(f"a run did not end within {PATIENCE_SECONDS:.0f} s")
            time.sleep(LOOK_EVERY_SECONDS)
        return status

    # --- what it is at ---

    def _writes(self) -> bool:
        """Whether a transaction of the slot has written what it has not committed yet."""
        query = sa.text(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity "
            "WHERE datname = :name AND backend_xid IS NOT NULL)"
        )
        with self.administration.connect() as connection:
            return bool(connection.execute(query, {"name": self.course.database}).scalar_one())

    def _landed(self) -> Landed:
        with self.ledger.reading() as connection:
            is_effected = self.ledger.slot_effected_at(
                connection, self.order.slot, self.order.period
            )
        if not is_effected:
            return Landed.RECORDING if self._writes() else Landed.BEFORE
        is_left = open_notices(self.ledger, self.order.now)
        return Landed.SENDING if is_left else Landed.AFTER

    # --- what must hold ---

    def accepted(self) -> Counter[str]:
        """How often the relay took the mail of each notice."""
        return Counter(m.notice_id for m in self.relay.mails if m.answer == ACCEPTED)

    def deaths(self) -> int:
        """How many attempts ended with their sender."""
        return sum(
            detail == ENDED_BY_DEATH
            for attempts in self._attempts().values()
            for _, status, detail in attempts
            if status == "unknown"
        )

    def faults(self, strikes: Sequence[Strike], by_hand: Counter[UUID]) -> Iterator[str]:
        """What the ledger and the relay's own list of mails say against each other."""
        for name, query in PROMISES.items():
            if rows := self.course.rows(query):
                yield f"broken: {name}: {rows[:2]}"
        for notice in open_notices(self.ledger, self.order.now):
            yield f"notice {notice.notice_id} is {notice.status} in the end"
        if self.deaths() > CONNECTIONS * len(strikes):
            yield f"{self.deaths()} attempts broken off by {len(strikes)} kills"
        attempts, accepted = self._attempts(), self.accepted()
        for notice, mails in self._mails().items():
            tried = attempts.pop(notice, [])
            statuses = Counter(status for _, status, _ in tried)
            told = f"notice {notice}: {mails} at the relay, {tried} in the ledger"
            if statuses["sent"] != 1:
                yield f"not recorded as sent once: {told}"
            elif mails[-1] != ACCEPTED:
                yield f"recorded as sent, but not accepted at last, or sent again: {told}"
            if len(mails) > statuses["sending"]:
                yield f"sent without an attempt: {told}"
            if accepted[notice] > 1 + statuses["unknown"]:
                yield f"known to be sent and sent again: {told}"
            if statuses["unknown"] > 1 + RESENDS_OF_UNKNOWN + by_hand[UUID(notice)]:
                yield f"unknown more often than it may be: {told}"
        for notice, tried in attempts.items():
            if any(status == "sent" for _, status, _ in tried):
                yield f"recorded as sent, and never at the relay: {notice}, {tried}"

    def _mails(self) -> dict[str, list[str]]:
        """What the relay answered to each whole mail of each notice, in order."""
        answers: dict[str, list[str]] = {}
        for mail in self.relay.mails:
            answers.setdefault(mail.notice_id, []).append(mail.answer)
        return answers

    def _attempts(self) -> dict[str, list[tuple[int, str, str | None]]]:
        """The attempts at each notice that the course before the slot has not sent."""
        d = schema.deliveries.c
        query = sa.select(d.notice_id, d.attempt, d.status, d.detail).order_by(
            d.attempt, d.status != "sending"
        )
        found: dict[str, list[tuple[int, str, str | None]]] = {}
        with self.ledger.reading() as connection:
            for notice, *attempt in connection.execute(query.where(d.at >= self.order.now)):
                found.setdefault(str(notice), []).append((attempt[0], attempt[1], attempt[2]))
        return found
