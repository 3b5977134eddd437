"""The order warehouse as a simulation reads it: copied once, shown to a slot as far as it sees.

Both sides and all slots so read one state, and the loader may go on. Order items lie in parts, by
the week in which the first of their times falls. Of a later part a slot has no use: as of its
instant none of these items exists (Rulebook §13), so it need not even look for them. An item whose
id is repeated is in the first part, for each copy makes the others bad.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vibes_pipeline.calendar import WEEK, in_utc
from vibes_pipeline.engine.duckdb import PARQUET
from vibes_pipeline.parquet import sql_text
from vibes_pipeline.warehouse.source import Warehouse

ITEMS = "order_items"
# The part of items without pending_at. DuckDB takes all files to be as large as the first by name.
NEVER_PENDING = 1_000_000
NO_ROW = "SELECT * FROM raw.order_items WHERE FALSE"
# Each item with the number of its part; those that nobody sees by the last instant are left out.
# Items without pending_at lie in one of their own: who looks for them skips all the rest.
PARTS = """
SELECT * EXCLUDE (first_at, is_repeated), CASE
    WHEN pending_at IS NULL THEN $never_pending
    WHEN first_at <= $since THEN 0
    WHEN is_repeated THEN 0
    ELSE CAST(ceil((epoch(first_at) - epoch($since)) / $seconds) AS INTEGER)
END AS part
FROM (
    SELECT
        *,
        least(
            pending_at, ready_to_ship_at, shipped_at, delivered_at, cancelled_at, rejected_at,
            returned_at
        ) AS first_at,
        order_item_id IN (
            SELECT order_item_id FROM raw.order_items GROUP BY order_item_id HAVING count(*) > 1
        ) AS is_repeated
    FROM raw.order_items
)
WHERE first_at <= $until OR pending_at IS NULL OR is_repeated
"""


@dataclass(frozen=True)
class Snapshot:
    """Parquet files in `folder`: a part for what is seen by `since`, one for each week after it."""

    folder: Path
    since: datetime

    def show(self, raw: Path, at: datetime) -> None:
        """Let the folder `raw` be a warehouse that has all that a slot at the instant may see."""
        items = raw / ITEMS
        items.mkdir(parents=True, exist_ok=True)
        for file in self.folder.glob("*.parquet"):
            _link(file, (items if file.stem == ITEMS else raw) / file.name)
        last = -((in_utc(self.since) - in_utc(at)) // WEEK)
        for part in (*range(last + 1), NEVER_PENDING):
            for file in (self.folder / ITEMS / f"part={part}").glob("*.parquet"):
                _link(file, items / f"{part}-{file.name}")


def take(warehouse: Warehouse, folder: Path, since: datetime, until: datetime) -> Snapshot:
    """Copy all that slots from `since` to `until` may see; `WarehouseError` as for any reader."""
    there = sorted(warehouse.tables())
    connection = warehouse.connect(warehouse)
    folder.mkdir(parents=True)

    def copy(select: str, target: Path, how: str = "", given: Mapping[str, object] = {}) -> None:
        connection.execute(f"COPY ({select}) TO {sql_text(target)} ({PARQUET}{how})", given)

    with warehouse.mounted(connection, there):
        for table in there:
            # Of the items this file has the columns alone, if they lie in no part.
            select = NO_ROW if table == ITEMS else f"FROM raw.{table}"
            copy(select, folder / f"{table}.parquet")
        given = {"since": since, "until": until, "seconds": WEEK.total_seconds()}
        given["never_pending"] = NEVER_PENDING
        copy(PARTS, folder / ITEMS, ", PARTITION_BY (part)", given)
    return Snapshot(folder, since)


def _link(file: Path, name: Path) -> None:
    if not name.exists():
        os.link(file, name)
