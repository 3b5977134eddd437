"""Processes that word mails: the same mails as without them, and an end that leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mail_reader import PROGRAMME
from notice_samples import MESSAGE_DATE, PERIOD, SENDER, gallery
from patience import PATIENCE_SECONDS

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices import workshop
from vibes_pipeline.notices.mail import Unbuilt
from vibes_pipeline.notices.message import Wording, composed
from vibes_pipeline.notices.workshop import Workshop, processes_for

NOTICES = [notice for notice in gallery().values() if notice.period == PERIOD]
WORDING = Wording(NOTICES, {PERIOD: PROGRAMME}, SENDER, MESSAGE_DATE)


@pytest.fixture(scope="module")
def one_process() -> Iterator[Workshop]:
    opened = Workshop(1)
    yield opened
    opened.close()


def test_a_process_words_the_same_mails(one_process: Workshop) -> None:
    ahead = [one_process.word(WORDING) for _ in range(3)]
    expected = composed(WORDING)
    assert [worded.result(30) for worded in ahead] == [expected] * 3


def test_a_mail_that_cannot_be_built_keeps_no_other_back(one_process: Workshop) -> None:
    spoilt = replace(NOTICES[0], address=None)
    wording = replace(WORDING, notices=[spoilt, NOTICES[1]])
    unbuilt, built = one_process.word(wording).result(30)
    assert isinstance(unbuilt, Unbuilt)
    assert "there is none" in unbuilt.cause
    assert [built] == composed(replace(WORDING, notices=[NOTICES[1]]))


def test_a_signal_to_all_processes_ends_only_the_one_that_handles_it(
    one_process: Workshop,
) -> None:
    (process,) = one_process._processes
    one_process.word(WORDING).result(30)
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    assert one_process.word(WORDING).result(30) == composed(WORDING)


def test_a_process_that_was_killed_is_one_clear_error() -> None:
    opened = Workshop(1)
    (process,) = opened._processes
    process.kill()
    process.wait()
    with pytest.raises(MailError, match=r"^a process that words mails has ended before its time"):
        opened.word(WORDING).result(30)
    opened.close()


def test_no_process_outlives_the_one_that_started_it() -> None:
    program = (
        "from vibes_pipeline.notices.workshop import Workshop\n"
        "print(*(p.pid for p in Workshop(2)._processes), flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert parent.stdout is not None
    started = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    until = time.monotonic() + PATIENCE_SECONDS
    while any(_lives(pid) for pid in started):
        assert time.monotonic() < until, "a process goes on without its parent"
        time.sleep(0.02)


def _lives(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_few_mails_start_no_process() -> None:
    assert processes_for(3) == 0
    assert processes_for(workshop.WORTH_A_PROCESS) == len(os.sched_getaffinity(0))
