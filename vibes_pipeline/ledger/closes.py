"""The close of a statement period: its totals and its journal's hash, kept for good (§12, §17).

A closed period takes no posting any more: the database refuses it. Looked at again, its journal
must have the hash that it was closed with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError, UsageError
from vibes_pipeline.ledger import feeds, schema
from vibes_pipeline.ledger.accounts import (
    Accounts,
    known_accounts,
    record_first_accounts,
    without_accounts,
)
from vibes_pipeline.ledger.copy_out import copy_lines
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode

# What is hashed of each line of the journal, in this order; docs/finance.md has it as a query.
HASHED = (
    *("posted_at", "statement_period", "account", "debit", "credit", "currency"),
    *("reference", "seller_id", "rule", "kind", "posting_id"),
)


@dataclass(frozen=True)
class Sums:
    """What a period holds: how many postings, their sums by rule and currency, the hash."""

    postings: int
    totals: list[dict[str, Any]]
    sha256: str


@dataclass(frozen=True)
class Close:
    """A closed period; `is_new` if it was closed just now."""

    period: date
    closed_at: datetime
    sums: Sums
    is_new: bool = False


def close_period(
    ledger: Ledger,
    period: date,
    *,
    ends_at: datetime,
    accounts: Mapping[str, Accounts],
    now: datetime,
) -> Close:
    """Close a statement period, once: then it returns what was recorded the first time.

    `now` is the wall clock's; of a simulated ledger its newest event's instant counts instead.
    Raises `UsageError` for a period that is not over or lies before the ledger, `LedgerError` when
    the ledger is not used yet.
    """
    mode, opened_at = ledger.mode(), ledger.opened_at()
    if opened_at is None:
        raise LedgerError("nothing was posted yet: the ledger's first slot opens it (`vibes run`)")
    is_simulated = mode is LedgerMode.SIMULATED
    if is_simulated:
        now = ledger.newest_event_at() or now
    if now < ends_at:
        raise UsageError(
            f"the statement period {period} is not over before {ends_at:%Y-%m-%d %H:%M}, and "
            f"{'of this simulated ledger ' if is_simulated else ''}it is "
            f"{now.astimezone(ends_at.tzinfo):%Y-%m-%d %H:%M}; close it then"
        )
    if ends_at <= opened_at:
        raise UsageError(
            f"the statement period {period} was over before this ledger's first slot, at "
            f"{opened_at.astimezone(ends_at.tzinfo):%Y-%m-%d %H:%M}; name a later one"
        )
    with ledger.writing(is_simulated=is_simulated, now=now) as connection:
        if found := _closes(connection, ledger.country, period):
            return found[0]
        record_first_accounts(connection, ledger.country, accounts, now)
        sums = sums_of(connection, ledger.country, period)
        rules = {row["rule"] for row in sums.totals}
        if unknown := rules - known_accounts(connection, ledger.country).keys():
            raise without_accounts(unknown)
        key = {"country": ledger.country, "statement_period": period}
        connection.execute(
            sa.insert(schema.period_closes).values(
                **key,
                ends_at=ends_at,
                closed_at=now,
                postings=sums.postings,
                sha256=sums.sha256,
            )
        )
        if sums.totals:
            connection.execute(
                sa.insert(schema.period_close_totals),
                [{**key, **row} for row in sums.totals],
            )
    return Close(period, now, sums, is_new=True)


def verify_closes(ledger: Ledger) -> list[tuple[Close, Sums]]:
    """Every closed period, oldest first, with what it holds now."""
    with ledger.reading() as connection:
        return [
            (close, sums_of(connection, ledger.country, close.period))
            for close in _closes(connection, ledger.country)
        ]


def sums_of(connection: sa.Connection, country: str, period: date) -> Sums:
    """What a statement period holds."""
    j = feeds.journal.c
    lines = sa.select(*(j[name] for name in HASHED)).where(
        j.country == country, j.statement_period == period
    )
    digest = hashlib.sha256()
    copy_lines(connection, lines.order_by(j.posting_id, j.credit), digest.update)
    totals = _totals(connection, feeds.charge_totals, country, period)
    postings = sum(row["debit_postings"] + row["reversal_postings"] for row in totals)
    return Sums(postings, totals, digest.hexdigest())


def _closes(connection: sa.Connection, country: str, period: date | None = None) -> list[Close]:
    c = schema.period_closes.c
    select = sa.select(c.statement_period, c.closed_at, c.postings, c.sha256).where(
        c.country == country
    )
    if period is not None:
        select = select.where(c.statement_period == period)
    rows = connection.execute(select.order_by(c.statement_period)).fetchall()
    return [
        Close(
            row.statement_period,
            row.closed_at,
            Sums(
                row.postings,
                _totals(connection, schema.period_close_totals, country, row.statement_period),
                row.sha256,
            ),
        )
        for row in rows
    ]


def _totals(
    connection: sa.Connection, table: sa.Table, country: str, period: date
) -> list[dict[str, Any]]:
    """A period's sums by rule and currency, of a table or view that has them."""
    names = ("rule", "currency", *(column.name for column in schema.sums_by_kind()))
    select = sa.select(*(table.c[name] for name in names)).where(
        table.c.country == country, table.c.statement_period == period
    )
    rows = connection.execute(select.order_by(table.c.rule, table.c.currency)).mappings()
    return [dict(row) for row in rows]
