"""Where a slot's partitions lie in the lake, and whether they are there still.

What a partition holds is its model's business; how long it is kept is `slots.old_partitions`'s.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import UsageError

# Beside a cycle's folder, in its place: when its partitions were removed.
MARKER = ".pruned"


def partition_folder(lake: Path, country: str, slot: Slot, period: date) -> Path:
    """Where the partitions of a slot's period lie, or will."""
    return lake / country / slot / period.isoformat()


def require_kept(folder: Path, cycle: date) -> None:
    """`UsageError` when the partitions of a cycle were removed because of their age."""
    marker = folder.with_name(f"{cycle}{MARKER}")
    if not folder.exists() and marker.exists():
        raise UsageError(
            f"the partitions of cycle {cycle} were removed on {marker.read_text().strip()} "
            "(`vibes prune --lake`); only a backup of the lake has them"
        )
