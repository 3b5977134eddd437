"""Each seller's newest standing in the ledger, for people and systems that read there (§15)."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.ledger import feeds, schema
from vibes_pipeline.ledger.copying import storable
from vibes_pipeline.ledger.frames import read_frame
from vibes_pipeline.ledger.ledger import Ledger

KEY = ("country", "seller_id")


def record_standings(ledger: Ledger, standings: pl.DataFrame, now: datetime) -> None:
    """Write the sellers' standings as of `now` over their older ones.

    `standings` has `seller_id` and the columns of `schema.standing_columns`.
    """
    table = schema.standings
    # In one order, so that two writers wait for each other and do not deadlock.
    rows = storable(standings).sort("seller_id")
    names = [c.name for c in table.columns if c.name in rows.columns]
    arrays = (sa.literal(rows[name].to_list(), sa.ARRAY(table.c[name].type)) for name in names)
    given = sa.func.unnest(*arrays).table_valued(*names).render_derived()
    new = insert(table).from_select(
        ["country", "as_of", *names],
        sa.select(sa.literal(ledger.country), sa.literal(now), *(given.c[n] for n in names)),
    )
    with ledger.engine.begin() as connection:
        connection.execute(
            new.on_conflict_do_update(
                index_elements=KEY,
                set_={c.name: new.excluded[c.name] for c in table.columns if c.name not in KEY},
                where=table.c.as_of <= new.excluded.as_of,
            )
        )


def newest_standings(ledger: Ledger) -> pl.DataFrame:
    """The standings of the newest late alert; no row before the first."""
    newest = feeds.standings
    return read_frame(ledger, sa.select(*newest.columns).where(newest.c.country == ledger.country))
