"""The morning's mail in Dagster, and that a failed slot is told of once for each cause (§17)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from defs.sensed import CALENDAR, OPERATORS, Daemon, now
from ledger import made
from notices.mail_server import Post
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import Slot
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import operators
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.errors import MailError
from vibes_pipeline.operations import morning

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
NOBODY_LISTENS = "smtp://127.0.0.1:1"


def run(daemon: Daemon) -> bool:
    job = definitions.resolve_job_def("operators_mail")
    return job.execute_in_process(instance=daemon.instance, raise_on_error=False).success


def put_back(daemon: Daemon, by: timedelta) -> None:
    """As if all attempts had been made that much earlier; only who owns the database can do it."""
    with daemon.ledger.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            sa.text("UPDATE ledger.operators_deliveries SET at = at - :by"), {"by": by}
        )


def skipped(outcome: Any) -> str:
    assert isinstance(outcome, dg.SkipReason)
    return outcome.skip_message or ""


# --- the morning's mail ---------------------------------------------------------------------------


def test_it_is_wanted_from_its_time_on_until_it_is_planned(daemon: Daemon, post: Post) -> None:
    country = Country(NIGERIA)
    due_at = made.local("2026-11-27 07:30")

    def why_not(at: Any, patience: timedelta = timedelta()) -> str | None:
        return operators.why_no_mail_to_operators(country, at, patience)

    assert why_not(due_at) == "The ledger of NG is not used yet: its first slot opens it."
    made.open_ledger(daemon.ledger, "2026-11-20 05:00")
    assert why_not(due_at - MINUTE) == "The mail of 2026-11-27 is due at 07:30."
    assert why_not(due_at + MINUTE, 2 * MINUTE) == "The mail of 2026-11-27 is due at 07:30."
    assert why_not(due_at) is None
    assert why_not(due_at + 2 * MINUTE, 2 * MINUTE) is None
    seen = morning.look(daemon.ledger, country.settings, NIGERIA, due_at)
    morning.plan(daemon.ledger, country.settings, NIGERIA, seen)
    assert (why_not(due_at + DAY / 2) or "").startswith("The mail of 2026-11-27 is in the ledger")
    assert why_not(due_at + DAY) is None


def test_its_job_sends_it_once_a_day_and_the_ui_has_its_figures(daemon: Daemon, post: Post) -> None:
    daemon.open(now())
    assert run(daemon)
    assert run(daemon)
    assert post.copies() == dict.fromkeys(OPERATORS, 1)
    event = daemon.instance.get_latest_materialization_event(
        dg.AssetKey(["reports", "operators_mail"])
    )
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["claims_over_target"].value == 0
    said = skipped(daemon.evaluate(operators.undelivered_operators_mails))
    assert said.startswith("No mail to operators is open. The mail of ")


def test_what_a_relay_did_not_take_the_sensor_sends_again(
    daemon: Daemon, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.open(now())
    monkeypatch.setenv("VIBES_SMTP_URL", NOBODY_LISTENS)
    assert not run(daemon), "a run that reached nobody is not green"
    assert skipped(daemon.tell()) == "The day's mail is in the ledger, and is sent again by itself."
    monkeypatch.setenv("VIBES_SMTP_URL", post.url)
    assert "No mail to operators is open." in skipped(
        daemon.evaluate(operators.undelivered_operators_mails)
    )
    put_back(daemon, MINUTE)
    assert "Mails to operators: 2 sent." in skipped(
        daemon.evaluate(operators.undelivered_operators_mails)
    )
    assert post.copies() == dict.fromkeys(OPERATORS, 1)


def test_over_a_simulated_ledger_no_schedule_sends_it(daemon: Daemon, post: Post) -> None:
    daemon.open(now() - DAY, is_simulated=True)
    assert "is simulated" in skipped(daemon.evaluate(operators.undelivered_operators_mails))
    assert not post.received


# --- a run that failed ----------------------------------------------------------------------------


def due_cycle() -> date:
    return CALENDAR.period_of(Slot.WEEKLY_ALERT, now())


def fail(daemon: Daemon, why: str, period: date | None = None) -> Any:
    """The weekly alert of the period, by default of the one that is due, fails; what is said."""
    attempt = daemon.ran(Slot.WEEKLY_ALERT, period or due_cycle(), dg.DagsterRunStatus.STARTED)
    daemon.instance.report_run_failed(attempt, why)
    return daemon.tell()


def test_operators_are_told_of_a_slot_that_fails_once_until_the_cause_changes(
    daemon: Daemon, post: Post
) -> None:
    assert fail(daemon, "the relay is busy (451 4.3.0 queue 7C1DE2); 5 deferred") is None
    assert f"weekly_alert of {due_cycle()} fails as before" in skipped(
        fail(daemon, "the relay is busy (451 4.3.0 queue 4F3A2B); 12 deferred")
    )
    assert post.copies() == dict.fromkeys(OPERATORS, 1)
    assert fail(daemon, "no room is left") is None
    busy = "the relay is busy (451 4.3.0 queue 99AA01); 12 deferred"
    assert fail(daemon, busy) is None, "it is back"
    assert fail(daemon, busy, due_cycle() - 7 * DAY) is None, "of another week"
    assert post.copies() == dict.fromkeys(OPERATORS, 4)


def test_operators_are_told_again_once_the_slot_was_done_in_between(
    daemon: Daemon, post: Post
) -> None:
    fail(daemon, "no room is left")
    daemon.ran(Slot.WEEKLY_ALERT, due_cycle(), dg.DagsterRunStatus.SUCCESS)
    assert fail(daemon, "no room is left") is None
    assert post.copies() == dict.fromkeys(OPERATORS, 2)


def test_a_mail_about_a_failed_slot_that_a_relay_did_not_take_is_sent_later_and_once(
    daemon: Daemon, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIBES_SMTP_URL", NOBODY_LISTENS)
    with pytest.raises(MailError):
        fail(daemon, "no room is left")
    monkeypatch.setenv("VIBES_SMTP_URL", post.url)
    assert "fails as before" in skipped(fail(daemon, "no room is left"))
    put_back(daemon, MINUTE)
    daemon.evaluate(operators.undelivered_operators_mails)
    daemon.evaluate(operators.undelivered_operators_mails)
    assert post.copies() == dict.fromkeys(OPERATORS, 1)
    assert "no room is left" in post.mails_to(OPERATORS[0])[0].get_content()
