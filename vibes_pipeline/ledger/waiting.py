"""What of the ledger waits for a person's decision: claims, accounts listed for review (§8, §11).

Here belong the rows alone. How long they may wait, and what they are about, is `answers`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger


@dataclass(frozen=True)
class ClaimInQueue:
    """A claim as it was taken in last; `state` is `upheld` or `rejected` once it is decided.

    All text is the seller's, and hostile. `raised_at` is as the seller stated it, None if not.
    """

    claim_id: str
    state: str
    category: str | None
    seller_id: str | None
    order_number: str | None
    sku: str | None
    action_reference: str | None
    raised_at: datetime | None
    taken_in_at: datetime
    decided_at: datetime | None


def claims(ledger: Ledger) -> list[ClaimInQueue]:
    """Every claim of the ledger, the oldest first."""
    c = schema.claim_states.c
    columns = [c[name] for name in ClaimInQueue.__dataclass_fields__]
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(*columns)
            .where(c.country == ledger.country)
            .order_by(sa.func.coalesce(c.raised_at, c.taken_in_at), c.claim_id)
        )
        return [ClaimInQueue(*row) for row in rows]
