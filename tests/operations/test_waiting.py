"""What waits as of an instant: every cause is counted, dated, priced and named, in one ledger."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from ledger import made
from operations.scene import HELD, HOSTILE, NOW, OVER, WITHIN
from rules.marketplace import NIGERIA

from vibes_pipeline.cli.main import cli
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.operations.causes import TOLD, Cause
from vibes_pipeline.operations.waiting import Waits, what_waits
from vibes_pipeline.settings import Settings


@pytest.fixture(scope="module")
def found(crowded: Ledger, settings: Settings) -> dict[Cause, Waits]:
    """What waits of a ledger in which something waits for every cause."""
    return {waits.cause: waits for waits in what_waits(crowded, settings, NIGERIA, NOW)}


# Their mails were not handled, or they have not begun.
SLOTS = (
    "weekly-alert of 2026-11-09",
    "weekly-implementation of 2026-11-09",
    "late-alert of 2026-11-23",
)
CASES = [
    # cause, count, since, naira at stake, the oldest few
    (Cause.SLOTS_LATE, 3, made.ALERT_AT, None, SLOTS),
    (Cause.CLAIMS_OVER_TARGET, 1, OVER, "1000.00", ("C-over",)),
    (Cause.CLAIMS_WITHIN_TARGET, 4, WITHIN, "2000.00", (HOSTILE, "C-1", HELD)),
    (Cause.ACCOUNT_REVIEWS, 2, made.ALERT_AT, None, ("S-1", "S-2")),
    (Cause.UNDECIPHERABLE, 1, made.IMPLEMENT_AT, None, ("C-8",)),
    (Cause.UNMATCHED_CLAIMS, 1, made.IMPLEMENT_AT, None, ("C-unmatched",)),
    (Cause.MISSING_EVIDENCE, 1, made.IMPLEMENT_AT, "3000.00", None),
    (Cause.COUNTERFEITS_NOT_NOTIFIED, 1, WITHIN, None, ("K-1",)),
    (Cause.NOTICES_WITHOUT_ADDRESS, 1, made.ALERT_AT, "1500.00", ("no address",)),
    (Cause.NOTICES_REFUSED, 1, made.ALERT_AT, "1500.00", ("refused",)),
    (Cause.NOTICES_UNKNOWN, 1, made.ALERT_AT, "1500.00", ("lost",)),
    (Cause.NOTICES_STORED, 1, made.ALERT_AT, "1500.00", ("stored",)),
    (Cause.NOTICES_DEFERRED, 1, made.ALERT_AT, "1500.00", ("later",)),
    (Cause.COUNTERFEITS_HELD, 1, WITHIN, None, (HELD,)),
    (Cause.OLDER_OPEN_ITEMS, 4, OVER, None, ("S-1", "S-2")),
    (Cause.BAD_ROWS, 2, None, None, ("order_items: price is null",)),
]


@pytest.mark.parametrize(
    ("cause", "count", "since", "amount", "sample"), CASES, ids=[str(case[0]) for case in CASES]
)
def test_what_waits_is_counted_dated_priced_and_named(
    found: dict[Cause, Waits],
    cause: Cause,
    count: int,
    since: datetime | None,
    amount: str | None,
    sample: tuple[str, ...] | None,
) -> None:
    waits = found[cause]
    told = (waits.count, waits.oldest_at, waits.amount)
    assert told == (count, since, None if amount is None else Decimal(amount))
    if sample is not None:
        assert waits.sample == sample


def test_every_cause_has_a_row_in_the_order_of_the_causes(found: dict[Cause, Waits]) -> None:
    assert list(found) == list(Cause) == list(TOLD)


@pytest.mark.parametrize("command", sorted({told.look_at for told in TOLD.values()}))
def test_the_command_to_go_to_is_one(command: str) -> None:
    program, *given = shlex.split(command)
    assert program == "vibes"
    asked = CliRunner().invoke(cli, [*given, "--help"])
    assert asked.exit_code == 0, asked.output


def test_of_a_ledger_that_is_not_used_nothing_waits(ledger: Ledger, tmp_path: Path) -> None:
    settings = Settings.from_environment({"VIBES_HOME": str(tmp_path)})
    waiting = what_waits(ledger, settings, NIGERIA, NOW)
    assert [waits.count for waits in waiting] == [0] * len(Cause)


def test_a_slot_is_not_late_while_its_own_schedule_may_run_it(
    ledger: Ledger, settings: Settings
) -> None:
    made.open_ledger(ledger, "2026-11-23 05:00", is_simulated=True)
    due_at = made.local("2026-11-23 06:00")
    for after, count in ((timedelta(minutes=1), 0), (timedelta(minutes=3), 1)):
        assert what_waits(ledger, settings, NIGERIA, due_at + after)[0].count == count
