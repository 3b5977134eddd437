"""Up to when the warehouse's tables are complete, and the gate that requires it (Rulebook §13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from vibes_pipeline.errors import StaleWarehouse, WarehouseError
from vibes_pipeline.warehouse.contract import (
    CONTRACT,
    EARLIEST_INSTANT,
    INSTANT_BOUNDS,
    LATEST_INSTANT,
    LOADS,
    RAW_TABLES,
)
from vibes_pipeline.warehouse.source import Warehouse

# Up to when each table is complete; None for one without an entry.
Loads = Mapping[str, datetime | None]

# Per table: its newest good instant, and one out of bounds, as text: Python may not hold it.
LOADED = """
SELECT
    table_name,
    max(loaded_through) FILTER (is_good),
    min(CAST(loaded_through AS VARCHAR)) FILTER (NOT is_good)
FROM (
    SELECT *, loaded_through >= $earliest_instant AND loaded_through < $latest_instant AS is_good
    FROM raw.loads
    WHERE list_contains($tables, table_name)
)
GROUP BY table_name
"""


def loaded_through(warehouse: Warehouse) -> Loads | None:
    """Up to when each table that is there is complete; None for a table without an entry.

    Returns None if the warehouse has no `raw.loads`. Raises `WarehouseError` if a table breaks the
    raw contract, also one that the slot does not read, or if `raw.loads` holds an instant out of
    bounds (Rulebook §13).
    """
    tables = warehouse.tables()
    connection = warehouse.connect(warehouse)
    with warehouse.mounted(connection, [LOADS.name], checked=CONTRACT):
        rows = connection.execute(LOADED, INSTANT_BOUNDS | {"tables": list(RAW_TABLES)}).fetchall()
    if LOADS.name not in tables:
        return None
    if odd := sorted(f"raw.{name} ({at})" for name, _, at in rows if at is not None):
        raise WarehouseError(
            f"raw.loads says that a table is complete through an instant that is infinite or "
            f"outside the years {EARLIEST_INSTANT.year} to {LATEST_INSTANT.year - 1}: "
            f"{', '.join(odd)}; mend raw.loads and run the slot again"
        )
    known = {name: at for name, at, _ in rows}
    return {name: known.get(name) for name in RAW_TABLES if name in tables}


def require_complete(
    warehouse: Warehouse,
    through: datetime,
    time_zone: ZoneInfo,
    tables: Collection[str] = tuple(RAW_TABLES),
) -> bool:
    """Raise `StaleWarehouse` that names the tables that are not complete through the instant.

    Returns whether the warehouse has `raw.loads`; without it nobody knows what is complete.
    """
    loads = loaded_through(warehouse)
    if loads is None:
        return False
    if stale := not_complete(loads, through, tables):
        raise StaleWarehouse(
            f"{in_words(stale, through, time_zone)}; load it and run the slot again"
        )
    return True


def not_complete(loads: Loads, through: datetime, tables: Collection[str]) -> Loads:
    """Those of the tables that are there and not complete through the instant."""
    return {
        name: at for name, at in loads.items() if name in tables and (at is None or at < through)
    }


def in_words(stale: Loads, through: datetime, time_zone: ZoneInfo) -> str:
    """That the warehouse is stale: through what it is not complete, and each table's own."""
    listed = ", ".join(
        f"raw.{name} ({'no entry' if at is None else _local(at, time_zone)})"
        for name, at in stale.items()
    )
    return f"the warehouse is not complete through {_local(through, time_zone)}: {listed}"


def _local(at: datetime, time_zone: ZoneInfo) -> str:
    return f"{at.astimezone(time_zone):%Y-%m-%d %H:%M}"
