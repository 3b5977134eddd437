"""The daemon itself, back after more than nine days: nothing is missed, nothing done twice (§2).

It went off after a Wednesday's alert and comes back after two Saturdays, as `vibes up` would start
it: a process of its own, over a live ledger and a mail server. The ledger's past is put in while its
triggers are off, for they refuse what is back-dated. Dates are relative to the present, and whatever
the hour, what must happen is told from the calendar.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from cli import troubles
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickStatus,
)
from defs import origins
from notices.mail_server import Post, serving
from rules.marketplace import NIGERIA, Marketplace
from slots_direct import effects

from vibes_pipeline.calendar import TIMED_SLOTS, DueSlot, Slot, monday_of
from vibes_pipeline.dagster_host import home as dagster_home
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.run import SlotRun

CALENDAR = NIGERIA.slot_calendar
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
WEEKLY = (Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION)
PATIENCE_SECONDS = 240.0
DEFINITIONS = "defs.quick_definitions"
SECOND = "s-second@shop.example"  # of a seller who is first written to by the alert sent late


def now() -> datetime:
    return datetime.now(UTC).astimezone(NIGERIA.time_zone)


# --- before it went off ---------------------------------------------------------------------------


@dataclass(frozen=True)
class PastClock:
    """The wall clock as it stood at a slot of the past."""

    at: datetime
    is_simulated: bool = False

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Absence:
    """From an hour after a Wednesday's alert until now; two Saturdays lie in it, at least."""

    back_at: datetime
    cycle: date  # alerted before, implemented after

    @classmethod
    def until(cls, back_at: datetime) -> Absence:
        return cls(back_at, CALENDAR.period_of(Slot.WEEKLY_IMPLEMENTATION, back_at) - WEEK)

    @property
    def alert_at(self) -> datetime:
        return CALENDAR.due_at(Slot.WEEKLY_ALERT, self.cycle) + timedelta(seconds=20)

    @property
    def off_at(self) -> datetime:
        return self.alert_at + timedelta(hours=1)

    @property
    def last_day(self) -> date:
        """The day on which the last late alert ran."""
        return self.off_at.date()

    def missed(self) -> list[DueSlot]:
        return CALENDAR.due_between(self.off_at, self.back_at, WEEKLY)

    def current_late_slot(self) -> DueSlot:
        """The one late slot that may still be run."""
        (current,) = [
            due
            for due in CALENDAR.due_between(self.back_at - DAY, self.back_at, TIMED_SLOTS[2:])
            if self.back_at < CALENDAR.late_slot_is_over_at(due.slot, due.period)
        ]
        return current


def market(absence: Absence) -> Marketplace:
    """The weeks of the absence: troubles in the first, a return in each later one, an open item."""
    made = troubles.market(absence.cycle.isoformat())
    for seller, returned_at in (("S-second", "Tue+1 10:00"), ("S-third", "Tue+2 10:00")):
        back = {"order_item_id": f"I-{seller}", "returned_at": returned_at}
        made.item({**troubles.OLD, **_of(made, seller), **back, "return_reason": "wrong_item"})
    pending_at = f"{absence.back_at - 8 * DAY:%Y-%m-%dT%H:%M}"
    made.item({**_of(made, "S-overdue"), "order_item_id": "I-overdue", "pending_at": pending_at})
    return made


def _of(made: Marketplace, seller: str) -> dict[str, str]:
    made.seller(seller_id=seller, email=f"{seller.lower()}@shop.example")
    return {"seller_id": seller, "sku": made.product(seller, sku=f"K-{seller}")}


# The triggers that note which actions are open and which notices unsent.
AT_HAND = {
    "ledger.action_events": "keep_open_actions",
    "ledger.notices": "note_unsent_notices",
    "ledger.deliveries": "forget_sent_notices",
}


def live_until_it_went_off(ledger: Ledger, settings: Settings, absence: Absence) -> None:
    """A late alert and the weekly alert, each at its time, as their jobs run them."""
    with triggers_off(ledger):
        at = CALENDAR.due_at(Slot.LATE_ALERT, absence.last_day) + timedelta(seconds=20)
        late = begin(Slot.LATE_ALERT, absence.last_day, settings, at)
        effects(late, ledger)
        finish(late, ledger)
        alert = begin(Slot.WEEKLY_ALERT, absence.cycle, settings, absence.alert_at)
        effects(alert, ledger)
        finish(alert, ledger)


def begin(slot: Slot, period: date, settings: Settings, at: datetime) -> SlotRun:
    return SlotRun.begin(slot, period, NIGERIA, settings, now=at, is_simulated=False)


def finish(run: SlotRun, ledger: Ledger) -> None:
    deliver_notices(ledger, NIGERIA, run.settings, PastClock(run.now), slot_now=run.now)
    ledger.record_finished(run.slot, run.period, run.now)


@contextmanager
def triggers_off(ledger: Ledger) -> Iterator[None]:
    """Only whoever owns the database can do this; what is at hand goes on being noted."""
    for switch in ("DISABLE", "ENABLE"):
        with ledger.engine.begin() as connection:
            for table in schema.metadata.tables:
                connection.execute(sa.text(f"ALTER TABLE {table} {switch} TRIGGER USER"))
            for table, trigger in AT_HAND.items():
                connection.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}"))
        if switch == "DISABLE":
            yield


def dagster_ticked_until(instance: dg.DagsterInstance, off_at: datetime) -> None:
    """Dagster's storage knows the schedules from before, so it ticks once for what they missed."""
    times = NIGERIA.slots.times_on(off_at.date())
    for slot in TIMED_SLOTS:
        instance.add_instigator_state(
            InstigatorState(
                origins.of_schedule(JOBS[slot].name, DEFINITIONS),
                InstigatorType.SCHEDULE,
                InstigatorStatus.DECLARED_IN_CODE,
                ScheduleInstigatorData(times.cron(slot), off_at.timestamp()),
            )
        )


# --- the daemon -----------------------------------------------------------------------------------


@dataclass
class Daemon:
    """`dagster-daemon run`, started in a group of its own with all that it starts."""

    folder: Path
    started: list[subprocess.Popen[bytes]]

    def start(self) -> None:
        workspace = self.folder / "workspace.yaml"
        location = {"module_name": DEFINITIONS, "location_name": "vibes-ng"}
        workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": location}]}))
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]
        path = os.pathsep.join([*filter(None, sys.path)])
        with (self.folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)

    def kill(self) -> None:
        """The daemon alone: a run that it has started goes on."""
        self.started[-1].kill()
        self.started[-1].wait()

    def stop(self) -> None:
        """As Ctrl-C does, then whatever a killed one has left behind."""
        if self.started and self.started[-1].poll() is None:
            self.started[-1].send_signal(signal.SIGINT)
            self.started[-1].wait(timeout=PATIENCE_SECONDS)
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@dataclass
class World:
    """All that the test looks at."""

    ledger: Ledger
    instance: dg.DagsterInstance
    daemon: Daemon
    post: Post
    absence: Absence

    def wait_until(self, what: str, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < until, f"{what}\n{self.log()}"
            time.sleep(0.3)

    def log(self) -> str:
        return (self.daemon.folder / "daemon.log").read_text(errors="replace")[-4000:]

    def rows(self, select: sa.Select[Any]) -> list[tuple[Any, ...]]:
        with self.ledger.reading() as connection:
            return [tuple(row) for row in connection.execute(select)]

    def is_done(self, due: DueSlot) -> bool:
        return self.ledger.is_finished(due.slot, due.period)

    def late_slot_is_settled(self) -> bool:
        """Done, or over in the meantime."""
        late = self.absence.current_late_slot()
        is_over = now() >= CALENDAR.late_slot_is_over_at(late.slot, late.period)
        return is_over or self.is_done(late)

    def ticks(self, name: str, after: float = 0.0) -> list[tuple[TickStatus, str | None]]:
        """What became of a schedule's or sensor's evaluations."""
        origin = origins.of_schedule(name, DEFINITIONS)
        ticks = self.instance.get_ticks(origin.get_id(), origin.get_selector().get_id())
        return [(tick.status, tick.skip_reason) for tick in ticks if tick.timestamp > after]

    def weekly_runs(self) -> list[dg.RunRecord]:
        """Every run of a weekly job, oldest first."""
        names = {JOBS[slot].name for slot in WEEKLY}
        records = self.instance.get_run_records(ascending=True, order_by="id")
        return [record for record in records if record.dagster_run.job_name in names]


@pytest.fixture
def world(
    ledger: Ledger, ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    for name in ("DAGSTER_HOME", dagster_home.STORAGE_VARIABLE):
        monkeypatch.setenv(name, "set anew by dagster_home")
    absence = Absence.until(now())
    with serving() as post:
        monkeypatch.setenv("VIBES_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("VIBES_WAREHOUSE", str(market(absence).write(tmp_path / "raw")))
        monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))
        monkeypatch.setenv("VIBES_SMTP_URL", post.url)
        monkeypatch.setenv("VIBES_MAIL_FROM", "vibes@mail.example")
        settings = Settings.from_environment()
        live_until_it_went_off(ledger, settings, absence)
        with dagster_home.persistent_instance(settings) as instance:
            dagster_ticked_until(instance, absence.off_at)
            daemon = Daemon(tmp_path, [])
            try:
                yield World(ledger, instance, daemon, post, absence)
            finally:
                daemon.stop()


def test_at_whatever_hour_this_is_run_two_saturdays_lie_in_the_absence() -> None:
    for hours in range(24 * 7 + 1):
        absence = Absence.until(now() + timedelta(hours=hours))
        assert absence.back_at - absence.off_at > 9 * DAY
        slots_missed = [due.slot for due in absence.missed()]
        assert slots_missed[:3] == [WEEKLY[1], WEEKLY[0], WEEKLY[1]]
        assert slots_missed[3:] in ([], [WEEKLY[0]])
        assert absence.current_late_slot().due_at <= absence.back_at


def test_back_after_two_saturdays_it_does_what_was_missed_in_order_and_once(world: World) -> None:
    missed = world.absence.missed()
    first_saturday, late_wednesday, second_saturday = missed[:3]
    assert len(world.post.received) == troubles.SELLERS, "the alerts of before"
    world.post.answers = {SECOND: ["block"]}

    world.daemon.start()
    # Killed while the alert that it has started is half sent, and started again.
    assert world.post.blocked.acquire(timeout=PATIENCE_SECONDS), world.log()
    world.daemon.kill()
    killed_at = time.time()
    world.daemon.start()
    world.wait_until(
        "the sensor was not evaluated again",
        lambda: any(
            status is TickStatus.SKIPPED for status, _ in world.ticks("catch_up", killed_at)
        ),
    )
    assert len(world.weekly_runs()) == 2, "the run goes on, so none other is requested"
    world.post.release()
    world.wait_until(
        f"not done: {missed}",
        lambda: all(map(world.is_done, missed)) and world.late_slot_is_settled(),
    )
    world.daemon.stop()

    each_ran_once_and_the_oldest_first(world, missed)
    the_schedules_own_ticks_left_it_alone(world)
    what_was_alerted_before_is_implemented(world, first_saturday)
    an_alert_sent_late_moves_its_charges(world, late_wednesday, second_saturday)
    days_that_were_missed_are_skipped(world)
    every_mail_went_out_once(world)


def each_ran_once_and_the_oldest_first(world: World, missed: list[DueSlot]) -> None:
    runs = world.weekly_runs()
    ran = [(r.dagster_run.job_name, r.dagster_run.tags["dagster/partition"]) for r in runs]
    expected = [(JOBS[due.slot].name, due.period.isoformat()) for due in missed]
    # A slot that became due while the test ran may have been run too.
    assert ran[: len(expected)] == expected
    assert len(set(ran)) == len(ran)
    for run in runs[:-1]:
        assert run.dagster_run.status is dg.DagsterRunStatus.SUCCESS
    s = schema.slots.c
    effected = world.rows(
        sa.select(s.slot, s.period, s.effected_at, s.finished_at, s.outcome)
        .where(s.slot.in_(WEEKLY), s.effected_at > world.absence.off_at)
        .order_by(s.effected_at)
    )
    in_order = [(slot, period) for slot, period, *_ in effected[: len(missed)]]
    assert in_order == [(due.slot, due.period) for due in missed]
    for _, _, at, _, outcome in effected:
        assert (at >= world.absence.back_at, outcome) == (True, "done"), "the real time is its now"
    # By the ledger, which is the truth: Dagster notes the end of a run a little after its slot's.
    for (*_, finished_at, _), (_, _, next_at, *_) in pairwise(effected):
        assert next_at >= finished_at, "a slot has its instant after the one before is done"


def the_schedules_own_ticks_left_it_alone(world: World) -> None:
    for slot in WEEKLY:
        *_, (status, why) = world.ticks(JOBS[slot].name)
        # Too late for it; or, if the slot has just become due, not its turn.
        assert status is TickStatus.SKIPPED, "Dagster ticked for what the schedule had missed"
        assert any(words in (why or "") for words in ("catch_up runs", " waits for ", " is done "))


def what_was_alerted_before_is_implemented(world: World, saturday: DueSlot) -> None:
    s, p = views.action_states.c, schema.postings.c
    actions = world.rows(sa.select(s.state, s.implemented_at).where(s.cycle == world.absence.cycle))
    ((at,),) = world.rows(
        sa.select(schema.slots.c.effected_at).where(
            schema.slots.c.slot == saturday.slot, schema.slots.c.period == saturday.period
        )
    )
    assert len(actions) >= troubles.SELLERS
    assert set(actions) == {("implemented", at)}
    periods = world.rows(sa.select(p.statement_period, p.posted_at))
    assert periods
    assert set(periods) == {(monday_of(NIGERIA.local_date(at)), at)}


def an_alert_sent_late_moves_its_charges(
    world: World, wednesday: DueSlot, saturday: DueSlot
) -> None:
    s, n = views.action_states.c, views.notice_states.c
    ((state,),) = world.rows(sa.select(s.state).where(s.order_item_id == "I-S-second"))
    assert state == "alerted", "its 72 hours count from the sending"
    ((sent_at,),) = world.rows(
        sa.select(n.last_at).where(
            n.kind == "weekly_alert", n.period == wednesday.period, n.seller_id == "S-second"
        )
    )
    assert sent_at >= world.absence.back_at
    hours = NIGERIA.notice.notice_hours.on(wednesday.period)
    takes_effect_at = CALENDAR.takes_effect_at(sent_at, hours)
    assert takes_effect_at > saturday.due_at + WEEK - DAY
    (mail,) = world.post.mails_to(SECOND)
    body = mail.get_body(("plain",))
    assert body
    words = f"{takes_effect_at:%A} {takes_effect_at.day} {takes_effect_at:%B %Y, %H:%M}"
    assert words in " ".join(body.get_content().split())


def days_that_were_missed_are_skipped(world: World) -> None:
    late = world.absence.current_late_slot()
    s = schema.slots.c
    recorded = {
        (slot, period): outcome
        for slot, period, outcome in world.rows(
            sa.select(s.slot, s.period, s.outcome).where(s.slot.in_(TIMED_SLOTS[2:]))
        )
    }
    first = world.absence.last_day
    assert recorded.pop((Slot.LATE_ALERT, first)) == "done", "it ran before"
    if world.is_done(late):
        assert recorded.pop((late.slot, late.period)) == "done"
    if late.slot is Slot.LATE_ALERT and world.is_done(late):
        days = [first + n * DAY for n in range((late.period - first).days)]
        both = {(slot, day) for day in days for slot in TIMED_SLOTS[2:]}
        skipped = {slot for slot, outcome in recorded.items() if outcome == "skipped"}
        assert skipped == both - {(Slot.LATE_ALERT, first)}
        n = views.notice_states.c
        told = world.rows(
            sa.select(n.seller_id).where(n.kind == "late_alert", n.period == late.period)
        )
        assert told == [("S-overdue",)], "what is overdue still is in that day's alert"


def every_mail_went_out_once(world: World) -> None:
    n = views.notice_states.c
    # A late alert from noon on comes too late for the night, and so is not sent.
    has_a_point = n.pointless_at.is_(None) | (n.pointless_at > n.planned_at)
    notices = world.rows(sa.select(n.notice_id, n.status, n.attempts).where(has_a_point))
    assert {(status, attempts) for _, status, attempts in notices} == {("sent", 1)}
    identified = Counter(
        str(message_from_bytes(e.content)["Message-ID"]).strip("<>").partition("@")[0]
        for e in world.post.received
        if isinstance(e.content, bytes)
    )
    assert identified == Counter(str(notice_id) for notice_id, _, _ in notices)
