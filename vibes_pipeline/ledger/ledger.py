"""One country's ledger: opening it, and the transaction in which all its writes happen.

Here belong what every write shares: the lock that makes slots take turns, the live-or-simulated
rule, the record of slots done. What is written in which slot lives in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import database, locks, schema
from vibes_pipeline.settings import Settings

# Named by purpose and country: all of a database share one space of locks.
STATE_LOCK = "vibes state of "
OUTBOX_LOCK = "vibes outbox of "
OPERATORS_LOCK = "vibes mail to operators of "


class LedgerMode(StrEnum):
    """Live or simulated, which a ledger's first slot decides for good (Rulebook §2)."""

    EMPTY = "not used yet"
    LIVE = "live"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Ledger:
    """The ledger of one country (ISO 3166 alpha-2)."""

    engine: sa.Engine = field(repr=False)
    country: str

    @classmethod
    def open(cls, settings: Settings, country: str) -> Ledger:
        """Connect, starting the embedded server if none is configured, and migrate the schema.

        For what runs slots; who only reads what they left asks `open_existing`.
        """
        return cls(database.connect(database.database_url(settings)), country)

    @classmethod
    def open_existing(cls, settings: Settings, country: str) -> Ledger:
        """Connect to a ledger that is there: neither made nor migrated; `LedgerError` if it isn't.

        The embedded server is started for it if it does not run.
        """
        url = database.existing_database_url(settings)
        return cls(database.connect_to_existing(url), country)

    @classmethod
    def open_as_it_is(cls, settings: Settings, country: str) -> Ledger:
        """The same, whatever its revision: for who tells of it."""
        url = database.existing_database_url(settings)
        return cls(database.connect_as_it_is(url), country)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A snapshot of the ledger: what is read in it belongs to one moment."""
        with self.engine.connect() as connection:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, *, is_simulated: bool, now: datetime) -> Iterator[sa.Connection]:
        """One transaction; only one a country at a time changes state (Rulebook §2).

        The first one fixes whether the ledger is live or simulated; `LedgerError` for the other. A
        simulated slot does not wait for the disk: what a power cut takes can be replayed.
        """
        recording = self.engine.execution_options(
            **{database.IS_RECORDING: True, database.IS_HURRIED: is_simulated}
        )
        with recording.begin() as connection:
            self.take_turn(connection)
            connection.execute(
                insert(schema.ledgers)
                .values(country=self.country, is_simulated=is_simulated, opened_at=now)
                .on_conflict_do_nothing()
            )
            self._require_mode(connection, is_simulated)
            yield connection

    def take_turn(self, connection: sa.Connection) -> None:
        """Wait until no other transaction changes states; held to the transaction's end.

        Raises `LedgerError`, naming the one that goes on, when that takes too long.
        """
        locks.take(connection, STATE_LOCK + self.country)

    def holding(
        self, lock: str, *, gives_up_after: timedelta = locks.GIVES_UP_AFTER
    ) -> AbstractContextManager[locks.Hold]:
        """Hold one of the country's locks over several transactions; it ends with the process.

        Raises `LedgerError`, naming the holder, when another has not let go of it in that time.
        """
        return locks.held(self.engine, lock + self.country, gives_up_after=gives_up_after)

    def mode(self) -> LedgerMode:
        """Live, simulated, or not used yet."""
        with self.reading() as connection:
            return self.mode_seen_by(connection)

    def mode_seen_by(self, connection: sa.Connection) -> LedgerMode:
        """The mode, as a transaction sees it."""
        is_simulated = connection.execute(
            sa.select(schema.ledgers.c.is_simulated).where(schema.ledgers.c.country == self.country)
        ).scalar()
        if is_simulated is None:
            return LedgerMode.EMPTY
        return LedgerMode.SIMULATED if is_simulated else LedgerMode.LIVE

    def require_mode(self, *, is_simulated: bool) -> None:
        """Refuse a simulated slot on a live ledger, and a live one on a simulated ledger."""
        with self.reading() as connection:
            self._require_mode(connection, is_simulated)

    def require_not_before(self, now: datetime) -> None:
        """`LedgerError` when the ledger has an event after `now`: time goes forward (§2)."""
        newest = self.newest_event_at()
        if newest is not None and now < newest:
            raise LedgerError(
                f"it is {now:%Y-%m-%d %H:%M:%S}, and the ledger of {self.country} has an event of "
                f"{newest.astimezone(now.tzinfo):%Y-%m-%d %H:%M:%S} already: time goes forward; "
                "name a time no earlier, or try again once the clock has passed it"
            )

    def newest_event_at(self) -> datetime | None:
        """The latest instant of its slots, actions, claims and closes; None while it is not used.

        Deliveries are not counted: they bear the moment of the server's reply (Rulebook §2).
        """
        country, events = self.country, schema.action_events.c
        of_actions = (
            sa.select(events.at)
            .join(schema.actions, schema.actions.c.action_id == events.action_id)
            .where(schema.actions.c.country == country)
            # With the index on it that is a look at its end; a maximum would read all events.
            .order_by(events.at.desc())
            .limit(1)
        )
        others = [
            sa.select(sa.func.max(column)).where(column.table.c.country == country)
            for column in (
                schema.ledgers.c.opened_at,
                schema.slots.c.effected_at,
                schema.claim_intakes.c.at,
                schema.claim_decisions.c.at,
                schema.period_closes.c.closed_at,
            )
        ]
        newest = sa.func.greatest(*(s.scalar_subquery() for s in (of_actions, *others)))
        with self.reading() as connection:
            return connection.execute(sa.select(newest)).scalar()

    def done_at(self, slot: Slot, period: date) -> datetime | None:
        """The instant of a slot that is finished; None until its mail was handled."""
        finished = schema.slots.c.finished_at.is_not(None)
        with self.reading() as connection:
            return connection.execute(
                sa.select(schema.slots.c.effected_at).where(*self._slot(slot, period), finished)
            ).scalar()

    def is_finished(self, slot: Slot, period: date) -> bool:
        """Whether a slot took its effects and its mail was handled."""
        return self.done_at(slot, period) is not None

    def is_effected(self, slot: Slot, period: date) -> bool:
        """Whether a slot took its effects, or was skipped for good."""
        with self.reading() as connection:
            return self.slot_effected_at(connection, slot, period) is not None

    def opened_at(self) -> datetime | None:
        """The instant of its first slot."""
        with self.reading() as connection:
            return connection.execute(
                sa.select(schema.ledgers.c.opened_at).where(
                    schema.ledgers.c.country == self.country
                )
            ).scalar()

    def first_periods(self) -> dict[Slot, date]:
        """Of each slot that took its effects, or was skipped, the first period."""
        slots = schema.slots.c
        with self.reading() as connection:
            rows = connection.execute(
                sa.select(slots.slot, sa.func.min(slots.period))
                .where(slots.country == self.country)
                .group_by(slots.slot)
            )
            return {Slot(slot): period for slot, period in rows}

    def slot_effected_at(
        self, connection: sa.Connection, slot: Slot, period: date
    ) -> datetime | None:
        """The instant at which a slot took its effects, or None if it has not."""
        return connection.execute(
            sa.select(schema.slots.c.effected_at).where(*self._slot(slot, period))
        ).scalar()

    def record_effects(
        self, connection: sa.Connection, slot: Slot, period: date, due_at: datetime, now: datetime
    ) -> None:
        """Note, in the transaction of its effects, that a slot took them at `now`."""
        connection.execute(
            insert(schema.slots).values(
                country=self.country, slot=slot, period=period, due_at=due_at, effected_at=now
            )
        )

    def record_finished(self, slot: Slot, period: date, now: datetime) -> None:
        """Note that a slot's mail was handled; the first time counts."""
        with self.engine.begin() as connection:
            connection.execute(
                schema.slots.update()
                .where(*self._slot(slot, period), schema.slots.c.finished_at.is_(None))
                .values(finished_at=now)
            )

    def _slot(self, slot: Slot, period: date) -> tuple[sa.ColumnElement[bool], ...]:
        slots = schema.slots.c
        return (slots.country == self.country, slots.slot == slot, slots.period == period)

    def _require_mode(self, connection: sa.Connection, is_simulated: bool) -> None:
        mode = self.mode_seen_by(connection)
        if mode is LedgerMode.SIMULATED and not is_simulated:
            raise LedgerError(
                f"the ledger of {self.country} is simulated: it takes only slots with a time of "
                "their own (--at); use another VIBES_HOME or database for a live one"
            )
        if mode is LedgerMode.LIVE and is_simulated:
            raise LedgerError(
                f"the ledger of {self.country} is live: a simulated slot would back-date its "
                "notices; use another VIBES_HOME or database to try things out"
            )


@cache
def shared_ledger(settings: Settings, country: str) -> Ledger:
    """One ledger, and so one pool of connections, per process."""
    return Ledger.open(settings, country)
