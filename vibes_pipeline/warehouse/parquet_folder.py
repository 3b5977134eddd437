"""An order warehouse that is a folder of Parquet: which files belong to which table.

A table is one file, or a folder of parts, also in subfolders. The parts are listed once, at the
first query: parts that come later are not read, and a part that was replaced or removed is an
error.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.parquet import parts, sql_paths, sql_rows
from vibes_pipeline.spark_connect import plain
from vibes_pipeline.warehouse.contract import CONTRACT
from vibes_pipeline.warehouse.files import Version, changed, no_access, version_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession


class ParquetFolder:
    """A folder with one Parquet file or folder per table, as it was at the first query."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self, connection: duckdb.DuckDBPyConnection) -> Iterator[frozenset[str]]:
        """The names of the tables that have a part."""
        yield frozenset(table for table, files in self._tables.items() if files)

    def origins(self, connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, Path]:
        """SQL relations that together are a table's rows → the path that an error about each names.

        All parts of one schema are one relation: hundreds of parts have only a few schemas.
        """
        of_schemas = self.of_schemas(connection, table)
        if len(of_schemas) == 1:
            return {sql_rows(of_schemas[0]): self.path}
        return {sql_rows(alike): alike[0] for alike in of_schemas}

    def of_schemas(self, connection: duckdb.DuckDBPyConnection, table: str) -> list[list[Path]]:
        """A table's parts, those of one schema together."""
        files = list(self._tables[table])
        if len(files) == 1:
            return [files]
        groups = connection.execute(
            "SELECT list(file_name ORDER BY file_name) AS files FROM ("
            "SELECT file_name, list((name, duckdb_type, type, logical_type, converted_type, "
            "num_children, repetition_type, precision, scale) ORDER BY column_id) AS columns "
            f"FROM parquet_schema({sql_paths(files)}) GROUP BY file_name"
            ") GROUP BY columns ORDER BY files"
        ).fetchall()
        return [[Path(name) for name in names] for (names,) in groups]

    def frames(
        self, connection: duckdb.DuckDBPyConnection, session: SparkSession, table: str
    ) -> dict[str, DataFrame]:
        """The parts of each such relation, as a Spark session reads them."""
        of_schemas = self.of_schemas(connection, table)
        return {sql_rows(files): session.read.parquet(*map(plain, files)) for files in of_schemas}

    @property
    def folders(self) -> list[Path]:
        """Where the parts lie."""
        return [self.path]

    def version(self) -> frozenset[tuple[Path, Version]]:
        """What changes with every load."""
        return frozenset(part for files in self._tables.values() for part in files.items())

    def require_unchanged(self, tables: Collection[str]) -> None:
        """`WarehouseError` that names a part of the tables that was changed or removed."""
        for table in tables:
            for part, version in self._tables[table].items():
                try:
                    is_same = version_of(part.stat()) == version
                except OSError:
                    is_same = False
                if not is_same:
                    raise changed(part)

    def culprit(self, error: duckdb.Error, tables: Collection[str]) -> Path | None:
        """The part of the tables that DuckDB's error is about, else None.

        An error from below DuckDB's SQL may name no file: then each part is tried.
        """
        files = [part for table in tables for part in self._tables[table]]
        named = [part for part in files if str(part) in str(error)]
        if not named and type(error) is duckdb.Error:
            named = [part for part in files if not _is_readable(part)]
        return named[0] if named else None

    @cached_property
    def _tables(self) -> Mapping[str, Mapping[Path, Version]]:
        """The parts of each table."""
        try:
            return {
                table: {part: version_of(part.stat()) for part in _parts(self.path, table)}
                for table in CONTRACT
            }
        except OSError as error:
            raise no_access(self.path, error) from None


def _parts(folder: Path, table: str) -> list[Path]:
    """A table's Parquet files: one, or those in its folder, `sellers` or `sellers.parquet`."""
    file, several = folder / f"{table}.parquet", folder / table
    if several.is_dir():
        if os.path.lexists(file):
            raise WarehouseError(
                f"raw.{table} is there twice, as {file} and as {several}; remove the one that is "
                "old"
            )
        return parts(several)
    # A broken link counts as a file: it is a mistake to report, not an absent table.
    return parts(file) if os.path.lexists(file) else []


def _is_readable(part: Path) -> bool:
    """Whether every value of a part can be read."""
    with duckdb.connect() as connection:
        try:
            connection.execute(f"SELECT sum(hash(COLUMNS(*))) FROM {sql_rows([part])}")
        except duckdb.Error:
            return False
    return True
