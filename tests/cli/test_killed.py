"""A slot killed half-way and run again ends as if nothing had happened (Design §3, ledger, outbox).

What is killed is a process of the command, without a chance to clean up, at a point that it has
visibly reached; what is run again sees only what that one left in database and files.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, new_shell
from notices.relay import SILENT, Relay, relaying
from patience import PATIENCE_SECONDS
from rules.marketplace import Marketplace
from slots.late_orders.vibes_processes import Processes, vibes_processes

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger.ledger import Ledger

SELLERS = 80  # enough for a kill between the first mail and the last
ALERT = ("run", "weekly-alert", "--at", troubles.ALERT_AT)
IMPLEMENTATION = ("run", "weekly-implementation", "--at", troubles.IMPLEMENTATION_AT)
LOOK_EVERY_SECONDS = 0.002

# What a disturbed ledger must share with an undisturbed one: everything but the attempts to send.
COMPARED = {
    "actions": "SELECT action_id, rule, seller_id, amount, evidence::TEXT FROM ledger.actions",
    "events": "SELECT action_id, state, at, cause, notice_id FROM ledger.action_events",
    "postings": "SELECT * FROM ledger.postings",
    "notices": "SELECT * FROM ledger.notices",
    "what notices list": "SELECT * FROM ledger.notice_actions",
    "cycles": "SELECT * FROM ledger.cycles",
    "slots": "SELECT * FROM ledger.slots",
    "accepted": "SELECT notice_id, at, code FROM ledger.deliveries WHERE status = 'sent'",
}


@pytest.fixture(scope="module")
def busy_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many sellers, each with a returned item and so with a mail."""
    market = Marketplace(week=troubles.CYCLE)
    for number in range(SELLERS):
        seller = f"S-{number:03}"
        market.seller(seller_id=seller, email=f"{seller}@shop.example")
        market.item(
            {
                **troubles.OLD,
                "seller_id": seller,
                "sku": market.product(seller, sku=f"K-{number:03}"),
                "order_item_id": f"I-{number:03}",
                "order_number": f"O-{number:03}",
                "returned_at": "Tue 10:00",
                "return_reason": "wrong_item",
            }
        )
    return market.write(tmp_path_factory.mktemp("busy"))


@pytest.fixture
def busy(
    administration: sa.Engine, with_dagster: str, busy_warehouse: Path, tmp_path: Path
) -> Iterator[Shell]:
    with new_shell(administration, with_dagster, busy_warehouse, tmp_path) as shell:
        yield shell


@pytest.fixture(scope="module")
def undisturbed(
    administration: sa.Engine,
    with_dagster: str,
    busy_warehouse: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Counter[tuple[object, ...]]]:
    """The ledger after both slots, neither of them disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with new_shell(administration, with_dagster, busy_warehouse, folder) as shell:
        for at in (troubles.ALERT_AT, troubles.IMPLEMENTATION_AT):
            assert shell("replay", "--from", at, "--until", at).status == 0
        return contents(shell)


def lake(shell: Shell, file: str) -> Path:
    return shell.home / "lake" / "NG" / "weekly-alert" / troubles.CYCLE / file


def mails(shell: Shell) -> list[Path]:
    return sorted((shell.home / "mail" / "new").glob("*"))


def is_recorded(slot: str) -> Callable[[Shell, Ledger], bool]:
    def look(shell: Shell, ledger: Ledger) -> bool:
        with ledger.reading() as connection:
            query = sa.text("SELECT 1 FROM ledger.slots WHERE slot = :slot")
            return connection.execute(query, {"slot": slot}).scalar() is not None

    return look


# Which slot is killed, once what can be seen that the kill before has not left. Amid the mails of a
# slot it is killed but once: a mail whose answer is unknown a second time waits for a person.
KILLS: list[tuple[tuple[str, ...], Callable[[Shell, Ledger], bool]]] = [
    (ALERT, lambda shell, ledger: lake(shell, "decisions/proposal.parquet").exists()),
    (ALERT, lambda shell, ledger: len(mails(shell)) > 0),
    (IMPLEMENTATION, is_recorded("weekly-implementation")),
    (IMPLEMENTATION, lambda shell, ledger: len(mails(shell)) > SELLERS),
]


def test_slots_killed_again_and_again_end_as_if_undisturbed(
    busy: Shell, undisturbed: dict[str, Counter[tuple[object, ...]]]
) -> None:
    with vibes_processes(busy.set_environment) as vibes:
        for slot in (ALERT, IMPLEMENTATION):
            for is_reached in (look for killed, look in KILLS if killed is slot):
                kill_once(vibes, busy, slot, is_reached)
                assert not is_finished(busy, slot), "the kill came too late to disturb anything"
            outcome = busy(*slot)
            assert (outcome.status, outcome.err) == (0, "")

    after = contents(busy)
    for what, rows in undisturbed.items():
        assert after[what] == rows, what
    assert len(mails(busy)) == 2 * SELLERS
    assert len({mail.read_bytes() for mail in mails(busy)}) == 2 * SELLERS


def test_a_slot_that_is_interrupted_ends_without_a_traceback(busy: Shell) -> None:
    process = busy.start(*ALERT)
    while not lake(busy, "warehouse/sellers.parquet").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(LOOK_EVERY_SECONDS)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "Traceback" not in err


def test_a_slot_terminated_while_mails_are_under_way_does_not_wait_for_a_silent_relay(
    busy: Shell,
) -> None:
    with relaying(Relay(says={"END": SILENT})) as relay:
        shell = busy.with_(VIBES_MAIL_CATCHER_URL=relay.url)
        process = shell.start(*ALERT)
        for _ in range(4):  # connections
            assert relay.is_waiting.acquire(timeout=PATIENCE_SECONDS), process.communicate()[1]
        struck_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
        # Of ten minutes that the relay has to answer; a busy machine is slow to end a process.
        assert time.monotonic() - struck_at < 20
    assert process.returncode == 1
    assert "Traceback" not in err, err
    assert len(relay.mails) == 4
    ledger = busy.ledger()
    with ledger.reading() as connection:
        query = sa.text("SELECT status, count(*) FROM ledger.notice_states GROUP BY status")
        assert dict(connection.execute(query).fetchall()) == {"unknown": 4, "queued": SELLERS - 4}
    ledger.close()


def kill_once(
    vibes: Processes,
    shell: Shell,
    command: tuple[str, ...],
    is_reached: Callable[[Shell, Ledger], bool],
) -> None:
    ledger = shell.ledger()
    process = vibes.start(*command)
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_reached(shell, ledger):
        assert not process.is_over(), f"ended by itself: {process.wait()}"
        assert time.monotonic() < give_up_at, "never came so far"
        time.sleep(LOOK_EVERY_SECONDS)
    process.kill()
    ledger.close()


def is_finished(shell: Shell, slot: tuple[str, ...]) -> bool:
    ledger = shell.ledger()
    finished: bool = ledger.is_finished(Slot(slot[1]), date.fromisoformat(troubles.CYCLE))
    ledger.close()
    return finished


def contents(shell: Shell) -> dict[str, Counter[tuple[object, ...]]]:
    """The ledger's rows, as often as they occur."""
    ledger = shell.ledger()
    with ledger.reading() as connection:
        rows = {
            what: Counter(map(tuple, connection.execute(sa.text(query))))
            for what, query in COMPARED.items()
        }
    ledger.close()
    return rows
