"""What the sensors ask for, over a real ledger and a real instance of Dagster (Rulebook §2).

Sensors and schedules read the wall clock: pasts are put into the ledger relative to the present, and
no test depends on the hour at which it is run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from cli import troubles
from defs import origins
from notices.mail_server import Post, serving
from rules.marketplace import NIGERIA, Marketplace

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.dagster_host import in_process
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import sensors
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots.catch_up import PUNCTUAL

CALENDAR = NIGERIA.slot_calendar
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
WEEKLY = (Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION)
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
OPERATORS = ("night@operators.example", "day@operators.example")
_numbers = itertools.count()


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Daemon:
    """What the daemon has: a ledger, the past of its slots, an instance, sensors to evaluate."""

    ledger: Ledger
    folder: Path
    instance: dg.DagsterInstance
    market: Marketplace = field(default_factory=Marketplace)

    def open(self, opened_at: datetime, *, is_simulated: bool = False) -> None:
        with self.ledger.writing(is_simulated=is_simulated, now=opened_at):
            pass

    def finish(self, slot: Slot, period: date) -> None:
        """As if the slot had run when it was due."""
        due_at = CALENDAR.due_at(slot, period)
        with self.ledger.writing(is_simulated=False, now=due_at) as connection:
            self.ledger.record_effects(connection, slot, period, due_at, due_at)
        self.ledger.record_finished(slot, period, due_at)

    def evaluate(self, sensor: dg.SensorDefinition, cursor: str | None = None) -> Any:
        return sensor(dg.build_sensor_context(instance=self.instance, cursor=cursor))

    def requested(self) -> list[tuple[str | None, str | None]]:
        """Job and partition of what `catch_up` asks for now."""
        outcome = self.evaluate(sensors.catch_up)
        if isinstance(outcome, dg.SkipReason):
            return []
        return [(r.job_name, r.partition_key) for r in outcome.run_requests or []]

    def weekly(self) -> list[tuple[str | None, str | None]]:
        """Of these the weekly slots."""
        return [(job, period) for job, period in self.requested() if "weekly" in str(job)]

    def ran(
        self,
        slot: Slot,
        period: date,
        status: dg.DagsterRunStatus,
        ended_ago: timedelta = timedelta(),
    ) -> dg.DagsterRun:
        """A run of the slot, as Dagster's storage would have it."""
        run = dg.DagsterRun(
            job_name=JOBS[slot].name,
            run_id=f"00000000-0000-4000-8000-{next(_numbers):012}",
            status=dg.DagsterRunStatus.STARTED if status in FINISHED else status,
            tags={"dagster/partition": period.isoformat()},
            remote_job_origin=origins.of_job(JOBS[slot].name),
        )
        self.instance.add_run(run)
        if status in FINISHED:
            kind = dg.DagsterEventType(f"PIPELINE_{status.value}")
            ended = dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name)
            self.instance.report_dagster_event(
                ended, run.run_id, timestamp=(now() - ended_ago).timestamp()
            )
        return run

    def fail(self) -> VibesError:
        """Run the weekly alert that is due, which must fail; its error."""
        with pytest.raises(VibesError) as failed:
            self.run(Slot.WEEKLY_ALERT)
        return failed.value

    def run(self, slot: Slot) -> None:
        """The slot that was due last, over the marketplace as it stands."""
        self.market.write(self.folder / "raw")
        in_process.run_slot(slot, CALENDAR.period_of(slot, now()), self.instance)

    def deliver(self) -> None:
        """The job that `undelivered_notices` asks for."""
        self.market.write(self.folder / "raw")
        assert (
            definitions.resolve_job_def("notice_delivery")
            .execute_in_process(instance=self.instance)
            .success
        )

    def tell(self) -> Any:
        """Evaluate `failed_runs` for the newest run."""
        run = self.instance.get_runs(limit=1)[0]
        (failure,) = [
            entry.get_dagster_event()
            for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        ]
        context = dg.build_run_status_sensor_context(
            "failed_runs",
            dagster_event=failure,
            dagster_instance=self.instance,
            dagster_run=run,
        ).for_run_failure()
        return sensors.failed_runs(context)


@pytest.fixture
def daemon(
    ledger: Ledger, ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemon]:
    monkeypatch.setenv("VIBES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIBES_WAREHOUSE", str(tmp_path / "raw"))
    monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(ledger, tmp_path, instance)


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    """A mail server that sellers and operators are written to over."""
    with serving() as server:
        monkeypatch.setenv("VIBES_SMTP_URL", server.url)
        monkeypatch.setenv("VIBES_MAIL_FROM", "vibes@mail.example")
        monkeypatch.setenv("VIBES_OPERATORS", ", ".join(OPERATORS))
        yield server


def missed_weekly_slots(
    count: int, by_their_schedules_ago: timedelta = PUNCTUAL
) -> list[tuple[Slot, date]]:
    """The weekly slots that were due last, oldest first; by default none its schedule may run."""
    until = now() - by_their_schedules_ago
    due = CALENDAR.due_between(now() - 3 * WEEK, until, WEEKLY)
    return [(d.slot, d.period) for d in due[-count:]]


def named(slot: Slot, period: date) -> tuple[str, str]:
    return JOBS[slot].name, period.isoformat()


def open_before(daemon: Daemon, slot: Slot, period: date) -> None:
    daemon.open(CALENDAR.due_at(slot, period) - timedelta(minutes=1))


# --- catch_up -------------------------------------------------------------------------------------


def test_weekly_slots_are_requested_one_at_a_time_oldest_first(daemon: Daemon) -> None:
    missed = missed_weekly_slots(4)
    open_before(daemon, *missed[0])
    for slot, period in missed:
        assert daemon.weekly() == [named(slot, period)]
        daemon.finish(slot, period)
    assert daemon.weekly() == []


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
    ],
    ids=str,
)
def test_no_slot_is_requested_while_a_run_of_it_is_on_its_way(
    daemon: Daemon, status: dg.DagsterRunStatus
) -> None:
    (slot, period), _ = missed = missed_weekly_slots(2)
    open_before(daemon, *missed[0])
    daemon.ran(slot, period, status)
    assert daemon.weekly() == [], "neither it nor the one after it"


def test_a_run_of_another_slot_or_period_does_not_keep_it(daemon: Daemon) -> None:
    (slot, period), (after, its_period) = missed = missed_weekly_slots(2)
    open_before(daemon, *missed[0])
    daemon.ran(slot, period - WEEK, dg.DagsterRunStatus.STARTED)
    daemon.ran(after, its_period, dg.DagsterRunStatus.STARTED)
    assert daemon.weekly() == [named(slot, period)]


@pytest.mark.parametrize(
    ("failures", "pause_minutes"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (40, 60)],
)
def test_a_slot_that_failed_is_tried_again_after_a_growing_pause(
    daemon: Daemon, failures: int, pause_minutes: int
) -> None:
    ((slot, period),) = missed_weekly_slots(1)
    open_before(daemon, slot, period)
    pause = timedelta(minutes=pause_minutes)
    for number in range(failures - 1, 0, -1):
        daemon.ran(slot, period, dg.DagsterRunStatus.FAILURE, DAY + number * pause)
    daemon.ran(slot, period, dg.DagsterRunStatus.FAILURE, pause - timedelta(seconds=30))
    assert daemon.weekly() == []


@pytest.mark.parametrize(("failures", "pause_minutes"), [(1, 5), (2, 10), (5, 60)])
def test_and_no_later(daemon: Daemon, failures: int, pause_minutes: int) -> None:
    ((slot, period),) = missed_weekly_slots(1)
    open_before(daemon, slot, period)
    pause = timedelta(minutes=pause_minutes)
    for number in range(failures - 1, -1, -1):
        ended_ago = pause + timedelta(seconds=1) + number * DAY
        daemon.ran(slot, period, dg.DagsterRunStatus.FAILURE, ended_ago)
    assert daemon.weekly() == [named(slot, period)]


def test_of_the_daily_slots_only_the_one_that_is_not_over_is_requested(daemon: Daemon) -> None:
    daemon.open(now() - 5 * DAY)
    late = [(job, period) for job, period in daemon.requested() if "late" in str(job)]
    ((slot, period, due_at),) = [
        (due.slot, due.period, due.due_at)
        for due in CALENDAR.due_between(
            now() - DAY, now(), (Slot.LATE_ALERT, Slot.LATE_CANCELLATION)
        )
        if now() < CALENDAR.late_slot_is_over_at(due.slot, due.period)
    ]
    # Its own schedule's minutes are its schedule's.
    assert late == ([named(slot, period)] if now() - due_at > PUNCTUAL else [])


@pytest.mark.parametrize("sensor", sensors.SENSORS[:3], ids=lambda sensor: sensor.name)
@pytest.mark.parametrize("is_simulated", [True, None], ids=["simulated", "not used yet"])
def test_over_a_ledger_that_is_not_live_nothing_is_requested(
    daemon: Daemon, sensor: dg.SensorDefinition, is_simulated: bool | None
) -> None:
    if is_simulated is not None:
        daemon.open(now() - 3 * WEEK, is_simulated=is_simulated)
    skipped = daemon.evaluate(sensor)
    assert isinstance(skipped, dg.SkipReason)
    mode = "not used yet: " if is_simulated is None else "simulated: "
    assert (skipped.skip_message or "").startswith(f"The ledger of NG is {mode}")


# --- schedules beside it --------------------------------------------------------------------------


def tick(slot: Slot, at: datetime) -> dg.RunRequest | dg.SkipReason:
    context = dg.build_schedule_context(scheduled_execution_time=at)
    outcome = definitions.resolve_schedule_def(JOBS[slot].name)(context)
    assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
    return outcome


def next_due(slot: Slot) -> tuple[date, datetime]:
    (due, *_) = CALENDAR.due_between(now(), now() + WEEK + DAY, (slot,))
    return due.period, due.due_at


@pytest.mark.parametrize("slot", TIMED_SLOTS)
def test_a_schedule_on_time_requests_its_period_if_no_older_slot_is_missing(
    daemon: Daemon, slot: Slot
) -> None:
    period, due_at = next_due(slot)
    daemon.open(due_at)
    requested = tick(slot, due_at)
    assert isinstance(requested, dg.RunRequest)
    assert requested.partition_key == period.isoformat()


@pytest.mark.parametrize("slot", WEEKLY)
def test_a_weekly_schedule_skips_while_an_older_weekly_slot_is_missing(
    daemon: Daemon, slot: Slot
) -> None:
    ((missed, period),) = missed_weekly_slots(1, timedelta())
    open_before(daemon, missed, period)
    _, due_at = next_due(slot)
    skipped = tick(slot, due_at)
    assert isinstance(skipped, dg.SkipReason)
    assert f" waits for {missed} of {period}, which was due " in (skipped.skip_message or "")
    *older, _ = CALENDAR.due_between(CALENDAR.due_at(missed, period), due_at, WEEKLY)
    for due in older:
        daemon.finish(due.slot, due.period)
    assert isinstance(tick(slot, due_at), dg.RunRequest)


@pytest.mark.parametrize("slot", [Slot.LATE_ALERT, Slot.LATE_CANCELLATION])
def test_a_late_schedule_waits_for_no_weekly_slot(daemon: Daemon, slot: Slot) -> None:
    open_before(daemon, *missed_weekly_slots(1)[0])
    assert isinstance(tick(slot, next_due(slot)[1]), dg.RunRequest)


def test_a_slot_is_requested_by_its_schedule_or_by_the_sensor_never_by_both(
    daemon: Daemon,
) -> None:
    # Dagster ticks once for what it missed, at the very moment at which the sensor looks too.
    ((slot, period),) = missed_weekly_slots(1)
    open_before(daemon, slot, period)
    skipped = tick(slot, CALENDAR.due_at(slot, period))
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == (
        f"The {slot} of {period} is not done, and it is too late for this schedule: the sensor "
        "catch_up runs it, unless its day is over."
    )
    assert daemon.weekly() == [named(slot, period)]
    daemon.finish(slot, period)
    done = tick(slot, CALENDAR.due_at(slot, period))
    assert isinstance(done, dg.SkipReason)
    assert (done.skip_message or "").startswith(f"The {slot} of {period} is done already, as of ")
    assert daemon.weekly() == []


# --- failed_runs ----------------------------------------------------------------------------------

MARK = "Zanzibari"


def due_cycle() -> date:
    return CALENDAR.period_of(Slot.WEEKLY_ALERT, now())


def stale(daemon: Daemon) -> None:
    daemon.market.loads = {"order_items": "Sun 12:00", "sellers": "Mon+1 00:00"}


def faulty(daemon: Daemon) -> None:
    for item in daemon.market.raw["order_items"][-2:]:
        item["commission"] = "-1.00"


FAILURES = [
    pytest.param(stale, "the warehouse is not complete through", "raw.order_items (", id="stale"),
    pytest.param(faulty, "2 of the 82 order items of the week of", "mend the", id="bad rows"),
]


@pytest.mark.parametrize(("trouble", "begins", "holds"), FAILURES)
def test_every_operator_is_mailed_of_a_failed_slot_with_its_cause_in_its_own_words(
    daemon: Daemon, post: Post, trouble: Any, begins: str, holds: str
) -> None:
    cycle = due_cycle()
    daemon.market = troubles.market(cycle.isoformat())
    for seller in daemon.market.raw["sellers"]:
        seller["shop_name"], seller["email"] = f"{MARK} shop", f"{MARK}@shop.example"
    trouble(daemon)
    error = daemon.fail()
    assert str(error).startswith(begins)
    assert daemon.tell() is None
    assert post.copies() == dict.fromkeys(OPERATORS, 1)
    for operator in OPERATORS:
        (mail,) = post.mails_to(operator)
        assert mail["Subject"] == f"VIBES NG: weekly_alert of {cycle} failed"
        assert mail["To"] == operator
        text = mail.get_content().replace("\r\n", "\n")
        assert f"\n\n{error}\n\n" in text, "the cause, on a line of its own"
        assert holds in text
        assert daemon.instance.get_runs(limit=1)[0].run_id in text
        assert "vibes run SLOT" in text, "what to do"
        assert not {"Traceback", "StaleWarehouse", "vibes_pipeline", MARK} & set(text.split())
        assert MARK not in mail.as_string()


def test_of_an_error_that_is_not_ours_one_line_is_told(daemon: Daemon, post: Post) -> None:
    daemon.market = troubles.market(due_cycle().isoformat())
    daemon.market.write(daemon.folder / "raw")
    (daemon.folder / "home").mkdir()
    (daemon.folder / "home" / "lake").write_text("a file where a folder should be")
    with pytest.raises(NotADirectoryError):
        daemon.run(Slot.WEEKLY_ALERT)
    daemon.tell()
    text = post.mails_to(OPERATORS[0])[0].get_content().replace("\r\n", "\n")
    cause = text.split("\n\n")[1]
    assert cause.startswith("NotADirectoryError")
    assert "\n" not in cause


def test_of_a_run_whose_process_is_gone_dagster_s_words_are_told(
    daemon: Daemon, post: Post
) -> None:
    run = daemon.ran(Slot.WEEKLY_ALERT, due_cycle(), dg.DagsterRunStatus.STARTED)
    daemon.instance.report_run_failed(run, "its process is gone")
    daemon.tell()
    text = post.mails_to(OPERATORS[0])[0].get_content()
    assert "its process is gone" in text


def test_over_a_simulated_ledger_operators_are_written_to_in_the_mail_folder(
    daemon: Daemon, post: Post
) -> None:
    daemon.open(now() - WEEK, is_simulated=True)
    run = daemon.ran(Slot.WEEKLY_ALERT, due_cycle(), dg.DagsterRunStatus.STARTED)
    daemon.instance.report_run_failed(run, "its process is gone")
    daemon.tell()
    assert not post.received
    assert len(list((daemon.folder / "home" / "mail" / "new").iterdir())) == len(OPERATORS)


def test_without_operators_nobody_is_written_to(
    daemon: Daemon, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIBES_OPERATORS", " , ")
    run = daemon.ran(Slot.WEEKLY_ALERT, due_cycle(), dg.DagsterRunStatus.STARTED)
    daemon.instance.report_run_failed(run, "its process is gone")
    skipped = daemon.tell()
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "VIBES_OPERATORS is not set: nobody is written to."
    assert not post.received


@pytest.mark.parametrize(
    ("operators", "answers", "error"),
    [
        pytest.param(
            "nobody at home, day@operators.example",
            {},
            "VIBES_OPERATORS: address 1 cannot be used: it holds a space",
            id="an address that is none",
        ),
        pytest.param(
            "gone@operators.example, day@operators.example",
            {"gone@operators.example": ["550 5.1.1 no such box"]},
            "VIBES_OPERATORS: address 1 was not written to: 550 5.1.1 no such box",
            id="an address that the server does not know",
        ),
    ],
)
def test_an_operator_who_cannot_be_written_to_is_a_clear_error_and_keeps_nobody_else_from_it(
    daemon: Daemon,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    operators: str,
    answers: dict[str, list[str]],
    error: str,
) -> None:
    monkeypatch.setenv("VIBES_OPERATORS", operators)
    post.answers = answers
    run = daemon.ran(Slot.WEEKLY_ALERT, due_cycle(), dg.DagsterRunStatus.STARTED)
    daemon.instance.report_run_failed(run, "its process is gone")
    with pytest.raises(VibesError) as told:
        daemon.tell()
    assert str(told.value) == error
    assert len(post.mails_to("day@operators.example")) == 1


# --- undelivered_notices --------------------------------------------------------------------------


def test_a_notice_whose_address_was_mended_goes_out_within_ten_minutes(
    daemon: Daemon, post: Post
) -> None:
    daemon.market = troubles.market(due_cycle().isoformat())
    seller = daemon.market.raw["sellers"][0]
    mended = seller["email"]
    seller["email"] = "nobody at home"
    daemon.run(Slot.WEEKLY_ALERT)
    assert len(post.received) == troubles.SELLERS - 1

    first = daemon.evaluate(sensors.undelivered_notices)
    assert not first.run_requests, "nothing was mended yet"

    seller["email"] = mended
    daemon.market.write(daemon.folder / "raw")
    looked_at = datetime.fromisoformat(first.cursor)
    soon = daemon.evaluate(sensors.undelivered_notices, first.cursor)
    assert isinstance(soon, dg.SkipReason), "the warehouse is not read every minute"
    assert (soon.skip_message or "").startswith("1 notices are open: none is due for another ")
    later = (looked_at - sensors.MENDING_CHECKED_EVERY).isoformat()
    again = daemon.evaluate(sensors.undelivered_notices, later)
    assert len(again.run_requests) == 1
    waits = sensors.MENDING_CHECKED_EVERY + timedelta(
        seconds=sensors.undelivered_notices.minimum_interval_seconds or 0
    )
    assert waits < timedelta(minutes=10)
    daemon.deliver()
    assert len(post.mails_to(mended)) == 1
    done = daemon.evaluate(sensors.undelivered_notices, again.cursor)
    assert isinstance(done, dg.SkipReason)
    assert done.skip_message == "No notice is open."


def test_notices_kept_for_want_of_a_server_go_out_once_there_is_one(
    daemon: Daemon, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIBES_SMTP_URL")
    daemon.market = troubles.market(due_cycle().isoformat())
    daemon.run(Slot.WEEKLY_ALERT)
    assert not daemon.evaluate(sensors.undelivered_notices).run_requests
    monkeypatch.setenv("VIBES_SMTP_URL", post.url)
    assert len(daemon.evaluate(sensors.undelivered_notices).run_requests) == 1
    daemon.deliver()
    assert len(post.received) == troubles.SELLERS
