"""The key that the ledger's hashes of addresses are made with, known by its fingerprint alone.

Here belongs that the key stays the same one. With another, no address that a server refused could
be told from one that was mended, and each mail that was refused would be sent again.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger


def require(ledger: Ledger, key: Key, now: datetime) -> None:
    """Take the key for the ledger's if it has none yet; `LedgerError` when it has another."""
    k = schema.address_keys.c
    newest = (
        sa.select(k.fingerprint, k.at)
        .where(k.country == ledger.country)
        .order_by(k.key_id.desc())
        .limit(1)
    )
    with ledger.reading() as connection:
        known = connection.execute(newest).one_or_none()
    if known is None:
        accept(ledger, key, now)
    elif known.fingerprint != key.fingerprint:
        raise LedgerError(
            f"{key.file} is not the key with which the ledger of {ledger.country} has hashed "
            f"addresses since {known.at:%Y-%m-%d}: restore that file from the backup; if the key "
            "is lost for good, `vibes mail accept-key` goes on with this one, and each mail that "
            "was refused is sent once more"
        )


def accept(ledger: Ledger, key: Key, now: datetime) -> None:
    """From now on the ledger's hashes of addresses are made with this key."""
    with ledger.engine.begin() as connection:
        connection.execute(
            insert(schema.address_keys).values(
                country=ledger.country, fingerprint=key.fingerprint, at=now
            )
        )
