"""The claims slot killed anywhere and run again: the ledger is that of an undisturbed run (§2, §11).

Each run is a process that gets SIGKILL: once before it writes to each table of the ledger, amid the
transaction, and once after each few claims are done; the last is killed, and run again, as the real
command. To stop it at a table, the table is locked against writing, so the process waits there until
it is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from killed.slot_process import DONE, Order, Running, start
from patience import PATIENCE_SECONDS
from served import cloned
from slots.claims.cases import STOCKLESS, Desk, new_desk
from slots.whole_slots import GOOD, OLD, rejected, returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger

AT = "Mon+2 12:00"
# In the order in which a claim's transactions come to write them.
TABLES = (
    "claim_intakes",
    "notices",
    "claim_decisions",
    "excuses",
    "action_events",
    "postings",
    "notice_actions",
)
ALL = 19  # intakes and decisions
COUNT = "SELECT (SELECT count(*) FROM ledger.claim_intakes) + (SELECT count(*) FROM ledger.claim_decisions)"
WAITING = """
    SELECT count(*) > 0 FROM pg_locks
    WHERE NOT granted AND relation = CAST(:table AS regclass)
"""


def furnish(desk: Desk) -> None:
    """Implemented actions of most rules, and what claims and decisions on accounts undo of them."""
    for number in range(3):
        seller = desk.seller(f"S-{number}")
        desk.item(seller, f"{seller}-good", GOOD)
        desk.item(seller, f"{seller}-gone", STOCKLESS)
        desk.item(seller, f"{seller}-back", returned())
        for nth in range(2):
            desk.item(seller, f"{seller}-refused-{nth}", rejected("Tue 10:00"))
    closed = desk.seller("S-closed")
    desk.market.check(desk.item(closed, "I-checked", OLD)["order_item_id"])
    desk.market.account_decision(closed, "Mon+1 10:00")
    desk.market.account_decision(closed, AT, decision="keep")
    raised = {"raised_at": "Sun+1 10:00"}
    for seller in ("S-0", "S-1"):
        for item in ("gone", "back", "refused-0"):
            number = f"C-{seller}-{item}"
            desk.claim(number, seller, order_number=f"O-{seller}-{item}", **raised)
            desk.decide(number, "upheld", "Mon+2 10:00")
    reference = desk.reference("returns_charge", "S-2-back")
    desk.upheld("C-by-reference", "S-2", "Mon+2 10:00", action_reference=reference)
    desk.claim("C-rejected", "S-2", order_number="O-S-2-gone", **raised)
    desk.decide("C-rejected", "rejected", "Mon+2 11:00")
    desk.claim("C-incomplete", "S-2", **raised)
    desk.claim("C-lost", "S-2", order_number="O-nowhere", **raised)
    desk.decide("C-lost", "upheld", "Mon+2 11:00")


@pytest.fixture
def undisturbed(administration: sa.Engine) -> Iterator[Desk]:
    """Before its claims slot."""
    with new_desk(administration) as desk:
        furnish(desk)
        desk.alert()
        desk.implement()
        yield desk


@pytest.fixture
def killed(undisturbed: Desk, administration: sa.Engine, tmp_path: Path) -> Iterator[Desk]:
    """The same, to be killed in its claims slot."""
    undisturbed.ledger.close()  # a database in use cannot be cloned
    template = undisturbed.ledger.engine.url.database
    assert template
    with cloned(administration, template) as url:
        ledger = Ledger(database.connect(url), "NG")
        home = shutil.copytree(undisturbed.home, tmp_path / "home")
        yield Desk(ledger, home, undisturbed.market)
        ledger.close()


def test_a_claims_slot_killed_again_and_again_leaves_the_ledger_of_an_undisturbed_one(
    undisturbed: Desk, killed: Desk
) -> None:
    undisturbed.settle(AT)
    environment = {
        "VIBES_HOME": str(killed.home),
        "VIBES_WAREHOUSE": str(killed.settings().warehouse),
        "VIBES_POSTGRES_URL": killed.ledger.engine.url.render_as_string(hide_password=False),
    }
    now = killed.market.at(AT)
    slot = Order(Slot.CLAIMS, now.date(), now, environment)
    command = replace(slot, is_by_command=True)
    for table in TABLES:
        kill_before_writing(slot, killed, table)
    assert count_done(killed) < ALL, "killed too late: all is done"
    for done in range(count_done(killed) + 2, ALL, 8):
        kill_when(slot, f"after {done}", lambda done=done: count_done(killed) >= done)
    kill_before_writing(command, killed, "deliveries")
    assert count_done(killed) == ALL
    assert ended(start(command)) == DONE
    once = killed.contents()
    assert ended(start(slot)) == DONE
    assert killed.contents() == once

    expected = undisturbed.contents()
    assert expected["postings"], "there was something to credit"
    for what, rows in killed.contents().items():
        assert rows == expected[what], what


def kill_before_writing(order: Order, desk: Desk, table: str) -> None:
    """Kill the slot when it waits to write to a table for the first time."""
    with locked(desk, table):
        kill_when(order, f"before {table}", lambda: is_waiting_for(desk, table))


def kill_when(order: Order, moment: str, is_reached: Callable[[], bool]) -> None:
    """Kill the slot at a moment, which it must come to before it ends."""
    process = start(order)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_reached():
        assert process.status() is None, f"it ended before its moment, {moment}"
        assert time.monotonic() < give_up_at, f"it never came to its moment, {moment}"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    ended(process)


def ended(process: Running) -> int:
    """The exit status, once there is one."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (status := process.status()) is None:
        assert time.monotonic() < give_up_at, "it does not end"
        time.sleep(0.005)
    return status


@contextmanager
def locked(desk: Desk, table: str) -> Iterator[None]:
    """Nobody can write to the table, but everybody read."""
    with desk.ledger.engine.begin() as connection:
        connection.execute(sa.text(f"LOCK TABLE ledger.{table} IN SHARE MODE"))
        yield


def is_waiting_for(desk: Desk, table: str) -> bool:
    with desk.ledger.engine.connect() as connection:
        given = {"table": f"ledger.{table}"}
        return bool(connection.execute(sa.text(WAITING), given).scalar())


def count_done(desk: Desk) -> int:
    """How many intakes and decisions the ledger holds."""
    ((done,),) = desk.rows(sa.text(COUNT))
    return int(done)
