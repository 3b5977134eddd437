"""The state of the system at an instant (Rulebook §2, §13, §17).

Read from the ledger, from Dagster's record beside it, and from the warehouse's own word on how
fresh it is. No seller is named. Whether all is well, `verdict` says; `status_text`, `status_page`
and `metrics` show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from math import inf
from time import monotonic

import sqlalchemy as sa

from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger import revisions, schema, views
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.notices import count_open
from vibes_pipeline.operations import runs
from vibes_pipeline.operations.causes import Cause
from vibes_pipeline.operations.freshness import NOT_READ, Freshness, WarehouseLoads, freshness
from vibes_pipeline.operations.slot_states import SlotStatus, slot_states
from vibes_pipeline.operations.waiting import Waits, what_waits
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings


@dataclass(frozen=True)
class Unsent:
    """Open notices of one status: how many, and when the oldest was planned."""

    status: str
    count: int
    oldest_at: datetime


@dataclass(frozen=True)
class Total:
    """How many actions of a rule ever entered a state."""

    rule: str
    state: str
    count: int


@dataclass(frozen=True)
class Posted:
    """What was posted of a rule: exact money, of reversals negative."""

    rule: str
    kind: str
    currency: str
    count: int
    amount: Decimal


@dataclass(frozen=True)
class LedgerStatus:
    """`schema` is the revision that it is at, `needed` the one that this program works with."""

    mode: LedgerMode | None = None
    opened_at: datetime | None = None
    schema: str | None = None
    needed: str | None = None


UNKNOWN = LedgerStatus()


@dataclass(frozen=True)
class Status:
    """The state at `now`; times are local.

    `fault` is why nothing more is known: the ledger cannot be read. `daemon_heard_at` is None where
    no daemon has ever run. Of slots, notices and what waits there is nothing while the ledger is of
    another revision.
    """

    policy: Policy
    now: datetime
    versions: Mapping[str, str]
    fault: str | None = None
    ledger: LedgerStatus = UNKNOWN
    daemon_heard_at: datetime | None = None
    slots: tuple[SlotStatus, ...] = ()
    outbox: tuple[Unsent, ...] = ()
    waiting: tuple[Waits, ...] = ()
    warehouse: Freshness = NOT_READ
    actions: tuple[Total, ...] = ()
    posted: tuple[Posted, ...] = ()


@dataclass
class Sources:
    """What is asked less often than the rest: the warehouse, and what waits.

    What waits is asked again after `waiting_kept_seconds`: it changes by what people do, and to ask
    takes seconds while thousands of notices are on their way.
    """

    settings: Settings
    waiting_kept_seconds: float = 0.0
    warehouse: WarehouseLoads = field(init=False)
    _waiting: tuple[float, tuple[Waits, ...]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.warehouse = WarehouseLoads(self.settings)

    def waiting(self, ledger: Ledger, policy: Policy, now: datetime) -> tuple[Waits, ...]:
        """What waits at `now`, or did some seconds before."""
        asked_at, known = self._waiting or (-inf, ())
        if monotonic() - asked_at >= self.waiting_kept_seconds:
            known = what_waits(ledger, self.settings, policy, now)
            self._waiting = monotonic(), known
        return known


def read_status(
    ledger: Ledger, policy: Policy, sources: Sources, now: datetime | None = None
) -> Status:
    """The state at `now`: by default the present, of a simulated ledger its own.

    What keeps the ledger from being read is told in the status.
    """
    here = (now or WallClock().now()).astimezone(policy.time_zone)
    unread = Status(policy, here, _versions(policy))
    try:
        with ledger.reading() as connection:
            schema_at = LedgerStatus(
                schema=revisions.present(connection), needed=revisions.needed()
            )
            if schema_at.schema != schema_at.needed:
                return replace(unread, ledger=schema_at)
            return _read(connection, replace(unread, ledger=schema_at), ledger, sources, now)
    except VibesError as error:
        return replace(unread, fault=str(error))


def _read(
    connection: sa.Connection,
    unread: Status,
    ledger: Ledger,
    sources: Sources,
    given: datetime | None,
) -> Status:
    policy, country = unread.policy, ledger.country
    zone = policy.time_zone
    m = views.moments.c
    present = connection.execute(sa.select(m.at).where(m.country == country)).scalar()
    now = (given or present or unread.now).astimezone(zone)
    opened_at = ledger.opened_at()
    heard_at = runs.daemon_heard_at(connection) if runs.is_recorded(connection) else None
    slots = slot_states(connection, ledger, policy, now)
    e, p = schema.event_totals.c, schema.posting_totals.c
    events = sa.select(e.rule, e.state, e.events).where(e.country == country)
    posted = sa.select(p.rule, p.kind, p.currency, p.postings, p.amount).where(p.country == country)
    return replace(
        unread,
        now=now,
        ledger=replace(
            unread.ledger,
            mode=ledger.mode_seen_by(connection),
            opened_at=opened_at and opened_at.astimezone(zone),
        ),
        daemon_heard_at=heard_at and heard_at.astimezone(zone),
        slots=slots,
        outbox=tuple(
            Unsent(status, count, oldest_at.astimezone(zone))
            for status, count, oldest_at in count_open(connection, country, now)
        ),
        waiting=tuple(
            waits
            for waits in sources.waiting(ledger, policy, now)
            # How late a slot is, it says itself.
            if waits.count and waits.cause is not Cause.SLOTS_LATE
        ),
        warehouse=freshness(sources.warehouse, slots, policy, now),
        actions=tuple(Total(*row) for row in connection.execute(events.order_by(e.rule, e.state))),
        posted=tuple(Posted(*row) for row in connection.execute(posted.order_by(p.rule, p.kind))),
    )


def _versions(policy: Policy) -> Mapping[str, str]:
    packages = {"vibes": "vibes-pipeline", "dagster": "dagster", "duckdb": "duckdb"}
    return {
        **{name: version(package) for name, package in packages.items()},
        "policy": policy.short_version,
    }
