"""The days over which the storm passes: what is run when, on a ledger that has seen good weeks.

Here belong the slots in their order and what is read of the ledger after each; what must hold of it
is told in `judge`. Times are the marketplace's words.
"""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from ledger.promises import PROMISES
from rules.marketplace import WEEK, instant
from slots.claims.cases import CONTENTS
from slots_direct import DirectSlots

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.catch_up import missing_slots


class Moment(NamedTuple):
    """A time of the course, and the slot due then."""

    words: str
    slot: Slot

    @property
    def at(self) -> datetime:
        return instant(self.words, date.fromisoformat(WEEK))


ALERT, IMPLEMENTATION = Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION
# The good weeks before: three occurrences, charges posted, others alerted and not posted yet.
BEFORE = (
    Moment("Wed-2 07:00", ALERT),
    Moment("Sat-2 09:00", IMPLEMENTATION),
    Moment("Wed-1 07:00", ALERT),
    Moment("Sat-1 09:00", IMPLEMENTATION),
    Moment("Wed 06:00", Slot.LATE_ALERT),
    Moment("Wed 07:00", ALERT),
    Moment("Wed 23:00", Slot.LATE_CANCELLATION),
)
# All five slots, and the implementation of what the alert among them told of.
STORM = (
    Moment("Thu 06:00", Slot.LATE_ALERT),
    Moment("Thu 23:00", Slot.LATE_CANCELLATION),
    Moment("Fri 12:00", Slot.CLAIMS),
    Moment("Sat 09:00", IMPLEMENTATION),
    Moment("Wed+1 07:00", ALERT),
    Moment("Sat+1 09:00", IMPLEMENTATION),
)
# The good load is back: what failed is tried again, and a week more runs.
AFTER = (
    Moment("Sun+1 12:00", Slot.CLAIMS),
    Moment("Mon+2 06:00", Slot.LATE_ALERT),
    Moment("Mon+2 23:00", Slot.LATE_CANCELLATION),
    Moment("Wed+2 07:00", ALERT),
    Moment("Sat+2 09:00", IMPLEMENTATION),
)
COURSE = (*STORM, *AFTER)


@dataclass(frozen=True)
class Outcome:
    """How a slot ended: `error` is None for a decision, `crash` the traceback of what is no line."""

    at: datetime
    due: DueSlot
    error: VibesError | None = None
    crash: str | None = None

    @property
    def is_done(self) -> bool:
        return self.error is None and self.crash is None


@dataclass(frozen=True)
class Record:
    """What came of a course: the slots' outcomes, and the actions after each moment, by moment."""

    outcomes: list[Outcome] = field(default_factory=list)
    actions: dict[datetime, frozenset[tuple[Any, ...]]] = field(default_factory=dict)
    charges: list[Mapping[str, Any]] = field(default_factory=list)
    cancelled: frozenset[str] = frozenset()
    broken: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def then(self, end: Record) -> Record:
        """This record, and what came afterwards."""
        return replace(
            end, outcomes=[*self.outcomes, *end.outcomes], actions={**self.actions, **end.actions}
        )


@dataclass(frozen=True)
class Start:
    """A ledger and a home to begin from; neither is changed by those that begin from it."""

    template: str
    home: Path


@dataclass
class Place:
    """Where courses are run: a server with a migrated template, and a folder."""

    administration: sa.Engine
    folder: Path
    migrated: str
    _kept: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def empty(self) -> Start:
        """A ledger before its first slot."""
        home = self.folder / "empty"
        home.mkdir(exist_ok=True)
        return Start(self.migrated, home)

    @contextmanager
    def begun(self, start: Start, policy: Policy) -> Iterator[Course]:
        """A course of its own from a start, under a policy."""
        name = self._copied(start.template)
        home = self.folder / name
        # Partitions are replaced, never written to: a link to one is as good as a copy.
        shutil.copytree(start.home, home, copy_function=os.link)
        url = self.administration.url.set(database=name)
        ledger = Ledger(database.connect(url), "NG")
        try:
            yield Course(ledger, home, name, policy)
        finally:
            ledger.close()
            with self.administration.connect() as connection:
                connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
            shutil.rmtree(home)

    def kept(self, course: Course) -> Start:
        """What a course has come to, as a start for others."""
        course.ledger.close()
        name = self._copied(course.database)
        self._kept.append(name)
        home = self.folder / f"{name}-kept"
        shutil.copytree(course.home, home, copy_function=os.link)
        return Start(name, home)

    def clear(self) -> None:
        """Drop what was kept."""
        with self.administration.connect() as connection:
            for name in self._kept:
                connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))

    def _copied(self, template: str) -> str:
        name = f"storm_{os.getpid()}_{next(self._numbers)}"
        with self.administration.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return name


@dataclass
class Course:
    """A ledger over which slots are run, moment by moment."""

    ledger: Ledger
    home: Path
    database: str
    policy: Policy
    record: Record = field(default_factory=Record)

    def run(self, moment: Moment, warehouse: Path) -> None:
        """The moment's slot, and whatever weekly slot is missing by then, oldest first."""
        for due in self._due(moment):
            outcome = self._slot(due, moment.at, warehouse)
            self.record.outcomes.append(outcome)
            if not outcome.is_done and due.slot.is_weekly:
                break
        self.record.actions[moment.at] = frozenset(self.rows(ACTIONS))

    def end(self) -> Record:
        """The record, with what finance and the order system read in the end."""
        columns, charges = self._read(CHARGES)
        return replace(
            self.record,
            charges=[dict(zip(columns, row, strict=True)) for row in charges],
            cancelled=frozenset(item for (item,) in self.rows(CANCELLED)),
            broken={name: rows for name, query in PROMISES.items() if (rows := self.rows(query))},
        )

    def contents(self) -> int:
        """The same for two courses only if their ledgers hold the same."""
        return hash(tuple(str(self.rows(query)) for query in CONTENTS.values()))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._read(query)[1]

    def _due(self, moment: Moment) -> Iterator[DueSlot]:
        if not moment.slot.is_weekly or not self.ledger.opened_at():
            period = self.policy.slot_calendar.period_of(moment.slot, moment.at)
            yield DueSlot(moment.at, moment.slot, period)
        while missing := [d for d in self._missing(moment.at) if d.slot.is_weekly]:
            yield missing[0]

    def _missing(self, now: datetime) -> list[DueSlot]:
        return missing_slots(self.ledger, self.policy, now)

    def _slot(self, due: DueSlot, now: datetime, warehouse: Path) -> Outcome:
        settings = Settings.from_environment(
            {"VIBES_HOME": str(self.home), "VIBES_WAREHOUSE": str(warehouse)}
        )
        try:
            DirectSlots(self.ledger, settings, self.policy).run(due.slot, due.period, now)
        except VibesError as error:
            return Outcome(now, due, error=error)
        except Exception:
            return Outcome(now, due, crash=traceback.format_exc())
        return Outcome(now, due)

    def _read(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        with self.ledger.reading() as connection:
            result = connection.execute(sa.text(query))
            return [*result.keys()], [tuple(row) for row in result]


ACTIONS = """
    SELECT seller_id, rule, cycle, coalesce(order_item_id, sku, seller_id), amount, band,
        daily_order_limit, pending_to_shipped_limit, grounds, occurrence, state
    FROM ledger.action_states
"""
# Every charge that was ever implemented: what finance has of it, and when it came to be.
CHARGES = """
    SELECT s.rule, s.order_item_id, s.seller_id, s.order_number, s.sku, s.amount, s.state, s.cause,
        s.evidence ->> 'reason' AS reason, s.proposed_at, s.implemented_at,
        coalesce((SELECT sum(p.amount) FROM ledger.postings p WHERE p.action_id = s.action_id), 0)
            AS net
    FROM ledger.action_states s
    WHERE s.amount IS NOT NULL
"""
CANCELLED = """
    SELECT order_item_id FROM ledger.action_states
    WHERE rule IN ('late_pending_cancellation', 'late_ready_to_ship_cancellation')
        AND state = 'implemented'
"""
