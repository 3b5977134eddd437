"""Which engine runs a slot: the weekly alert's models may run on a cluster, all else on DuckDB.

The scans of the weekly alert grow with the marketplace. What the other slots look up is little, and
must not wait for a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.engine.duckdb import DuckDBEngine
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.settings import DUCKDB, Settings
from vibes_pipeline.warehouse.source import Warehouse


def engine_of(
    slot: Slot,
    settings: Settings,
    warehouse: Warehouse,
    folder: Path,
    time_zone: ZoneInfo,
    policy: Mapping[str, pl.DataFrame],
) -> Engine:
    """The engine of a slot over a warehouse; no server is asked before a model is run."""
    if slot is Slot.WEEKLY_ALERT and settings.engine != DUCKDB:
        # What writes SQL for a cluster takes a while to import.
        from vibes_pipeline.engine.spark import SparkEngine

        return SparkEngine(warehouse, folder, time_zone, policy, settings.engine)
    return DuckDBEngine(warehouse, folder, time_zone, policy)
