"""How far the warehouse's tables are complete, and the gate that asks for it (Rulebook §13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import duckdb

from vibes_pipeline.errors import StaleWarehouse
from vibes_pipeline.warehouse.contract import CONTRACT, LOADS, RAW_TABLES
from vibes_pipeline.warehouse.source import Warehouse


def loaded_through(warehouse: Warehouse) -> Mapping[str, datetime | None] | None:
    """Per table that is there, up to when it is complete; None where the warehouse does not say.

    Every table that is there must keep the raw contract, also one that the slot does not read.
    """
    tables = warehouse.tables()
    with duckdb.connect() as connection, warehouse.mounted(connection, CONTRACT):
        rows = connection.execute(
            "SELECT table_name, max(loaded_through) FROM raw.loads GROUP BY table_name"
        ).fetchall()
    if LOADS.name not in tables:
        return None
    known = dict(rows)
    return {name: known.get(name) for name in RAW_TABLES if name in tables}


def require_complete(
    warehouse: Warehouse,
    through: datetime,
    time_zone: ZoneInfo,
    tables: Collection[str] = tuple(RAW_TABLES),
) -> bool:
    """Raise `StaleWarehouse` naming which of the tables are not complete through the instant.

    False when the warehouse has no `raw.loads`: then nobody knows.
    """
    loads = loaded_through(warehouse)
    if loads is None:
        return False
    stale = {
        name: at for name, at in loads.items() if name in tables and (at is None or at < through)
    }
    if stale:
        listed = ", ".join(
            f"raw.{name} ({'no entry' if at is None else _local(at, time_zone)})"
            for name, at in stale.items()
        )
        raise StaleWarehouse(
            f"the warehouse is not complete through {_local(through, time_zone)}: {listed}; "
            "load it and run the slot again"
        )
    return True


def _local(at: datetime, time_zone: ZoneInfo) -> str:
    return f"{at.astimezone(time_zone):%Y-%m-%d %H:%M}"
