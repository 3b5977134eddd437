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

import duckdb

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.parquet import sql_paths, sql_rows
from vibes_pipeline.warehouse.contract import CONTRACT
from vibes_pipeline.warehouse.files import Version, changed, no_access, version_of

# How the names of other files in a table's folder begin, such as those of Spark, Delta and Hudi.
NOT_A_PART = ("_", ".")


class ParquetFolder:
    """A folder with one Parquet file or folder per table, as it was at the first query."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self, connection: duckdb.DuckDBPyConnection) -> Iterator[frozenset[str]]:
        """The names of the tables that have a part."""
        yield frozenset(table for table, parts in self._tables.items() if parts)

    def origins(self, connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, Path]:
        """SQL relations that together are a table's rows → the path that an error about each names.

        All parts of one schema are one relation: hundreds of parts have only a few schemas.
        """
        parts = list(self._tables[table])
        if len(parts) == 1:
            return {sql_rows(parts): self.path}
        groups = connection.execute(
            "SELECT list(file_name ORDER BY file_name) AS files FROM ("
            "SELECT file_name, list((name, duckdb_type, type, logical_type, converted_type, "
            "num_children, repetition_type, precision, scale) ORDER BY column_id) AS columns "
            f"FROM parquet_schema({sql_paths(parts)}) GROUP BY file_name"
            ") GROUP BY columns ORDER BY files"
        ).fetchall()
        of_schemas = [[Path(name) for name in names] for (names,) in groups]
        if len(of_schemas) == 1:
            return {sql_rows(of_schemas[0]): self.path}
        return {sql_rows(alike): alike[0] for alike in of_schemas}

    def version(self) -> frozenset[tuple[Path, Version]]:
        """What changes with every load."""
        return frozenset(part for parts in self._tables.values() for part in parts.items())

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
        parts = [part for table in tables for part in self._tables[table]]
        named = [part for part in parts if str(part) in str(error)]
        if not named and type(error) is duckdb.Error:
            named = [part for part in parts if not _is_readable(part)]
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
    file, parts = folder / f"{table}.parquet", folder / table
    if parts.is_dir():
        if os.path.lexists(file):
            raise WarehouseError(
                f"raw.{table} is there twice, as {file} and as {parts}; remove the one that is old"
            )
        return _below(parts)
    if file.is_dir():
        return _below(file)
    # A broken link counts as a file: it is a mistake to report, not an absent table.
    return [file] if os.path.lexists(file) else []


def _below(top: Path) -> list[Path]:
    """The parts in a table's folder and in the folders in it."""
    found = []
    for folder, names, files in os.walk(top, onerror=_raise, followlinks=True):
        names[:] = [name for name in names if not name.startswith(NOT_A_PART)]
        found += [
            Path(folder, name)
            for name in files
            if name.endswith(".parquet") and not name.startswith(NOT_A_PART)
        ]
    return sorted(found)


def _is_readable(part: Path) -> bool:
    """Whether every value of a part can be read."""
    with duckdb.connect() as connection:
        try:
            connection.execute(f"SELECT sum(hash(COLUMNS(*))) FROM {sql_rows([part])}")
        except duckdb.Error:
            return False
    return True


def _raise(error: OSError) -> None:
    raise error
