"""The engine on DuckDB: each query in a connection of its own, in memory, over Parquet.

Nothing is written to a database file: a model's rows go to a temporary Parquet file that is renamed
into place. The session's time zone is the policy's, so casts to DATE and weeks are local.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from vibes_pipeline.engine.models import Model
from vibes_pipeline.warehouse.source import Warehouse

Parameter = date | datetime | str | int


@dataclass(frozen=True)
class Inputs:
    """What models run on: a folder of partitions, parameters and the policy's tables.

    `folder` holds one slot's partitions, `stage/name.parquet`; ledger history lies there too.
    """

    folder: Path
    time_zone: ZoneInfo
    parameters: Mapping[str, Parameter]
    policy: Mapping[str, pl.DataFrame] = field(repr=False)

    def partition(self, relation: str) -> Path:
        """Where a relation's rows of this slot lie."""
        stage, name = relation.split(".")
        return self.folder / stage / f"{name}.parquet"


@dataclass(frozen=True)
class DuckDBEngine:
    """Runs models over one warehouse."""

    warehouse: Warehouse
    temporary_folder: Path | None = None

    def materialize(self, model: Model, inputs: Inputs) -> Path:
        """Run one model and write its partition; an existing one is replaced in one step."""
        target = inputs.partition(model.relation)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        try:
            with self._session(model, inputs) as connection:
                self._relation(connection, model, inputs).write_parquet(
                    str(temporary), compression="zstd"
                )
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def evaluate(self, model: Model, inputs: Inputs) -> pl.DataFrame:
        """Run one model and give its rows without keeping them."""
        with self._session(model, inputs) as connection:
            return self._relation(connection, model, inputs).pl()

    def read(self, model: Model, inputs: Inputs) -> pl.DataFrame:
        """The rows of a partition made before."""
        return pl.read_parquet(inputs.partition(model.relation))

    def _relation(
        self, connection: duckdb.DuckDBPyConnection, model: Model, inputs: Inputs
    ) -> duckdb.DuckDBPyRelation:
        given = {name: inputs.parameters[name] for name in model.parameters}
        return connection.sql(model.sql, params=given)

    @contextmanager
    def _session(self, model: Model, inputs: Inputs) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = '{inputs.time_zone.key}'")
            connection.execute("SET preserve_insertion_order = false")
            if self.temporary_folder is not None:
                connection.execute(f"SET temp_directory = '{self.temporary_folder}'")
            if model.reads_raw:
                self.warehouse.mount(connection)
            for relation in model.depends_on:
                _mount(connection, relation, inputs)
            yield connection


def _mount(connection: duckdb.DuckDBPyConnection, relation: str, inputs: Inputs) -> None:
    """Make one relation a model names; `raw.*` is there already."""
    schema, name = relation.split(".")
    if schema == "raw":
        return
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    if schema == "policy":
        frame = inputs.policy[name]
        connection.register(f"policy_{name}", frame)
        connection.execute(f"CREATE TABLE policy.{name} AS SELECT * FROM policy_{name}")
    else:
        file = str(inputs.partition(relation)).replace("'", "''")
        connection.execute(f"CREATE VIEW {relation} AS SELECT * FROM read_parquet('{file}')")
