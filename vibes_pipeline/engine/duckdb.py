"""The engine on DuckDB: in memory, over Parquet; one engine serves one slot's folder.

Nothing is written to a database file: a model's rows go to a temporary Parquet file that is renamed
into place. Rows of the warehouse that several models read are in a file that goes with the engine.
What follows from warehouse and policy alone is made once for all engines over one `Warehouse`.
The session's time zone is the policy's, so casts to DATE and weeks are local. The order warehouse
is attached for one query at a time; all queries of one slot read the same state of it.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from vibes_pipeline import parquet
from vibes_pipeline.engine.models import Model, load_models
from vibes_pipeline.engine.protocol import Engine, Parameters, require_grain
from vibes_pipeline.files import put_into_place
from vibes_pipeline.settings import Lakehouse

if TYPE_CHECKING:
    from vibes_pipeline.engine.remote import Remote

# The table that grows with the marketplace.
ITEMS = "raw.order_items"
# Snappy: zstd takes half as much processor again, for a fifth fewer bytes. No dictionaries: most
# columns hold ids and times, and looking for repeated values takes half as much again, for nothing.
PARQUET = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION snappy, DICTIONARY_SIZE_LIMIT 1"
# What is held is read a few times, soon, and goes then.
HELD = PARQUET.replace("snappy", "uncompressed")


@dataclass(frozen=True)
class Same:
    """Rows as a part of a key: only the very same frame has the same key."""

    rows: pl.DataFrame

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.rows is other.rows

    def __hash__(self) -> int:
        return id(self.rows)


@dataclass(frozen=True)
class DuckDBEngine(Engine):
    """Runs models in a DuckDB of this process; a partition is one file."""

    def materialize(self, model: Model, parameters: Parameters) -> None:
        """Run one model and keep its rows.

        An ephemeral model's are held until released, or made anew for each reader.
        """
        self.ran["computed_by"] = f"DuckDB {duckdb.__version__}, within the run's own process"
        if model.is_ephemeral:
            self._hold(model, parameters)
            return
        with put_into_place(self.partition(model.relation)) as temporary:
            self._copy(model, parameters, temporary, PARQUET)
            require_grain(model, parquet.scan(temporary))

    def evaluate(self, model: Model, parameters: Parameters) -> pl.DataFrame:
        """Run one model and return its rows without keeping them."""
        with self._given(model, parameters) as (select, given):
            frame: pl.DataFrame = self._connection.sql(select, params=given).pl()
        return frame

    def release(self) -> None:
        """Let go of the ephemeral relations."""
        for model in load_models().values():
            if model.is_ephemeral and model.relation in self._mounted:
                kind = self._mounted.pop(model.relation)
                self._connection.execute(f"DROP {kind} {model.relation}")
                if model.reads_raw:
                    self._held_file(model.relation).unlink(missing_ok=True)

    @contextmanager
    def _given(self, model: Model, parameters: Parameters) -> Iterator[tuple[str, Parameters]]:
        """The model's SELECT and what it takes, while the relations that it reads are there.

        What is asked of a lakehouse's order items is asked where they are: here is read the answer.
        """
        raw = [relation for relation in model.depends_on if self._is_stored(relation)]
        for relation in model.depends_on:
            if relation not in raw:
                self._mount(relation, parameters)
        if ITEMS in raw and self._elsewhere:
            others = {
                relation: self._connection.sql(f"FROM {relation}")
                for relation in model.depends_on
                if relation not in raw and not relation.startswith("policy.")
            }
            yield self._elsewhere.answered(model, parameters, others), {}
            return
        with self.warehouse.mounted(self._connection, [r.removeprefix("raw.") for r in raw]):
            yield model.sql, {name: parameters[name] for name in model.parameters}

    def _is_stored(self, relation: str) -> bool:
        """Whether a relation is a table of the order warehouse."""
        return relation.startswith("raw.")

    def _mount(self, relation: str, parameters: Parameters) -> None:
        """Make a relation that a model names, unless the session has it.

        An existing view stays: it reads its file anew for each query. An ephemeral relation is
        made by running its model.
        """
        if relation in self._mounted:
            return
        schema, name = relation.split(".")
        if schema == "policy":
            values = self.policy[name]
            self._share(relation, Same(values), lambda table: self._fill(table, values))
        elif (model := load_models().get(relation)) and model.is_ephemeral:
            self._hold(model, parameters)
        else:
            rows = parquet.sql_rows(parquet.parts(self.partition(relation)))
            self._define("VIEW", relation, f"FROM {rows}")

    def _hold(self, model: Model, parameters: Parameters) -> None:
        """Keep one model's rows until they are released: those read from the warehouse in a file.

        They may be most of the warehouse, and as a table would fill the memory.
        """
        if not model.reads_raw:
            self._hold_in_session(model, parameters)
            return
        with put_into_place(self._held_file(model.relation)) as temporary:
            self._copy(model, parameters, temporary, HELD)
        rows = parquet.sql_rows([self._held_file(model.relation)])
        self._define("VIEW", model.relation, f"FROM {rows}")

    def _hold_in_session(self, model: Model, parameters: Parameters) -> None:
        """Make one model a table of the session, or a view where the model may be one."""
        with self._given(model, parameters) as (select, given):
            kind = "VIEW" if model.is_view else "TABLE"
            self._define(kind, model.relation, select, given or None)

    def _copy(self, model: Model, parameters: Parameters, file: Path, written: str) -> None:
        """Write one model's rows to a file, with DuckDB's options of writing."""
        with self._given(model, parameters) as (select, given):
            place = parquet.sql_text(file)
            self._connection.execute(f"COPY (\n{select}\n) TO {place} ({written})", given)

    def _held_file(self, relation: str) -> Path:
        return self._held_in / f"{relation}.parquet"

    def _share(self, relation: str, key: Hashable, rows: Callable[[str], object]) -> None:
        """Show a table as a relation of the session that all sessions over the warehouse share.

        `rows` makes the table of a name, unless an earlier session has; the key tells what they
        follow from besides the warehouse and the local time.
        """
        table = self.warehouse.shared((relation, self.time_zone.key, key), rows)
        self._define("VIEW", relation, f"FROM {table}")
        self._shared[relation] = table

    def _put(self, relation: str, rows: pl.DataFrame) -> None:
        """Make a table of the session out of rows."""
        self._define_schema(relation)
        self._fill(relation, rows)
        self._note(relation, "TABLE")

    def _fill(self, table: str, rows: pl.DataFrame) -> None:
        """Make a table out of rows."""
        self._connection.register("given_rows", rows)
        self._connection.execute(f"CREATE OR REPLACE TABLE {table} AS FROM given_rows")
        self._connection.unregister("given_rows")

    def _define(
        self, kind: str, relation: str, select: str, given: Parameters | None = None
    ) -> None:
        """Make a view or a table of the session out of a SELECT."""
        self._define_schema(relation)
        self._connection.execute(f"CREATE OR REPLACE {kind} {relation} AS\n{select}", given)
        self._note(relation, kind)

    def _note(self, relation: str, kind: str) -> None:
        self._mounted[relation] = kind
        self._shared.pop(relation, None)

    def _define_schema(self, relation: str) -> None:
        schema = relation.split(".")[0]
        if schema not in self._schemas:
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self._schemas.add(schema)

    @cached_property
    def _mounted(self) -> dict[str, str]:
        """The relations that the session has, each with its kind; raw tables are not among them."""
        return {}

    @cached_property
    def _schemas(self) -> set[str]:
        """The schemas that the session has for them."""
        return set()

    @cached_property
    def _shared(self) -> dict[str, str]:
        """Those of its relations that show a shared table, each with the table."""
        return {}

    @cached_property
    def _held_in(self) -> Path:
        """The folder of the files that hold ephemeral relations; it goes with the engine."""
        folder = self.warehouse.spill_folder()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    @cached_property
    def _elsewhere(self) -> Remote | None:
        """Where the tables of a lakehouse are; None for a warehouse that DuckDB reads itself."""
        if not isinstance(self.warehouse.path, Lakehouse):
            return None
        # What writes SQL for a cluster takes a while to import.
        from vibes_pipeline.engine.remote import Remote

        return Remote.over(self)

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection = self.warehouse.connect(self)
        connection.execute(f"SET TimeZone = '{self.time_zone.key}'")
        connection.execute("SET preserve_insertion_order = false")
        return connection
