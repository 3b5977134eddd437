"""Opening the order warehouse: read-only, only while it is read, a busy file retried.

DuckDB lets one process write a file and locks out readers meanwhile, and the reverse. So the file
is attached for one query at a time; while its loader writes, we wait.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.warehouse.contract import CONTRACT, LOADS, RawTable

PATIENCE_SECONDS = 180.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True)
class Warehouse:
    """A DuckDB file with a schema `raw`, or a folder with a Parquet file or folder per table."""

    path: Path
    patience_seconds: float = PATIENCE_SECONDS

    @contextmanager
    def mounted(
        self, connection: duckdb.DuckDBPyConnection, tables: Collection[str]
    ) -> Iterator[None]:
        """Views `raw.<table>` of exactly the contract's columns, for as long as they are read.

        An optional table that is absent is an empty view. Raises `WarehouseError` that names what
        is missing or of a wrong type, or says that the file stayed busy.
        """
        if not tables:
            yield
            return
        with self._opened(connection) as origins:
            connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
            for table in (CONTRACT[name] for name in tables):
                connection.execute(
                    f"CREATE OR REPLACE VIEW raw.{table.name} AS "
                    + self._select(connection, table, origins.get(table.name, []))
                )
            yield

    def has_loads(self) -> bool:
        """Whether the warehouse says up to when its tables are complete."""
        return LOADS.name in self.tables()

    def tables(self) -> frozenset[str]:
        """The names of the contract's tables that are there."""
        with duckdb.connect() as connection, self._opened(connection) as origins:
            return frozenset(origins)

    @contextmanager
    def _opened(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Mapping[str, list[str]]]:
        """The parts to select each table from; a DuckDB file is attached meanwhile."""
        if not self.path.exists():
            raise WarehouseError(
                f"there is no warehouse at {self.path}; set VIBES_WAREHOUSE to a DuckDB file or a "
                "folder of Parquet, or make one with `vibes generate`"
            )
        if self.path.is_dir():
            yield self._parquet()
            return
        self._attach(connection)
        try:
            rows = connection.execute(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_catalog = 'order_warehouse' AND table_schema = 'raw'"
            ).fetchall()
            yield {name: [f'order_warehouse.raw."{name}"'] for (name,) in rows if name in CONTRACT}
        finally:
            connection.execute("DETACH order_warehouse")

    def _parquet(self) -> Mapping[str, list[str]]:
        origins = {}
        for name in CONTRACT:
            file, folder = self.path / f"{name}.parquet", self.path / name
            files = [file] if file.is_file() else sorted(folder.rglob("*.parquet"))
            if files:
                origins[name] = [f"read_parquet([{_literal(f)}])" for f in files]
        return origins

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        waited, pause = 0.0, FIRST_PAUSE_SECONDS
        while True:
            try:
                connection.execute(f"ATTACH {_literal(self.path)} AS order_warehouse (READ_ONLY)")
                return
            except duckdb.Error as error:
                if "could not set lock on file" not in str(error).lower():
                    raise WarehouseError(
                        f"{self.path} cannot be read as a DuckDB file: {_first_line(error)}"
                    ) from None
            if waited >= self.patience_seconds:
                raise WarehouseError(
                    f"{self.path} stayed locked by another process for {waited:.0f} seconds; let "
                    "its loader finish, or have it rename a fresh file into place"
                )
            time.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _select(
        self, connection: duckdb.DuckDBPyConnection, table: RawTable, origins: Sequence[str]
    ) -> str:
        """The table's rows out of all its parts, each of which must keep the contract."""
        for origin in origins:
            self._check(connection, table, origin)
        if origins:
            columns = ", ".join(table.columns)
            return " UNION ALL ".join(f"SELECT {columns} FROM {origin}" for origin in origins)
        if not table.is_optional:
            raise WarehouseError(
                f"{self.path} has no table raw.{table.name}; Rulebook §13 names it"
            )
        nulls = ", ".join(f"CAST(NULL AS {type_}) AS {c}" for c, type_ in table.columns.items())
        return f"SELECT {nulls} WHERE FALSE"

    def _check(self, connection: duckdb.DuckDBPyConnection, table: RawTable, origin: str) -> None:
        try:
            rows = connection.execute(f"DESCRIBE SELECT * FROM {origin}").fetchall()
        except duckdb.Error as error:
            raise WarehouseError(
                f"raw.{table.name} in {self.path} cannot be read: {_first_line(error)}"
            ) from None
        found = {name: type_ for name, type_, *_ in rows}
        for name, type_ in table.columns.items():
            if name not in found:
                raise WarehouseError(
                    f"raw.{table.name} in {self.path} has no column {name} {type_}"
                )
            if found[name] != type_:
                raise WarehouseError(
                    f"raw.{table.name}.{name} in {self.path} is {found[name]}; it must be {type_}"
                )


def _literal(path: Path) -> str:
    """A path as an SQL string; DuckDB takes no parameters where files are named."""
    return "'" + str(path).replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
