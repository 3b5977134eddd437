"""`vibes status` as a person and as a monitor ask it, over what Dagster itself has recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

from cli.shell import Shell
from ledger import made
from rules.marketplace import NIGERIA

from vibes_pipeline.clock import WallClock
from vibes_pipeline.slots.catch_up import missing_slots


def test_what_is_not_opened_yet_is_told_and_wakes_nobody(shell: Shell) -> None:
    outcome = shell("status")
    assert (outcome.status, outcome.err) == (0, "")
    first, second, *_ = outcome.out.splitlines()
    assert first.startswith("ATTENTION  No slot is late; 1 thing to look at  (")
    assert second.startswith("  attention: the ledger is not opened: ")
    document = json.loads(shell("status", "--format", "json").out)
    assert document["verdict"] == "attention"
    assert {slot["state"] for slot in document["slots"]} == {"not_due", "done"}
    assert shell("status", "--format", "yaml").status == 2


def test_a_slot_whose_run_failed_is_told_with_its_reason_and_exit_status_1(shell: Shell) -> None:
    ledger, now = shell.ledger(), WallClock().now()
    opened_at = (now - timedelta(days=8)).astimezone(made.LAGOS)
    made.open_ledger(ledger, f"{opened_at:%Y-%m-%d %H:%M}")
    oldest = next(d for d in missing_slots(ledger, NIGERIA, now) if d.slot.is_weekly)
    ledger.close()
    gone = shell.with_(VIBES_WAREHOUSE=shell.folder / "gone.duckdb")
    assert gone("run", oldest.slot).status == 1

    told = gone("status", "--format", "json")
    assert told.status == 1
    document = json.loads(told.out)
    (failed,) = [slot for slot in document["slots"] if slot["state"] == "failed"]
    assert (failed["slot"], failed["period"]) == (oldest.slot, oldest.period.isoformat())
    assert failed["last_run"]["failures"] == 1
    why = f"there is no warehouse at {shell.folder / 'gone.duckdb'}; "
    assert failed["last_run"]["why"].startswith(why)
    (point,) = [p for p in document["points"] if p["run_id"]]
    assert point["text"].startswith(f"{oldest.slot} of {oldest.period} failed ")
    assert why in point["text"]
    assert gone("status").out.startswith("FAILING  ")


def test_no_dagster_is_imported_for_it(shell: Shell) -> None:
    asked = (
        "import sys; from vibes_pipeline.cli.main import cli; "
        "cli(['status'], standalone_mode=False)"
    )
    ended = "import atexit, sys; atexit.register(lambda: print('dagster' in sys.modules)); "
    done = subprocess.run(
        [sys.executable, "-c", ended + asked],
        env=shell.full_environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"
