"""Opening the order warehouse: its tables as views of the contract's columns, always one state.

Here belong the views, and the errors for a warehouse that breaks the raw contract. `database_file`,
`parquet_folder` and `lakehouse` each open one form of a warehouse and keep it to one state.
"""

from __future__ import annotations

import stat
import weakref
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import duckdb

from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.memory import Memory
from vibes_pipeline.settings import Lakehouse, Settings
from vibes_pipeline.warehouse.contract import CONTRACT, VARCHAR, RawTable
from vibes_pipeline.warehouse.database_file import DatabaseFile
from vibes_pipeline.warehouse.files import no_access, unreadable
from vibes_pipeline.warehouse.lakehouse import LakehouseTables
from vibes_pipeline.warehouse.parquet_folder import ParquetFolder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

PATIENCE_SECONDS = 180.0

# DuckDB's names for the type of a column without a value. An INTEGER column may also have values.
UNTYPED, MAYBE_UNTYPED = '"NULL"', "INTEGER"

# SQL relations that together are a table's rows, with SQL for each of the contract's columns.
Origins = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Warehouse:
    """A DuckDB file with a schema `raw`, a folder with Parquet per table, or a lakehouse.

    One object reads one state of the warehouse, the state at its first query. If the loader has
    since changed what the object reads, a `WarehouseError` says so.
    """

    path: Path | Lakehouse
    patience_seconds: float = PATIENCE_SECONDS
    memory: Memory | None = None
    _checked: dict[str, Origins] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _selects: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _shown: WeakKeyDictionary[duckdb.DuckDBPyConnection, set[str]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )
    _shared: dict[Hashable, str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _numbers: Iterator[int] = field(default_factory=count, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, settings: Settings, patience_seconds: float = PATIENCE_SECONDS) -> Self:
        """The warehouse that the settings name, read within the memory that they allow."""
        return cls(settings.warehouse, patience_seconds, settings.memory)

    def connect(self, owner: object) -> duckdb.DuckDBPyConnection:
        """A connection to a DuckDB in memory, with schemas of its own that go with their owner.

        All connections of one object share one DuckDB: each one more would take 15 ms to make.
        """
        connection, catalog = self._memory.cursor(), f"session_{next(self._numbers)}"
        connection.execute(f"ATTACH ':memory:' AS {catalog}")
        connection.execute(f"USE {catalog}")
        weakref.finalize(owner, self._memory.execute, f"DETACH {catalog}").atexit = False
        return connection

    def shared(self, key: Hashable, make: Callable[[str], object]) -> str:
        """The name of a table that all connections read, made at the first request of its key.

        The key tells all that the rows follow from, but for the state of this warehouse.
        """
        if key not in self._shared:
            name = f"memory.main.shared_{len(self._shared)}"
            make(name)
            self._shared[key] = name
        return self._shared[key]

    def spill_folder(self) -> Path:
        """The name of a new folder for what is too much for memory; who asks removes it."""
        return self.memory.folder() if self.memory else Path(mkdtemp(prefix="vibes-"))

    @contextmanager
    def mounted(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Collection[str],
        checked: Collection[str] = (),
    ) -> Iterator[None]:
        """Views `raw.<table>` of exactly the contract's columns; they have rows in the block alone.

        An optional table that is absent is an empty view. The tables of `checked` are held to the
        contract, and to one state, without a view. Raises `WarehouseError` that names what is
        missing, unreadable or of a wrong type, or says that the file stayed busy or was changed.
        """
        read = {*tables, *checked}
        if not read:
            yield
            return
        with self._source.opened(connection) as there:
            try:
                for name in sorted(read - self._checked.keys()):
                    self._checked[name] = self._check(connection, CONTRACT[name], there)
                self._show(connection, tables)
                yield
            except duckdb.Error as error:
                self._source.require_unchanged(read)
                culprit = self._source.culprit(error, read)
                if culprit is not None:
                    raise unreadable(f"{culprit} cannot be read", error) from None
                raise
            self._source.require_unchanged(read)

    def frames(
        self, connection: duckdb.DuckDBPyConnection, session: SparkSession, name: str
    ) -> list[tuple[DataFrame, Mapping[str, str]]]:
        """The parts of a checked table as a Spark session reads them, none if it is absent.

        With each comes SQL for the contract's columns in it.
        """
        origins = self._checked[name]
        if not origins:
            return []
        frames = self.require_served().frames(connection, session, name)
        return [(rows, origins[origin]) for origin, rows in frames.items()]

    def require_served(self) -> ParquetFolder | LakehouseTables:
        """`WarehouseError` for a warehouse that is a DuckDB file, which only DuckDB reads."""
        if not isinstance(self._source, DatabaseFile):
            return self._source
        raise WarehouseError(
            f"{self.path} is a DuckDB file, which no other engine reads: set VIBES_WAREHOUSE to a "
            "folder of Parquet, or VIBES_ENGINE to duckdb"
        )

    def version(self) -> Hashable | None:
        """What changes with every load of the warehouse; None while it cannot be told."""
        try:
            return self._source.version()
        except OSError:
            return None

    def tables(self) -> frozenset[str]:
        """The names of the contract's tables that are there."""
        with self._source.opened(self._memory) as there:
            return there & CONTRACT.keys()

    @cached_property
    def _memory(self) -> duckdb.DuckDBPyConnection:
        return self.memory.database() if self.memory else duckdb.connect()

    @property
    def folders(self) -> list[Path]:
        """The folders of Parquet that the views read."""
        return [] if isinstance(self._source, DatabaseFile) else self._source.folders

    @cached_property
    def _source(self) -> DatabaseFile | ParquetFolder | LakehouseTables:
        if isinstance(self.path, Lakehouse):
            return LakehouseTables(self.path, self.memory.spill if self.memory else None)
        try:
            mode = self.path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise WarehouseError(
                f"there is no warehouse at {self.path}; set VIBES_WAREHOUSE to a DuckDB file or a "
                "folder of Parquet, or make one with `vibes generate`"
            ) from None
        except OSError as error:
            raise no_access(self.path, error) from None
        if stat.S_ISDIR(mode):
            return ParquetFolder(self.path)
        if stat.S_ISREG(mode):
            return DatabaseFile(self.path, self.patience_seconds)
        raise WarehouseError(
            f"{self.path} is neither a file nor a folder; set VIBES_WAREHOUSE to a DuckDB file or "
            "a folder of Parquet"
        )

    def _check(
        self, connection: duckdb.DuckDBPyConnection, table: RawTable, there: Collection[str]
    ) -> Origins:
        """The parts of a table, none if it is absent; each part must keep the contract."""
        if table.name in there:
            try:
                return {
                    origin: _columns(connection, table, origin, place)
                    for origin, place in self._source.origins(connection, table.name).items()
                }
            except duckdb.Error as error:
                self._source.require_unchanged([table.name])
                raise unreadable(f"raw.{table.name} in {self.path} cannot be read", error) from None
        if not table.is_optional:
            raise WarehouseError(
                f"{self.path} has no table raw.{table.name}; Rulebook §13 names it"
            )
        return {}

    def _show(self, connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> None:
        """Make the views of checked tables that the connection does not have yet."""
        shown = self._shown.setdefault(connection, set())
        if not shown:
            connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        for name in [table for table in tables if table not in shown]:
            select = self._select(CONTRACT[name])
            connection.execute(f"CREATE OR REPLACE VIEW raw.{name} AS {select}")
            shown.add(name)

    def _select(self, table: RawTable) -> str:
        """SQL for a checked table's rows from all its parts."""
        if table.name not in self._selects:
            origins = self._checked[table.name]
            if origins and isinstance(self._source, LakehouseTables):
                (columns,) = origins.values()
                origins = self._source.copied(table.name, columns)
            selects = (_select(columns, origin) for origin, columns in origins.items())
            self._selects[table.name] = " UNION ALL ".join(selects) or _no_row(table)
        return self._selects[table.name]


@dataclass
class SteadyWarehouse:
    """The warehouse for who runs one slot after another: one object while nothing is loaded.

    So what a slot has made of the warehouse alone serves the next one too.
    """

    settings: Settings
    _latest: Warehouse | None = field(default=None, init=False)
    _version: Hashable | None = field(default=None, init=False)

    def now(self) -> Warehouse:
        """The warehouse as it is now, at the beginning of a slot."""
        warehouse = Warehouse.of(self.settings)
        version = warehouse.version()
        if self._latest is None or version is None or version != self._version:
            self._latest, self._version = warehouse, version
        return self._latest


def _no_row(table: RawTable) -> str:
    nulls = ", ".join(f"CAST(NULL AS {type_}) AS {c}" for c, type_ in table.columns.items())
    return f"SELECT {nulls} WHERE FALSE"


def _select(columns: Mapping[str, str], origin: str) -> str:
    return f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in columns.items())} FROM {origin}"


def _columns(
    connection: duckdb.DuckDBPyConnection, table: RawTable, origin: str, place: Path | Lakehouse
) -> dict[str, str]:
    """SQL for each of the contract's columns in `origin`; `WarehouseError` for a wrong column.

    Columns of a lakehouse are of the types that they are declared with, whatever their rows.
    """
    is_declared = isinstance(place, Lakehouse)
    rows = connection.execute(f"DESCRIBE SELECT * FROM {origin}").fetchall()
    found = {name: type_ for name, type_, *_ in rows}
    columns = {}
    for name, type_ in table.columns.items():
        if name not in found:
            raise WarehouseError(f"raw.{table.name} in {place} has no column {name} {type_}")
        if found[name] == type_:
            columns[name] = name
        elif found[name] in (UNTYPED, type_.replace(VARCHAR, UNTYPED)):
            columns[name] = f"CAST({name} AS {type_})"
        elif (
            found[name] == MAYBE_UNTYPED and not is_declared and _is_null(connection, origin, name)
        ):
            columns[name] = f"CAST(NULL AS {type_})"
        else:
            raise WarehouseError(
                f"raw.{table.name}.{name} in {place} is {found[name]}; it must be {type_}"
            )
    return columns


def _is_null(connection: duckdb.DuckDBPyConnection, origin: str, column: str) -> bool:
    """Whether no row of an origin has a value in the column."""
    return connection.execute(f"SELECT count({column}) FROM {origin}").fetchall() == [(0,)]
