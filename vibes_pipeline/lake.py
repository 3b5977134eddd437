"""Where a slot's partitions lie in the lake, and whether they are still there.

A model says what its partitions hold; `slots.old_partitions` says how long they are kept.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import UsageError

# Ending of the file that takes the place of a removed cycle folder and holds the day of removal.
MARKER = ".pruned"


def partition_folder(lake: Path, country: str, slot: Slot, period: date) -> Path:
    """Where the partitions of a slot's period lie, or will lie."""
    return lake / country / slot / period.isoformat()


def require_kept(folder: Path, cycle: date) -> None:
    """`UsageError` when the partitions of a cycle were removed because of their age."""
    marker = folder.with_name(f"{cycle}{MARKER}")
    if not folder.exists() and marker.exists():
        raise UsageError(
            f"the partitions of cycle {cycle} were removed on {marker.read_text().strip()} "
            "(`vibes prune --lake`); only a backup of the lake has them"
        )
