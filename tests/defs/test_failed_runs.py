"""Whom a failed run is told to, and what of undelivered notices goes out again (Rulebook §2).

Over a real ledger, a real instance of Dagster and a real mail server.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from cli import troubles
from defs.sensed import (
    CALENDAR,
    OPERATORS,
    WEEK,
    Daemon,
    now,
)
from notices.mail_server import Post

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs import sensors
from vibes_pipeline.errors import VibesError

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
    assert (soon.skip_message or "").startswith("1 notice is open: none is due for another ")
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
