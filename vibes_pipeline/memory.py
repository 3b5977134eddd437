"""How much memory DuckDB may hold, and the folder for what does not fit into it.

Here belongs the making of every DuckDB that reads a warehouse or partitions, whatever their size.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_numbers = count(1)
# DuckDB's words for a size.
_MEBIBYTES = {"bytes": 2**-20, "KiB": 2**-10, "MiB": 1, "GiB": 2**10, "TiB": 2**20}


@dataclass(frozen=True)
class Memory:
    """A limit such as `4GB` or `60%`, and the folder that holds the rest while a query runs."""

    limit: str
    spill: Path

    def database(self) -> duckdb.DuckDBPyConnection:
        """A new DuckDB in memory. Its own folder below `spill` is made once it is needed."""
        import duckdb

        folder = str(self.folder())
        return duckdb.connect(config={"memory_limit": self.limit, "temp_directory": folder})

    def folder(self) -> Path:
        """The name of a new folder below `spill`; when this process is killed, others remove it."""
        self.spill.mkdir(parents=True, exist_ok=True)
        self._remove_what_killed_processes_left()
        return self.spill / f"{os.getpid()}-{next(_numbers)}"

    def _remove_what_killed_processes_left(self) -> None:
        for folder in self.spill.iterdir():
            if not _is_running(folder.name.partition("-")[0]):
                shutil.rmtree(folder, ignore_errors=True)


def in_mebibytes(limit: str) -> int:
    """How much a limit such as `4GB` or `60%` is on this machine, as DuckDB reads it."""
    import duckdb

    with duckdb.connect(config={"memory_limit": limit}) as connection:
        (text,) = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0]
    number, unit = text.split()
    return int(float(number) * _MEBIBYTES[unit])


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        # Another user's process, or a folder that is none of ours.
        return True
    return True
