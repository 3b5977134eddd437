"""A delivery that is too slow for the notice of its alerts says so while it can be mended."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from ledger import made
from mail_server import Post
from outbox_sender import Addresses, PlainMails, SetClock, outbox, smtp
from patience import PATIENCE_SECONDS
from planned import freeze_for
from rules.marketplace import NIGERIA
from test_delivery import Office

from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.notices import speed
from vibes_pipeline.notices.delivery import SellerMails, deliver_notices
from vibes_pipeline.notices.directory import Directory


@dataclass(frozen=True)
class Limited(PlainMails):
    """Alerts that must be accepted within so long."""

    within: timedelta = timedelta()

    def in_time_until(self, notice: OpenNotice, at: datetime) -> datetime:
        return made.ALERT_AT + self.within


@pytest.mark.parametrize(("within", "is_told"), [(1, True), (3600, False), (-1, False)])
def test_alerts_that_go_out_too_slowly_are_told_of_once_while_it_can_be_mended(
    ledger: Ledger,
    post: Post,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
    within: int,
    is_told: bool,
) -> None:
    # Long enough that a busy machine sends some mail in it, short enough to be over before the last.
    monkeypatch.setattr(speed, "MEASURED_SECONDS", 1.0)
    freeze_for(ledger, 24)
    post.delay_seconds = 0.1
    told: list[str] = []
    known = Addresses()
    mails = Limited(known, within=timedelta(seconds=within))
    sender = outbox(ledger, smtp(post.url), clock, known, connections=1)
    sender = replace(sender, mails=mails, warn=told.append)
    assert sender.deliver() == Counter(sent=24)
    assert len(told) == is_told
    for text in told:
        assert "mails a second the last of " in text
        assert "must be accepted by 07:00: see to the relay, or raise VIBES_SMTP_RATE" in text


def test_an_alert_is_in_time_so_many_hours_before_it_takes_effect(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
    (weekly,) = made.open_notices(ledger)
    mails = SellerMails(ledger, NIGERIA, Directory({}, {}, {}), "vibes@mail.example")
    late = replace(weekly, kind="late_alert", period=made.ALERT_AT.date(), notice_hours=12)
    after = replace(weekly, kind="weekly_implementation", is_alert=False)
    # Saturday 09:00 less 72 hours; tonight 23:00 less 12.
    assert mails.in_time_until(weekly, made.ALERT_AT) == made.local("2026-11-18 09:00")
    assert mails.in_time_until(late, made.ALERT_AT) == made.local("2026-11-18 11:00")
    assert mails.in_time_until(after, made.ALERT_AT) is None


def test_a_warning_reaches_the_log_the_caller_and_operators(
    ledger: Ledger,
    tmp_path: Path,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(speed, "MEASURED_SECONDS", 0.1)
    post.delay_seconds = 0.3
    given = {
        "VIBES_MAIL_CATCHER_URL": post.url,
        "VIBES_SMTP_CONNECTIONS": "1",
        "VIBES_OPERATORS": "night@operators.example",
    }
    office = Office(ledger, tmp_path, given)
    made.freeze_cycle(ledger, [made.charge(f"S-{n}", f"I{n}") for n in (1, 2, 3)])
    told: list[str] = []
    just_before = SetClock(made.local("2026-11-18 08:59") + timedelta(seconds=59.9))
    with caplog.at_level(logging.WARNING):
        deliver_notices(
            ledger,
            NIGERIA,
            office.settings,
            just_before,
            slot_now=just_before.at,
            warn=told.append,
        )
    (text,) = told
    assert "must be accepted by 09:00" in text
    assert text in caplog.messages
    for thread in threading.enumerate():
        if thread.name == "operators":
            thread.join(PATIENCE_SECONDS)
    (mail,) = post.mails_to("night@operators.example")
    assert mail["Subject"] == "VIBES NG: alerts go out too slowly"
    assert " ".join(text.split()) in " ".join(str(mail.get_content()).split())
