"""Values that people wrote and that cannot be read: which stand, and who was told of them (§11).

A value is `seen` by a slot, `told` to operators, `corrected` when the warehouse no longer has it;
one that appears again is seen again. What makes a value undecipherable is said by
`sql/claims/undecipherable.sql`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger


@dataclass(frozen=True)
class Undecipherable:
    """A claim's instants and decision, or an account decision, as written and why it is none.

    All text is on one line and not too long, but otherwise anybody's.
    """

    content_hash: str
    table_name: str
    row_id: str | None
    seller_id: str | None
    faults: str
    written: str


def standing(ledger: Ledger) -> set[str]:
    """The hashes of the values that were seen and not corrected."""
    with ledger.reading() as connection:
        return _standing(connection, ledger.country)


def untold(ledger: Ledger) -> list[Undecipherable]:
    """The values that stand and that operators were not told of, by table and row."""
    s = views.undecipherable_states.c
    columns = [s[name] for name in Undecipherable.__dataclass_fields__]
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(*columns)
            .where(s.country == ledger.country, s.state == "seen")
            .order_by(s.table_name, s.row_id, s.content_hash)
        )
        return [Undecipherable(*row) for row in rows]


def record_seen(
    ledger: Ledger, present: Sequence[Undecipherable], *, is_simulated: bool, now: datetime
) -> None:
    """Append, in one transaction, what appeared and what was corrected since the last slot."""
    with ledger.writing(is_simulated=is_simulated, now=now) as connection:
        before = _standing(connection, ledger.country)
        new = [value for value in present if value.content_hash not in before]
        if new:
            connection.execute(
                insert(schema.undecipherable_values).on_conflict_do_nothing(),
                [{"country": ledger.country, **asdict(value)} for value in new],
            )
        _append(connection, ledger.country, [v.content_hash for v in new], "seen", now)
        gone = sorted(before - {value.content_hash for value in present})
        _append(connection, ledger.country, gone, "corrected", now)


def record_told(
    ledger: Ledger, values: Sequence[Undecipherable], *, is_simulated: bool, now: datetime
) -> None:
    """Append that operators were told of the values."""
    with ledger.writing(is_simulated=is_simulated, now=now) as connection:
        _append(connection, ledger.country, [v.content_hash for v in values], "told", now)


def _standing(connection: sa.Connection, country: str) -> set[str]:
    s = views.undecipherable_states.c
    return set(
        connection.execute(
            sa.select(s.content_hash).where(s.country == country, s.state != "corrected")
        ).scalars()
    )


def _append(
    connection: sa.Connection, country: str, hashes: Collection[str], state: str, now: datetime
) -> None:
    if hashes:
        connection.execute(
            insert(schema.undecipherable_events),
            [{"country": country, "content_hash": of, "state": state, "at": now} for of in hashes],
        )
