"""A draft policy against history: every cycle decided twice, and what differs (Rulebook §16).

Here belong what may be simulated, what both sides share, and their outcome. Both sides have homes,
and databases of one server, in a folder under `VIBES_HOME` that is removed in the end: nothing of
the real ledger, its lake or its key is read or written; the decisions that people recorded in it
are handed in. The warehouse is read once, into that folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline import parquet
from vibes_pipeline.answers import differences, snapshot
from vibes_pipeline.answers.side import Side, SideProcess
from vibes_pipeline.calendar import WEEK, DueSlot, Slot, monday_of, require_monday
from vibes_pipeline.errors import UsageError, WarehouseError
from vibes_pipeline.files import held
from vibes_pipeline.interrupts import termination_as_interrupt
from vibes_pipeline.keys import home_key
from vibes_pipeline.ledger import database, embedded
from vibes_pipeline.memory import in_mebibytes
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.simulation import Simulation
from vibes_pipeline.rules import LATE_RULES, WEEKLY_RULES
from vibes_pipeline.settings import DUCKDB, Settings
from vibes_pipeline.slots.replay import due_slots
from vibes_pipeline.warehouse.contract import INSTANT_BOUNDS
from vibes_pipeline.warehouse.source import Warehouse

SIDES = ("before", "after")
LATE_SLOTS = (Slot.LATE_ALERT, Slot.LATE_CANCELLATION)
# What DuckDB needs for one side, so that it does not spill all the time.
LEAST_MEBIBYTES = 1024
# What is thrown away need not survive a power cut; and its rows are counted by a tenth of the usual
# sample, for they are counted anew with every cycle.
HASTE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "default_statistics_target": "10",
}
# What both policies must have in common: else they are two programmes, not two policies of one.
SHARED = ("country", "currency", "time_zone")

# The guards and foreign keys of a ledger refuse what slots never do, and cost as much as all that
# slots record. What is thrown away needs none, nor a log of all that is written; the triggers that
# keep tables up to date stay.
THROWN_AWAY = """
DO $$
DECLARE
    guard RECORD;
BEGIN
    FOR guard IN
        SELECT CAST(t.tgrelid AS regclass) AS place, t.tgname AS name
        FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE c.relnamespace = CAST('ledger' AS regnamespace) AND starts_with(p.proname, 'check_')
    LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', guard.place, guard.name);
    END LOOP;
    FOR guard IN
        SELECT CAST(c.conrelid AS regclass) AS place, c.conname AS name
        FROM pg_constraint c
        WHERE c.connamespace = CAST('ledger' AS regnamespace) AND c.contype = 'f'
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', guard.place, guard.name);
    END LOOP;
    FOR guard IN
        SELECT CAST(c.oid AS regclass) AS place
        FROM pg_class c
        WHERE c.relnamespace = CAST('ledger' AS regnamespace) AND c.relkind = 'r'
    LOOP
        EXECUTE format('ALTER TABLE %s SET UNLOGGED', guard.place);
    END LOOP;
END $$
"""
FIRST_ITEM = """
SELECT min(pending_at)
FROM raw.order_items
WHERE pending_at >= $earliest_instant AND pending_at < $latest_instant
"""


def simulate(
    settings: Settings,
    before: Policy,
    after: Policy,
    first: date,
    last: date,
    *,
    now: datetime,
    with_late_orders: bool = False,
    decisions: Sequence[Mapping[str, Any]] = (),
    planned: Callable[[int], Callable[[], object]] = lambda slots: lambda: None,
) -> Simulation:
    """Decide the cycles from `first` to `last` under both policies and compare the outcomes.

    Every cycle's implementation must be due by `now`. Both sides apply `decisions`, which people
    recorded in the real ledger. `planned` is told how many slots are to be run, and gives what is
    called after each, from another thread. Raises `UsageError` for cycles or a draft that cannot be
    simulated, `WarehouseError` for a warehouse without order items, and what stops a slot, with the
    names of the slot and the policy.
    """
    require_comparable(before, after)
    _require_past(before, after, first, last, now)
    warehouse = Warehouse.of(settings)
    _require_rows(warehouse, before, first)
    decided = [decision["decided_at"] for decision in decisions]
    due = [
        _due(policy, settings, first, last, with_late_orders, decided) for policy in (before, after)
    ]
    done = planned(sum(map(len, due)))
    with termination_as_interrupt(), _scratch(settings.home) as (folder, hold):
        span = min(of[0].due_at for of in due), max(of[-1].due_at for of in due)
        at_a_time = _at_a_time(settings)
        with ThreadPoolExecutor(1) as beside:
            # Both ledgers are made while the warehouse is copied.
            homes = beside.submit(_settings, settings, folder, at_a_time)
            seen = snapshot.take(warehouse, folder / "warehouse", *span)
        sides = [
            Side(
                policy.source,
                policy.text,
                of_side,
                seen,
                folder / "shared",
                slots,
                tuple(decisions),
            )
            for policy, of_side, slots in zip((before, after), homes.result(), due, strict=True)
        ]
        _run([SideProcess(side) for side in sides], at_a_time, hold, done)
        old, new = (parquet.read(side.actions) for side in sides)
    rules = (*WEEKLY_RULES, *(LATE_RULES if with_late_orders else ()))
    standing = pl.concat(map(differences.standing, (old, new)))
    return Simulation(
        first=first,
        last=last,
        before=before,
        after=after,
        with_late_orders=with_late_orders,
        totals=differences.totals(old, new, rules),
        weeks=differences.weeks(old, new, pl.date_range(first, last, WEEK, eager=True)),
        differences=differences.differences(old, new),
        sellers=standing["seller_id"].n_unique(),
    )


def require_comparable(before: Policy, after: Policy) -> None:
    """`UsageError` for a draft of another programme."""
    for name in SHARED:
        ours, theirs = getattr(before, name), getattr(after, name)
        if ours != theirs:
            raise UsageError(
                f"{after.source} has the {name} {theirs}, the policy in force {ours}: only "
                "policies of one programme can be compared; VIBES_COUNTRY or VIBES_POLICY names "
                "the one in force"
            )


def _require_past(before: Policy, after: Policy, first: date, last: date, now: datetime) -> None:
    require_monday(first)
    require_monday(last)
    if first > last:
        raise UsageError(f"--from {first} is after --until {last}")
    slot = Slot.WEEKLY_IMPLEMENTATION
    for policy in (before, after):
        due_at = policy.slot_calendar.due_at(slot, last)
        if due_at > now:
            newest = policy.slot_calendar.period_of(slot, now)
            raise UsageError(
                f"cycle {last} is implemented {due_at:%Y-%m-%d %H:%M}, which lies in the future: "
                f"what will have happened by then nobody knows; the newest that can be simulated "
                f"is {newest}"
            )


def _require_rows(warehouse: Warehouse, policy: Policy, first: date) -> None:
    """Refuse an empty warehouse, and a cycle that it has nothing of."""
    connection = warehouse.connect(warehouse)
    with warehouse.mounted(connection, ["order_items"]):
        (at,) = connection.execute(FIRST_ITEM, INSTANT_BOUNDS).fetchall()[0]
    if at is None:
        raise WarehouseError(
            f"{warehouse.path} holds no order items: there is no history to simulate"
        )
    earliest = monday_of(policy.local_date(at))
    if first < earliest:
        raise UsageError(
            f"cycle {first} comes before the first order items of {warehouse.path}, which are "
            f"of the week of {earliest}; write --from {earliest} or a later cycle"
        )


def _due(
    policy: Policy,
    settings: Settings,
    first: date,
    last: date,
    with_late_orders: bool,
    decided: Iterable[datetime] = (),
) -> tuple[DueSlot, ...]:
    """The slots of one side, by its own calendar: a draft may move them."""
    calendar = policy.slot_calendar
    start = calendar.due_at(Slot.WEEKLY_ALERT, first)
    end = calendar.due_at(Slot.WEEKLY_IMPLEMENTATION, last)
    recorded = [at for at in decided if start <= at <= end]
    every = due_slots(policy, settings, start, end, recorded)
    return tuple(due for due in every if with_late_orders or due.slot not in LATE_SLOTS)


# --- what is thrown away --------------------------------------------------------------------------


@contextmanager
def _scratch(home: Path) -> Iterator[tuple[Path, int]]:
    """A folder of this simulation alone, and the descriptor that holds it.

    It is removed in the end. What killed simulations left is removed first.
    """
    place = home / "simulations"
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as holding:
        with held(place):
            for left in place.iterdir():
                with suppress(BlockingIOError), held(left, is_waited_for=False):
                    _remove(left)
            folder = Path(tempfile.mkdtemp(dir=place))
            descriptor = holding.enter_context(held(folder))
        try:
            yield folder, descriptor
        finally:
            _remove(folder)
            with suppress(OSError):
                place.rmdir()


def _remove(folder: Path) -> None:
    embedded.remove(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)


def _settings(settings: Settings, folder: Path, at_a_time: int) -> list[Settings]:
    """Of each side: a home, an empty ledger and a warehouse of its own, its share of the memory."""
    server = embedded.embedded_url(folder / "postgres")
    _make_ledgers(server)
    keys = [folder / name / "key" for name in SIDES]
    for key in keys:
        key.parent.mkdir()
    # One key, so that both sides hash customers alike.
    keys[1].hardlink_to(home_key(keys[0].parent).file)
    return [
        replace(
            settings,
            home=folder / name,
            warehouse=folder / name / "raw",
            postgres_url=server.set(database=name).render_as_string(hide_password=False),
            smtp_url=None,
            mail_catcher_url=None,
            operators=(),
            # Both sides compute what they share in files of their own machine.
            engine=DUCKDB,
            most_memory=f"{in_mebibytes(settings.most_memory) // at_a_time}MiB",
        )
        for name in SIDES
    ]


def _make_ledgers(server: sa.URL) -> None:
    """A database with an empty ledger for each side."""
    first, *others = SIDES
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting, value in HASTE.items():
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = {value}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql(f"CREATE DATABASE {first}")
        _without_guards(server.set(database=first))
        for other in others:
            connection.exec_driver_sql(f"CREATE DATABASE {other} TEMPLATE {first}")
    engine.dispose()


def _without_guards(url: sa.URL) -> None:
    """Make an empty ledger that looks at no row again and keeps no log."""
    engine = database.connect(url)
    with engine.begin() as connection:
        connection.execute(sa.text(THROWN_AWAY))
    engine.dispose()


# --- the run -------------------------------------------------------------------------------------


def _at_a_time(settings: Settings) -> int:
    """How many sides are run side by side: both, if there are memory and processors for it."""
    share = in_mebibytes(settings.most_memory) // len(SIDES)
    fits = share >= LEAST_MEBIBYTES and len(os.sched_getaffinity(0)) >= len(SIDES)
    return len(SIDES) if fits else 1


def _run(
    processes: Sequence[SideProcess], at_a_time: int, hold: int, done: Callable[[], object]
) -> None:
    """Run the sides; when one fails, or at an interrupt, end the other too."""
    with ThreadPoolExecutor(at_a_time) as threads:
        runs = [threads.submit(process.run, hold, done) for process in processes]
        try:
            for run in as_completed(runs):
                run.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            while not all(run.done() for run in runs):
                for process in processes:
                    process.kill()
            raise
