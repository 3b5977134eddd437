"""A warehouse's files: how to see that a file was changed, and the errors about a file.

Here belongs what a DuckDB file and a Parquet part have in common; each has its own module.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from vibes_pipeline.errors import WarehouseError, first_line

# Device, inode, size, time of the last write in nanoseconds.
Version = tuple[int, int, int, int]

# Words in the cause why a file cannot be read → what the user can do about it.
WAYS_OUT = {
    "storage version number": f"write it as DuckDB {duckdb.__version__} reads it, or as Parquet",
    "encrypted": "no key is known here: write it unencrypted",
    "Permission denied": "let the user that this runs as read it",
    "not a valid DuckDB database file": "write it as DuckDB, or name another in VIBES_WAREHOUSE",
}
WRITE_ANEW = "write it anew"


def version_of(found: os.stat_result) -> Version:
    """A value that changes when a file is written into, or another is renamed over it."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def changed(place: Path | str) -> WarehouseError:
    """The error for a file, or a table, that was changed after we first read it."""
    return WarehouseError(
        f"{place} was changed while it was read; run the same again: it reads one state of the "
        "warehouse, or nothing"
    )


def unreadable(what: str, error: Exception | str) -> WarehouseError:
    """The error for something that cannot be read, with its cause and the way out, in one line."""
    cause = first_line(error)
    ways_out = [way_out for fragment, way_out in WAYS_OUT.items() if fragment in cause]
    return WarehouseError(f"{what}: {cause}; {(ways_out or [WRITE_ANEW])[0]}")


def no_access(path: Path, error: OSError) -> WarehouseError:
    """The error for a file or folder that the system does not let us look at."""
    return unreadable(f"{error.filename or path} cannot be read", error.strerror or str(error))
