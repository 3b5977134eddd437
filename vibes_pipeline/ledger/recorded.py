"""Decisions on claims and accounts that people record in the ledger (Rulebook §11).

Here belong the rows, and how the models read them beside the decisions of the order warehouse. The
database sets their instants and refuses what nobody could have decided. What a person is asked, and
told, before one is recorded is `slots.claims.deciding`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.errors import LedgerError, first_line
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.listing import plain


@dataclass(frozen=True)
class Decision:
    """A person's decision: on a claim, `upheld` or `rejected`; on an account, `delist` or `keep`.

    Of a claim the ledger itself adds whose it is.
    """

    decision: str
    decided_by: str
    note: str | None = None
    claim_id: str | None = None
    seller_id: str | None = None


def record(
    ledger: Ledger,
    decision: Decision,
    at: datetime | None,
    time_zone: ZoneInfo,
    *,
    is_tried_only: bool = False,
) -> datetime:
    """Append a decision; give its instant, which is `at` on a simulated ledger.

    With `is_tried_only` nothing is kept. `LedgerError`, in the words of the database, when nobody
    could have decided so, or when the role may not record decisions.
    """
    r = schema.recorded_decisions
    statement = (
        insert(r)
        .values(country=ledger.country, decided_at=at, **asdict(decision))
        .returning(r.c.decided_at)
    )
    try:
        with ledger.engine.begin() as connection:
            # In which the database writes the instants of its refusals.
            zone = sa.func.set_config("TimeZone", time_zone.key, True)
            connection.execute(sa.select(zone))
            decided_at: datetime = connection.execute(statement).scalar_one()
            if is_tried_only:
                connection.rollback()
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            raise LedgerError(
                "this database user may not record decisions; an administrator grants it the role "
                "vibes_operations"
            ) from None
        if isinstance(error.orig, psycopg2.IntegrityError):
            raise LedgerError(plain(first_line(error.orig))) from None
        raise
    return decided_at


def may_run_slots(ledger: Ledger) -> bool:
    """Whether this database user may record what slots do, and not decisions alone."""
    right = sa.func.has_table_privilege("ledger.action_events", "INSERT")
    with ledger.reading() as connection:
        return bool(connection.execute(sa.select(right)).scalar_one())


def newest_at(ledger: Ledger) -> datetime | None:
    """The instant of the decision that was recorded last; None before the first."""
    newest = sa.func.max(schema.recorded_decisions.c.decided_at)
    with ledger.reading() as connection:
        return connection.execute(sa.select(newest).where(_is_of(ledger.country))).scalar()


def moments(ledger: Ledger, start: datetime, end: datetime) -> list[datetime]:
    """Each instant from start to end at which a decision was recorded."""
    at = schema.recorded_decisions.c.decided_at
    with ledger.reading() as connection:
        return list(
            connection.execute(
                sa.select(at).distinct().where(_is_of(ledger.country), at.between(start, end))
            ).scalars()
        )


def select_claim_decisions(country: str) -> sa.Select[Any]:
    """The decisions on claims, as the models read them."""
    r = schema.recorded_decisions.c
    return sa.select(r.claim_id, r.seller_id, r.decision, r.decided_at).where(
        _is_of(country), r.claim_id.is_not(None)
    )


def select_account_decisions(country: str) -> sa.Select[Any]:
    """The decisions on accounts, as the models read them; later ones have the greater ids."""
    r = schema.recorded_decisions.c
    number = sa.func.lpad(sa.cast(r.event_id, sa.Text), 12, "0")
    return sa.select(
        sa.func.concat("recorded-", number, type_=sa.Text).label("decision_id"),
        r.seller_id,
        r.decision,
        r.decided_at,
    ).where(_is_of(country), r.claim_id.is_(None))


def every(ledger: Ledger) -> list[dict[str, Any]]:
    """All decisions in the order of recording, in the columns of their table but the id."""
    r = schema.recorded_decisions.c
    columns = [column for column in r if column is not r.event_id]
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(*columns).where(_is_of(ledger.country)).order_by(r.event_id)
        ).mappings()
        return [dict(row) for row in rows]


def take_over(connection: sa.Connection, decisions: Sequence[Mapping[str, Any]]) -> None:
    """Append another ledger's decisions, each with its own instant, for a simulation (§16)."""
    if decisions:
        connection.execute(insert(schema.recorded_decisions), list(decisions))


def _is_of(country: str) -> sa.ColumnElement[bool]:
    return schema.recorded_decisions.c.country == country
