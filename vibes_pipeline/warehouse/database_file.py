"""An order warehouse that is one DuckDB file: attached for one query at a time, always one state.

While one process writes a DuckDB file, DuckDB locks out readers; while one reads it, writers. So
we attach the file only while a query runs, and wait while it is locked. Between queries we hold it
open without a lock: we can still read it when another file is renamed over it, and we see when it
was written into.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from vibes_pipeline.errors import BusyWarehouse, WarehouseError
from vibes_pipeline.parquet import sql_text
from vibes_pipeline.warehouse.files import Version, changed, no_access, unreadable, version_of

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0

# Through this folder Linux opens again a file that we hold open, even if another has its name now.
HELD_FILES = Path("/proc/self/fd")
# Endings of the logs that a killed writer leaves beside its file.
LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")


class DatabaseFile:
    """A DuckDB file in the state in which it was first attached."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        self.path = path
        self.patience_seconds = patience_seconds
        self._held: _HeldFile | None = None

    @contextmanager
    def opened(self, connection: duckdb.DuckDBPyConnection) -> Iterator[frozenset[str]]:
        """The names of the tables in its schema `raw`; the file is attached meanwhile."""
        self._held = self._attach(connection)
        try:
            self._require_no_log()
            rows = connection.execute(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_catalog = 'order_warehouse' AND table_schema = 'raw'"
            ).fetchall()
            yield frozenset(name for (name,) in rows)
        finally:
            connection.execute("DETACH order_warehouse")

    def origins(self, connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, Path]:
        """The SQL relation of a table's rows → the path that an error about it names."""
        return {f'order_warehouse.raw."{table}"': self.path}

    def version(self) -> Version | None:
        """What changes with every load; None where only a look into the file tells."""
        logs = [self.path.with_name(self.path.name + ending) for ending in LOGS]
        if any(log.exists() for log in logs):
            return None
        return version_of(self.path.stat())

    def require_unchanged(self, tables: Collection[str]) -> None:
        """`WarehouseError` if the file was written into since it was first attached."""
        if self._held is not None and self._held.is_written_into():
            raise changed(self.path)

    def culprit(self, error: duckdb.Error, tables: Collection[str]) -> Path | None:
        """The file if DuckDB's error is about it, else None."""
        signs = (f'"{self.path}"', '"/proc/', "Corrupt database file")
        return self.path if any(sign in str(error) for sign in signs) else None

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> _HeldFile:
        waited, pause = 0.0, FIRST_PAUSE_SECONDS
        while (held := self._attached(connection)) is None:
            if waited >= self.patience_seconds:
                lasted = f"stayed locked by another process for {waited:.0f} seconds"
                raise BusyWarehouse(
                    f"{self.path} {lasted if waited else 'is locked by another process'}; let its "
                    "loader finish, or have it rename a fresh file into place"
                )
            time.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE_SECONDS)
        return held

    def _attached(self, connection: duckdb.DuckDBPyConnection) -> _HeldFile | None:
        """Attach the file that was attached first; None while it is locked or being replaced."""
        held = self._held or _HeldFile(self.path)
        is_in_place = held.is_in_place()
        if not is_in_place and not HELD_FILES.exists():
            raise changed(self.path)
        place = self.path if is_in_place else HELD_FILES / str(held.descriptor)
        try:
            connection.execute(
                f"ATTACH {sql_text(place)} AS order_warehouse (READ_ONLY, TYPE duckdb)"
            )
        except duckdb.Error as error:
            if "could not set lock on file" in str(error).lower():
                return None
            self._require_no_log()
            raise unreadable(f"{self.path} cannot be read as a DuckDB file", error) from None
        if is_in_place and not held.is_in_place():
            # Another file took its name meanwhile: nobody can tell which of the two is attached.
            connection.execute("DETACH order_warehouse")
            return None
        return held

    def _require_no_log(self) -> None:
        """`WarehouseError` if a log lies beside the file: of a load cut short, or of another file.

        DuckDB cannot always tell which of the two it is, and only some of a slot's queries would
        see the log's rows.
        """
        if self._held is not None and not self._held.is_in_place():
            return
        for log in (self.path.with_name(self.path.name + ending) for ending in LOGS):
            if log.exists() and log.stat().st_size:
                raise WarehouseError(
                    f"{log} lies beside the warehouse: its loader was cut short, or has renamed a "
                    "file into place and left the old one's log; let it open and close the file, "
                    "or delete the log"
                )


class _HeldFile:
    """A file held open for as long as this object exists."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise no_access(path, error) from None
        weakref.finalize(self, os.close, self.descriptor)
        self._version = version_of(os.fstat(self.descriptor))

    def is_in_place(self) -> bool:
        """Whether the path still leads to this file."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.descriptor))
        except OSError:
            return False

    def is_written_into(self) -> bool:
        """Whether the file's content has changed since it was opened."""
        return version_of(os.fstat(self.descriptor)) != self._version
