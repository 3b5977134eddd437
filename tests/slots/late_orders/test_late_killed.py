"""Late slots killed at any point and run again: the ledger is that of an undisturbed run.

The commands are the real ones, each a process that gets SIGKILL; the mail server takes its time, so
that some die while a mail is on its way (Rulebook §2, §9).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from notices.mail_server import Post, serving
from rules.marketplace import Item
from served import cloned
from slots.late_orders.days import Days
from slots.late_orders.vibes_processes import Processes, vibes_processes
from slots.whole_slots import address

from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger

SELLERS = [f"S-{number}" for number in range(10)]
DAY = "2026-11-12"
ALERT = ("run", "late-alert", "--at", f"{DAY}T06:00")
CANCELLATION = ("run", "late-cancellation", "--at", f"{DAY}T23:00")

# What must be the same, whenever slots were killed: all but the attempts that came to nothing.
SAME = {
    "actions": "SELECT * FROM ledger.actions ORDER BY action_id",
    "events": """
        SELECT action_id, state, at, cause, notice_id FROM ledger.action_events
        ORDER BY action_id, at, state
    """,
    "notices": "SELECT * FROM ledger.notices ORDER BY notice_id",
    "what they list": "SELECT * FROM ledger.notice_actions ORDER BY notice_id, action_id",
    "what was accepted": """
        SELECT notice_id, at, code FROM ledger.deliveries WHERE status = 'sent'
        ORDER BY notice_id
    """,
    "slots": "SELECT * FROM ledger.slots ORDER BY slot, period",
    "the feed": "SELECT * FROM ledger.cancellations ORDER BY order_item_id",
}
# A slot's moments, each after the one before it: it is killed when it comes to the next.
MARKS = {
    "the ledger has its effects": "SELECT count(*) = 1 FROM ledger.slots WHERE slot = :slot",
    "a mail is on its way": """
        SELECT count(*) > 0 FROM ledger.notice_states
        WHERE kind = :kind AND status IN ('sending', 'sent')
    """,
    "half the mails are accepted, among them those resent": """
        SELECT count(*) FILTER (WHERE status = 'sent') * 2 >= count(*)
            AND count(*) FILTER (WHERE unknowns > 0 AND status <> 'sent') = 0
            AND count(*) > 0
        FROM ledger.notice_states WHERE kind = :kind
    """,
    "all are accepted": """
        SELECT count(*) > 0 AND count(*) FILTER (WHERE status <> 'sent') = 0
        FROM ledger.notice_states WHERE kind = :kind
    """,
}
RANDOM_KILLS = 1


def furnish(days: Days) -> None:
    """Sellers each with an item overdue in either state, some of which are updated in time."""
    for number, seller in enumerate(SELLERS):
        days.seller(seller)
        days.pending_item(f"I-pending-{seller}", Item(pending_at="Wed 09:00"), seller=seller)
        ready = Item(pending_at="Tue 09:00", ready_to_ship_at="Wed 10:00")
        if number % 3 == 0:
            ready["shipped_at"] = "Thu 12:00"
        days.pending_item(f"I-ready-{seller}", ready, seller=seller)


@pytest.fixture
def killed_database(administration: sa.Engine) -> Iterator[sa.URL]:
    """A second ledger's database: that of the slots that are killed."""
    with cloned(administration) as url:
        yield url


def test_slots_killed_again_and_again_leave_the_ledger_of_an_undisturbed_day(
    ledger: Ledger, killed_database: sa.URL, tmp_path: Path
) -> None:
    undisturbed = Days(ledger, tmp_path / "undisturbed")
    furnish(undisturbed)
    undisturbed.late_alert("Thu 06:00")
    undisturbed.late_cancel("Thu 23:00")

    home = tmp_path / "killed"
    killed = Ledger(database.connect(killed_database), "NG")
    with serving(Post(delay_seconds=0.2)) as post:
        environment = {
            "VIBES_HOME": str(home),
            "VIBES_WAREHOUSE": str(undisturbed.market.write(home / "raw")),
            "VIBES_POSTGRES_URL": killed_database.render_as_string(hide_password=False),
            "VIBES_MAIL_CATCHER_URL": post.url,
        }
        with vibes_processes(environment) as vibes:
            for command, kind in ((ALERT, "late_alert"), (CANCELLATION, "late_cancellation")):
                kill_again_and_again(vibes, killed, command, kind)
                assert vibes.start(*command).wait() == 0
            out = tmp_path / "feed.parquet"
            export = ("export", "cancellations", "--day", DAY, "--out", str(out))
            assert vibes.start(*export).wait() == 0

        for what, query in SAME.items():
            assert rows(killed, query) == rows(ledger, query), what
        assert rows(killed, "SELECT count(*) FROM ledger.deliveries WHERE status = 'unknown'") != [
            (0,)
        ], "no mail was on its way when its sender died"
        # A mail whose answer was lost goes out once more; no other does.
        copies = Counter(post.copies())
        lost = rows(
            killed,
            "SELECT seller_id, count(*) FROM ledger.deliveries JOIN ledger.notices n "
            "USING (notice_id) WHERE status = 'unknown' GROUP BY seller_id",
        )
        again = {address(seller): count for seller, count in lost}
        assert all(2 <= copies[to] <= 2 + again.get(to, 0) for to in map(address, SELLERS))
        assert pl.read_parquet(out)["order_item_id"].to_list() == [
            row["order_item_id"] for row in undisturbed.feed()
        ]
    killed.close()


def kill_again_and_again(
    vibes: Processes, ledger: Ledger, command: tuple[str, ...], kind: str
) -> None:
    """At random points before it took effect, then each time it comes to the next mark."""
    chance = random.Random(kind)
    longest = 2.0
    for _ in range(RANDOM_KILLS):
        process = vibes.start(*command)
        moment = time.monotonic() + chance.uniform(0.0, longest)
        # Once mails are on their way the marks decide: a mail lost twice waits for a person.
        while time.monotonic() < moment and not is_reached(ledger, MAILING, command, kind):
            time.sleep(0.01)
        process.kill()
    for mark in MARKS.values():
        process = vibes.start(*command)
        while not is_reached(ledger, mark, command, kind) and not process.is_over():
            time.sleep(0.005)
        process.kill()
        assert is_reached(ledger, mark, command, kind), f"{command} ended before its mark:{mark}"


MAILING = MARKS["a mail is on its way"]


def is_reached(ledger: Ledger, mark: str, command: tuple[str, ...], kind: str) -> bool:
    with ledger.reading() as connection:
        given = {"slot": command[1], "kind": kind}
        used = {name: value for name, value in given.items() if f":{name}" in mark}
        return bool(connection.execute(sa.text(mark), used).scalar())


def rows(ledger: Ledger, query: str) -> list[tuple[Any, ...]]:
    with ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]
