"""An order warehouse that a Spark Connect server reads: tables of its catalog, or Parquet at a URL.

The weekly models read the tables in place, where the engine is. Of a table that DuckDB is to read,
the server first writes the contract's columns into a folder of ours, whole and once; the copies go
with the object that read them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb

from vibes_pipeline import spark_connect
from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.parquet import parts, sql_rows
from vibes_pipeline.settings import Lakehouse
from vibes_pipeline.warehouse.contract import CONTRACT, LOADS
from vibes_pipeline.warehouse.files import changed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

UTC = ZoneInfo("UTC")
# Spark's words for a path where nothing is.
NOTHING_THERE = "PATH_NOT_FOUND"


class LakehouseTables:
    """A lakehouse's tables, each in the state in which it was at the first query.

    The files that the server names tell whether a table was changed; where it names none, what
    `raw.loads` says. Every method raises `EngineError` when the server cannot be reached, or
    refuses.
    """

    def __init__(self, lakehouse: Lakehouse, spill: Path | None) -> None:
        self.lakehouse = lakehouse
        self.spill = spill

    @contextmanager
    def opened(self, connection: duckdb.DuckDBPyConnection) -> Iterator[frozenset[str]]:
        """The names of the tables that are there."""
        yield frozenset(self._first)

    def origins(self, connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, Lakehouse]:
        """A relation of a table's columns, without its rows → what an error about it names."""
        with self._told(f"could not describe raw.{table}"):
            described = self._rows(self._session, table).limit(0).toArrow()
        connection.register(f"described_{table}", described)
        return {f"described_{table}": self.lakehouse}

    def frames(
        self, connection: duckdb.DuckDBPyConnection, session: SparkSession, table: str
    ) -> dict[str, DataFrame]:
        """The table of such a relation, as a session reads it in place."""
        return {f"described_{table}": self._rows(session, table)}

    def copied(self, table: str, columns: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Copy a table; the SQL relation of the copy, if there is a row, with its columns.

        `columns` are SQL for each of the contract's columns in the table.
        """
        folder = Path(self._copies.name) / table
        types = CONTRACT[table].columns
        with self._told(f"could not copy raw.{table}"):
            stored = self._rows(self._session, table)
            rows = stored.selectExpr(*spark_connect.selected(columns, types))
            is_any = spark_connect.write(rows, folder, self.lakehouse.server)
        return {sql_rows(parts(folder)): {name: name for name in types}} if is_any else {}

    @property
    def folders(self) -> list[Path]:
        """Where the copies lie."""
        return [Path(self._copies.name)]

    def version(self) -> frozenset[tuple[str, frozenset[str]]] | None:
        """What changes with every load; None where it cannot be told of each table."""
        return frozenset(self._first.items()) if all(self._first.values()) else None

    def require_unchanged(self, tables: Collection[str]) -> None:
        """`WarehouseError` if one of the tables was loaded since the first query."""
        for table, state in self._states(self._first.keys() & set(tables)).items():
            if state != self._first[table]:
                raise changed(self._places[table])

    def culprit(self, error: duckdb.Error, tables: Collection[str]) -> None:
        """DuckDB reads copies: none of its errors is the lakehouse's."""

    @cached_property
    def _first(self) -> Mapping[str, frozenset[str]]:
        """The state of each table that is there, at the first query."""
        return self._states(self._places)

    def _states(self, tables: Collection[str]) -> Mapping[str, frozenset[str]]:
        """What tells whether each of the tables was changed."""
        with self._told("could not name the files of the tables"):
            files = {table: self._rows(self._session, table).inputFiles() for table in tables}
            loads = [] if all(files.values()) else self._loads()
        return {table: frozenset(named or loads) for table, named in files.items()}

    def _loads(self) -> list[str]:
        """What `raw.loads` says, if it is there."""
        if LOADS.name not in self._places:
            return []
        return [str(row) for row in self._rows(self._session, LOADS.name).toArrow().to_pylist()]

    @cached_property
    def _places(self) -> Mapping[str, str]:
        """The contract's tables that are there: each one's name in the catalog, or its URL."""
        place = self.lakehouse.place
        with self._told(f"could not list the tables of {place}"):
            if self.lakehouse.is_catalog:
                schema = _quoted(place)
                found = self._session.catalog.listTables(schema)
                names = {table.name for table in found if not table.isTemporary}
                return {name: f"{place}.{name}" for name in CONTRACT if name in names}
            tried = {name: self._found(f"{place}/{name}") for name in CONTRACT}
        return {name: urls[0] for name, urls in tried.items() if urls}

    def _found(self, url: str) -> list[str]:
        """Where a table's Parquet lies: in a folder, or a file, of its name."""
        found = [tried for tried in (url, f"{url}.parquet") if self._is_there(tried)]
        if len(found) > 1:
            raise WarehouseError(
                f"a table is there twice, as {' and as '.join(found)}; remove the one that is old"
            )
        return found

    def _is_there(self, url: str) -> bool:
        from pyspark.errors import AnalysisException

        try:
            # Sail gives a table without columns where nothing is.
            return bool(_read(self._session, self.lakehouse, url).columns)
        except AnalysisException as error:
            if NOTHING_THERE in str(error):
                return False
            raise

    def _rows(self, session: SparkSession, table: str) -> DataFrame:
        return _read(session, self.lakehouse, self._places[table])

    def _told(self, what: str) -> AbstractContextManager[None]:
        return spark_connect.told(self.lakehouse.server, what, way_out="")

    @cached_property
    def _session(self) -> SparkSession:
        session = spark_connect.open_session(self.lakehouse.server, UTC)
        spark_connect.close_after(self, session)
        return session

    @cached_property
    def _copies(self) -> TemporaryDirectory[str]:
        """A folder that goes with this object, or is found to be a killed process's."""
        if self.spill:
            self.spill.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(dir=self.spill, prefix=f"{os.getpid()}-tables-")


def _read(session: SparkSession, lakehouse: Lakehouse, place: str) -> DataFrame:
    if lakehouse.is_catalog:
        return session.table(_quoted(place))
    # Parts may have columns that others lack.
    return session.read.option("mergeSchema", "true").parquet(place)


def _quoted(dotted: str) -> str:
    return ".".join(map(spark_connect.identifier, dotted.split(".")))
