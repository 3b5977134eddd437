"""The engine on DuckDB: in memory, over Parquet; one engine serves one slot's folder.

Nothing is written to a database file: a model's rows go to a temporary Parquet file that is renamed
into place. The session's time zone is the policy's, so casts to DATE and weeks are local. The order
warehouse is attached for one query at a time; what all queries of one slot read of it is one state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from vibes_pipeline import parquet
from vibes_pipeline.engine.models import Model
from vibes_pipeline.errors import BrokenGrain
from vibes_pipeline.files import put_into_place
from vibes_pipeline.warehouse.source import Warehouse

Parameters = Mapping[str, date | datetime | str | int]


@dataclass(frozen=True)
class DuckDBEngine:
    """Runs models over one warehouse; `folder` holds the partitions, `stage/name.parquet`.

    What others put there, the ledger's history say, models read by the same names. `stand_ins`
    names, for a raw table, the model whose rows are read in its place. What is not in `folder` is
    read from `below`, which is never written to.
    """

    warehouse: Warehouse
    folder: Path
    time_zone: ZoneInfo
    policy: Mapping[str, pl.DataFrame] = field(repr=False)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    below: Path | None = None

    def partition(self, relation: str) -> Path:
        """Where a relation's rows lie, or will."""
        file = self.folder / _file(relation)
        if self.below is None or file.exists():
            return file
        return self.below / _file(relation)

    def write(self, relation: str, rows: pl.DataFrame) -> None:
        """Put rows that no model makes where models read them: the ledger's history, say."""
        with self._replaced(relation) as temporary:
            rows.write_parquet(temporary)

    def materialize(self, model: Model, parameters: Parameters) -> Path:
        """Run one model and write its partition; an existing one is replaced in one step.

        Raises `BrokenGrain`, and leaves the partition as it was, when rows are not what the model
        says one is.
        """
        with (
            self._replaced(model.relation) as temporary,
            self._query(model, parameters) as relation,
        ):
            relation.write_parquet(str(temporary), compression="zstd")
            require_grain(model, parquet.scan(temporary))
        return self.partition(model.relation)

    def evaluate(self, model: Model, parameters: Parameters) -> pl.DataFrame:
        """Run one model and give its rows without keeping them."""
        with self._query(model, parameters) as relation:
            frame: pl.DataFrame = relation.pl()
        return frame

    def read(self, relation: str) -> pl.DataFrame:
        """The rows of a partition made before."""
        return parquet.read(self.partition(relation))

    def scan(self, relation: str) -> pl.LazyFrame:
        """A partition made before, of which only what is asked for is read."""
        return parquet.scan(self.partition(relation))

    def _replaced(self, relation: str) -> AbstractContextManager[Path]:
        """A file to write a relation to, renamed into place once the block ends well."""
        return put_into_place(self.folder / _file(relation))

    @contextmanager
    def _query(self, model: Model, parameters: Parameters) -> Iterator[duckdb.DuckDBPyRelation]:
        raw = []
        for relation in model.depends_on:
            if relation in self.stand_ins:
                self._mount_partition(relation, self.stand_ins[relation])
            elif relation.startswith("raw."):
                raw.append(relation.removeprefix("raw."))
            else:
                self._mount(relation)
        given = {name: parameters[name] for name in model.parameters}
        with self.warehouse.mounted(self._connection, raw):
            yield self._connection.sql(model.sql, params=given)

    def _mount(self, relation: str) -> None:
        """Make one relation a model names, unless it is there; `raw.*` is the warehouse's."""
        schema, name = relation.split(".")
        if schema == "policy":
            if relation in self._mounted:
                return
            self._connection.execute("CREATE SCHEMA IF NOT EXISTS policy")
            self._connection.register("policy_frame", self.policy[name])
            self._connection.execute(f"CREATE TABLE {relation} AS SELECT * FROM policy_frame")
            self._connection.unregister("policy_frame")
            self._mounted[relation] = None
        else:
            self._mount_partition(relation, relation)

    def _mount_partition(self, relation: str, made: str) -> None:
        """Make a relation out of the partition of the model that made it.

        A view reads its file anew for each query: one that is there already stays.
        """
        file = self.partition(made)
        if self._mounted.get(relation) == file:
            return
        rows = parquet.sql_rows([file])
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {relation.split('.')[0]}")
        self._connection.execute(f"CREATE OR REPLACE VIEW {relation} AS SELECT * FROM {rows}")
        self._mounted[relation] = file

    @cached_property
    def _mounted(self) -> dict[str, Path | None]:
        """The relations that the connection has, each with its file; the policy's have none."""
        return {}

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        connection.execute(f"SET TimeZone = '{self.time_zone.key}'")
        connection.execute("SET preserve_insertion_order = false")
        return connection


def require_grain(model: Model, rows: pl.LazyFrame) -> None:
    """`BrokenGrain` when a key is repeated or null."""
    broken = model.grain.broken(rows)
    if not broken.is_empty():
        first = ", ".join(map(repr, broken.row(0)))
        raise BrokenGrain(
            f"{model.relation} has rows that break its grain ({model.grain}), such as {first}: the "
            f"fault is the pipeline's, in sql/{model.stage}/{model.name}.sql or in what it reads; "
            "nothing rests on them yet"
        )


def _file(relation: str) -> Path:
    stage, name = relation.split(".")
    return Path(stage) / f"{name}.parquet"
