"""What the plain scripts of `weekly_compute` are given: one cycle, and the folders of its data.

Here belongs what every script is told and no more, so that each imports its own library alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

TIMES = [
    "pending_at",
    "ready_to_ship_at",
    "shipped_at",
    "delivered_at",
    "cancelled_at",
    "rejected_at",
    "returned_at",
]


@dataclass(frozen=True)
class Given:
    """One cycle, as of an instant; `policy` and `raw` are folders of Parquet files."""

    raw: Path
    policy: Path
    country: str
    time_zone: str
    cycle: date
    now: datetime
    week_start: datetime
    week_end: datetime
    horizon: datetime
