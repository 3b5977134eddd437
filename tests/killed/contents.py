"""What a ledger holds, so that one that was disturbed can be compared with one that was not.

Here belongs what must be the same whatever was killed and run again, and nothing else: every column
of every table, but for those listed here with the reason why they may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger

Contents = Mapping[str, Counter[str]]

# How often and when a notice was tried; the one delivery that counts is compared apart.
ATTEMPTS = schema.deliveries
ACCEPTED = "accepted notices"


def contents(ledger: Ledger) -> Contents:
    """The rows of each table, as often as they occur."""
    with ledger.reading() as connection:
        return {
            name: Counter(map(str, connection.execute(query))) for name, query in _QUERIES.items()
        }


def differences(undisturbed: Contents, disturbed: Contents) -> list[str]:
    """One line per table whose rows differ: what is missing, what is too much."""
    return [
        f"{name} differ: missing {[*(rows - disturbed[name])][:2]}, "
        f"too much {[*(disturbed[name] - rows)][:2]}"
        for name, rows in undisturbed.items()
        if rows != disturbed[name]
    ]


def _query(table: sa.Table) -> sa.Select[Any]:
    return sa.select(
        *(
            _INSTEAD.get(column, column)
            for column in table.c
            # Numbers that a transaction draws are lost when it is undone.
            if column.name != "event_id"
        )
    )


def _named(event_id: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A claim's event by its claim and what it says, in place of its number."""
    i, d = schema.claim_intakes.c, schema.claim_decisions.c
    taken_in = sa.select(i.claim_id + " " + i.content_hash).where(i.event_id == event_id)
    decided = sa.select(d.claim_id + " " + d.decision).where(d.event_id == event_id)
    return sa.func.coalesce(taken_in.scalar_subquery(), decided.scalar_subquery())


_EVENTS, _SLOTS = schema.action_events.c, schema.slots.c
_INSTEAD: Mapping[sa.Column[Any], sa.ColumnElement[Any]] = {
    # An alert that gets through at a later attempt is dated by the slot that made it.
    _EVENTS.at: sa.case((_EVENTS.state != "alerted", _EVENTS.at)),
    # So is the end of a slot that had to be tried again.
    _SLOTS.finished_at: _SLOTS.finished_at.is_not(None),
    # Each home makes a key of its own.
    schema.address_keys.c.fingerprint: schema.address_keys.c.fingerprint.is_not(None),
    schema.notices.c.claim_event_id: _named(schema.notices.c.claim_event_id),
}
_QUERIES: Mapping[str, sa.Select[Any]] = {
    **{
        name: _query(table)
        for name, table in sorted(schema.metadata.tables.items())
        if table is not ATTEMPTS
    },
    ACCEPTED: sa.select(ATTEMPTS.c.notice_id, ATTEMPTS.c.code).where(ATTEMPTS.c.status == "sent"),
}
