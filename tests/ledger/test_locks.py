"""Waiting for a lock of the ledger: who waits is told for whom, and can end it."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from patience import PATIENCE_SECONDS

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import database, locks
from vibes_pipeline.ledger.ledger import STATE_LOCK, Ledger
from vibes_pipeline.ledger.notices import only_sender

NOW = datetime(2026, 11, 18, 6, tzinfo=UTC)


def test_who_waits_too_long_is_told_for_whom(ledger: Ledger) -> None:
    with (
        ledger.writing(is_simulated=True, now=NOW),
        ledger.engine.connect() as second,
        pytest.raises(LedgerError, match="was not free within") as failure,
    ):
        locks.take(second, STATE_LOCK + "NG", gives_up_after=timedelta(0))
    assert database.session_name() in str(failure.value)
    assert "\n" not in str(failure.value)


def test_an_interrupt_ends_the_wait_for_a_lock(ledger: Ledger) -> None:
    url = ledger.engine.url.render_as_string(hide_password=False)
    program = (
        "import sqlalchemy as sa\n"
        "from vibes_pipeline.ledger import database\n"
        "from vibes_pipeline.ledger.ledger import Ledger\n"
        "from vibes_pipeline.ledger.notices import only_sender\n"
        f"ledger = Ledger(database.connect(sa.make_url({url!r})), 'NG')\n"
        "with only_sender(ledger): pass\n"
    )
    with only_sender(ledger):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "waiting for the lock" in said
        assert database.session_name() in said
        process.send_signal(signal.SIGINT)
        # The lock is held all the while: without the interrupt the wait would go on.
        _, rest = process.communicate(timeout=PATIENCE_SECONDS)
    assert rest.splitlines()[-1] == "KeyboardInterrupt"
