"""How things stand, over ledgers in several states: each slot, the verdict, and the words for it.

The weeks are those of the example in Rulebook §2: the alert of 2026-11-09 is due on Wednesday, the
18th, its implementation on Saturday, the 21st.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from dagster._core.storage.runs.schema import DaemonHeartbeatsTable, RunStorageSqlMetadata
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.serdes import serialize_value
from ledger import made
from ledger.made import local
from rules.marketplace import NIGERIA
from warehouse.warehouses import DUCKDB_FILE, build

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.operations.runs import DAEMONS
from vibes_pipeline.operations.status import Sources, Status, read_status
from vibes_pipeline.operations.status_text import document, lines
from vibes_pipeline.operations.verdict import Verdict, headline, points, verdict_of
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.contract import RAW_TABLES

ALERT, SATURDAY = Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION
MORNING, NIGHT = Slot.LATE_ALERT, Slot.LATE_CANCELLATION
CYCLE = "2026-11-09"
OK, ATTENTION, FAILING = Verdict
NO_WAREHOUSE = "there is no warehouse at "
NO_DAEMON = "no daemon has ever run here: slots start only by hand"

Make = Callable[[Ledger], None]


@pytest.fixture
def source(tmp_path: Path) -> Sources:
    """A warehouse that says that it is complete through Thursday evening."""
    loads = [f"INSERT INTO raw.loads VALUES ('{t}', '2026-11-19 20:00+01')" for t in RAW_TABLES]
    return over(tmp_path, build(tmp_path, DUCKDB_FILE, *loads))


def over(folder: Path, warehouse: Path) -> Sources:
    return Sources(
        Settings.from_environment(
            {"VIBES_HOME": str(folder / "home"), "VIBES_WAREHOUSE": str(warehouse)}
        )
    )


def status_at(ledger: Ledger, source: Sources, now: str) -> Status:
    return read_status(ledger, NIGERIA, source, local(now))


def state_of(status: Status, slot: Slot) -> tuple[str, str | None]:
    (found,) = [each for each in status.slots if each.slot is slot]
    return found.state, found.period and found.period.isoformat()


def told(status: Status) -> list[tuple[Verdict, str]]:
    return [(point.verdict, point.text) for point in points(status)]


def daemon_beats(ledger: Ledger, at: str) -> None:
    """As Dagster's own daemons leave it."""
    with ledger.engine.begin() as connection:
        RunStorageSqlMetadata.create_all(connection)
        for daemon in DAEMONS:
            body = serialize_value(DaemonHeartbeat(local(at).timestamp(), daemon, None, []))
            row = {"daemon_type": daemon, "timestamp": sa.func.now(), "body": body}
            connection.execute(DaemonHeartbeatsTable.insert().values(row))


def until_thursday(ledger: Ledger, *, is_simulated: bool = False) -> None:
    """All that was due from Wednesday to Thursday morning is done."""
    made.open_ledger(ledger, "2026-11-18 05:00", is_simulated=is_simulated)
    for slot, period in (
        (MORNING, "2026-11-18"),
        (ALERT, CYCLE),
        (NIGHT, "2026-11-18"),
        (MORNING, "2026-11-19"),
    ):
        made.finish_slot(ledger, slot, period, is_simulated=is_simulated)


def live(beats_at: str) -> Make:
    def make(ledger: Ledger) -> None:
        until_thursday(ledger)
        daemon_beats(ledger, beats_at)

    return make


def skipping_a_day(ledger: Ledger) -> None:
    live("2026-11-21 08:00")(ledger)
    with ledger.engine.begin() as connection:
        connection.execute(
            sa.text("""
                INSERT INTO ledger.slots VALUES
                ('NG', 'late-cancellation', '2026-11-20', now(), now(), now(), 'skipped', 'missed')
            """)
        )
    made.finish_slot(ledger, NIGHT, "2026-11-19")
    made.finish_slot(ledger, MORNING, "2026-11-20")
    made.finish_slot(ledger, MORNING, "2026-11-21")


def with_mail(status: str) -> Make:
    """A simulated ledger with one notice in a state."""

    def make(ledger: Ledger) -> None:
        made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
        ledger.record_finished(ALERT, made.CYCLE, made.ALERT_AT)
        (notice,) = made.open_notices(ledger)
        if status != "undeliverable":
            made.record(ledger, notice, 1, "sending", made.ALERT_AT)
        made.record(ledger, notice, 1, status, made.ALERT_AT)

    return make


CASES = [
    pytest.param(
        lambda ledger: None,
        "2026-11-18 06:30",
        {ALERT: ("not_due", None), MORNING: ("not_due", None)},
        [
            (
                ATTENTION,
                "the ledger is not opened: its first slot opens it, and no slot is due before",
            )
        ],
        id="not opened",
    ),
    pytest.param(
        live("2026-11-19 20:09"),
        "2026-11-19 20:10",
        {ALERT: ("done", CYCLE), SATURDAY: ("not_due", None), NIGHT: ("done", "2026-11-18")},
        [],
        id="all is well",
    ),
    pytest.param(
        until_thursday,
        "2026-11-19 20:10",
        {MORNING: ("done", "2026-11-19")},
        [(ATTENTION, NO_DAEMON)],
        id="without a daemon",
    ),
    pytest.param(
        live("2026-11-19 20:04"),
        "2026-11-19 20:10",
        {MORNING: ("done", "2026-11-19")},
        [(FAILING, "the daemon was last heard of Thu 2026-11-19 20:04: no slot starts by itself")],
        id="the daemon is silent",
    ),
    pytest.param(
        live("2026-11-19 23:09"),
        "2026-11-19 23:10",
        {NIGHT: ("due", "2026-11-19")},
        [
            (
                ATTENTION,
                "the warehouse is not complete through 2026-11-19 22:40: "
                "raw.order_items (2026-11-19 20:00); late-cancellation needs it",
            )
        ],
        id="a slot is due, and the warehouse too stale for it",
    ),
    pytest.param(
        live("2026-11-19 23:31"),
        "2026-11-19 23:31",
        {NIGHT: ("late", "2026-11-19"), MORNING: ("done", "2026-11-19")},
        [
            (FAILING, "late-cancellation of 2026-11-19 is late: it was due Thu 2026-11-19 23:00"),
            (
                ATTENTION,
                "the warehouse is not complete through 2026-11-19 23:01: "
                "raw.order_items (2026-11-19 20:00); late-cancellation needs it",
            ),
        ],
        id="late",
    ),
    pytest.param(
        skipping_a_day,
        "2026-11-21 08:01",
        {NIGHT: ("missed", "2026-11-20"), MORNING: ("done", "2026-11-21")},
        [(ATTENTION, "late-cancellation of 2026-11-20 was missed, and its day is over")],
        id="a day was missed",
    ),
    pytest.param(
        lambda ledger: until_thursday(ledger, is_simulated=True),
        "2026-11-21 12:00",
        {SATURDAY: ("not_replayed", CYCLE), NIGHT: ("not_replayed", "2026-11-20")},
        [],
        id="on a simulated ledger nothing is late",
    ),
    pytest.param(
        with_mail("deferred"),
        "2026-11-18 07:20",
        {ALERT: ("done", CYCLE)},
        [],
        id="deferred mail is tried again",
    ),
    pytest.param(
        with_mail("deferred"),
        "2026-11-18 07:31",
        {ALERT: ("done", CYCLE)},
        [
            (
                ATTENTION,
                "1 notice on its way: tried again by itself, the oldest since Wed 2026-11-18 07:00",
            )
        ],
        id="mail deferred for long",
    ),
    pytest.param(
        with_mail("undeliverable"),
        "2026-11-18 07:20",
        {ALERT: ("done", CYCLE)},
        [
            (
                ATTENTION,
                "1 notice without a usable address: mend it in the warehouse, the oldest since "
                "Wed 2026-11-18 07:00",
            )
        ],
        id="mail that waits for a person",
    ),
]


@pytest.mark.parametrize(("make", "now", "states", "expected"), CASES)
def test_the_state_of_each_slot_and_what_is_not_well(
    ledger: Ledger,
    source: Sources,
    make: Make,
    now: str,
    states: dict[Slot, tuple[str, str | None]],
    expected: list[tuple[Verdict, str]],
) -> None:
    make(ledger)
    status = status_at(ledger, source, now)
    assert {slot: state_of(status, slot) for slot in states} == states
    assert told(status) == expected
    worst = max((verdict for verdict, _ in expected), key=[*Verdict].index, default=OK)
    assert verdict_of(points(status)) is worst
    # Both ways to show it take any status.
    assert json.loads(json.dumps(document(status)))["verdict"] == worst
    assert next(lines(status)).startswith(worst.upper())


def test_after_an_outage_the_oldest_is_named_and_how_many_wait(
    ledger: Ledger, source: Sources
) -> None:
    until_thursday(ledger)
    status = status_at(ledger, source, "2026-11-29 12:00")
    late = {slot.slot: (slot.missing, slot.period) for slot in status.slots if slot.missing}
    assert late[SATURDAY] == (2, made.CYCLE)
    words = "weekly-implementation of 2026-11-09 is late: it was due Sat 2026-11-21 09:00"
    assert f"{words}; 1 later one waits" in [text for _, text in told(status)]
    assert headline(points(status)) == "weekly-alert is late, and 2 more"
    saturday = status.slots[1]
    assert (saturday.next_period, saturday.next_due_at) == (
        made.CYCLE + 2 * made.WEEK,
        local("2026-12-05 09:00"),
    )


def test_a_slot_that_is_due_this_moment_is_not_the_next(ledger: Ledger, source: Sources) -> None:
    status = status_at(ledger, source, "2026-11-18 07:00")
    assert status.slots[0].next_due_at == local("2026-11-25 07:00")


# --- what cannot be asked -------------------------------------------------------------------------


def test_a_warehouse_that_is_missing_is_a_line(ledger: Ledger, tmp_path: Path) -> None:
    until_thursday(ledger)
    source = over(tmp_path, tmp_path / "none.duckdb")
    status = status_at(ledger, source, "2026-11-19 20:10")
    assert [text.startswith(NO_WAREHOUSE) for _, text in told(status)] == [False, True]
    assert verdict_of(points(status)) is ATTENTION


def test_a_warehouse_that_is_being_written_is_busy_and_no_fault(
    ledger: Ledger, source: Sources
) -> None:
    file = source.settings.warehouse
    writes = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", writes, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as loader:
        assert loader.stdout is not None
        loader.stdout.readline()
        status = status_at(ledger, source, "2026-11-18 06:30")
        loader.communicate(b"\n")
    assert status.warehouse.is_busy
    assert "is locked by another process" in str(status.warehouse.fault)
    assert len(points(status)) == 1, "only that the ledger is not opened"


def test_the_warehouse_is_read_once_a_load(ledger: Ledger, source: Sources) -> None:
    first = source.warehouse.read()
    assert source.warehouse.read() is first
    other = source.settings.warehouse.with_name("other.duckdb")
    other.write_bytes(source.settings.warehouse.read_bytes())
    other.replace(source.settings.warehouse)
    assert source.warehouse.read() is not first


def test_a_ledger_of_another_revision_is_told_and_not_asked(
    ledger: Ledger, source: Sources
) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE ledger_version SET version_num = '0007'"))
        connection.execute(sa.text("DROP SCHEMA ledger CASCADE"))
    status = status_at(ledger, source, "2026-11-18 06:30")
    ((verdict, text),) = told(status)
    assert verdict is FAILING
    assert text.startswith("the ledger is at revision 0007, this version needs ")
    assert [*lines(status)][1].endswith("[vibes migrate]")


def test_a_ledger_out_of_reach_is_the_status(
    administration: sa.Engine, ledger: Ledger, source: Sources
) -> None:
    with administration.connect() as connection:
        connection.execute(
            sa.text(f"ALTER DATABASE {ledger.engine.url.database} WITH ALLOW_CONNECTIONS false")
        )
        ledger.engine.dispose()
        status = status_at(ledger, source, "2026-11-18 06:30")
    ((verdict, text),) = told(status)
    assert verdict is FAILING
    assert text.startswith("PostgreSQL went away: ")
    assert document(status)["ledger"]["mode"] is None


def test_no_seller_is_named(ledger: Ledger, source: Sources) -> None:
    with_mail("undeliverable")(ledger)
    status = status_at(ledger, source, "2026-11-18 08:00")
    shown = json.dumps(document(status)) + "\n".join(lines(status))
    assert "S-1" not in shown
