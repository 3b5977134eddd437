"""The engine over Spark Connect: the same SQL on Spark, Databricks or Sail, into the same folders.

Relations are temporary views of the session; a partition is a folder of Parquet files that the
server writes, renamed into place as one. Server and pipeline read and write the same folders, under
the same paths. The raw contract is checked here, by the same code as for DuckDB.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from vibes_pipeline import parquet, spark_connect
from vibes_pipeline.engine.declared import Declared, Types
from vibes_pipeline.engine.models import Model, load_models
from vibes_pipeline.engine.protocol import Engine, Parameters, require_grain
from vibes_pipeline.engine.spark_sql import spark_sql, view_name
from vibes_pipeline.files import put_into_place
from vibes_pipeline.spark_connect import plain, selected
from vibes_pipeline.warehouse.contract import CONTRACT

# The parameter that no message may repeat, whatever the server quotes of a query.
SECRET = "customer_key"

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession


@dataclass(frozen=True)
class SparkEngine(Engine):
    """Runs models on a Spark Connect server, `sc://host:port`; a partition is a folder of files.

    Every method raises `EngineError` when the server cannot be reached, is unfit or refuses.
    """

    url: str = field(repr=False, default="")

    def materialize(self, model: Model, parameters: Parameters) -> None:
        """Run one model and keep its rows; an ephemeral model becomes a view."""
        if model.is_ephemeral:
            self._hold(model, parameters)
            return
        self.ran.clear()
        with put_into_place(self.partition(model.relation)) as temporary:
            with self._rows(model, parameters) as rows:
                if not spark_connect.write(rows, temporary, self.url):
                    temporary.mkdir(exist_ok=True)
                    none = self._declared.empty(model.relation)
                    none.write_parquet(temporary / "empty.parquet")
            require_grain(model, parquet.scan(temporary))
        self.ran["computed_by"] = self._server
        self._forget(model.relation)

    def write(self, relation: str, rows: pl.DataFrame) -> None:
        """Put rows that no model makes where models read them."""
        super().write(relation, rows)
        self._forget(relation)

    def evaluate(self, model: Model, parameters: Parameters) -> pl.DataFrame:
        """Run one model and return its rows without keeping them."""
        with self._rows(model, parameters) as rows:
            found = pl.DataFrame(rows.toArrow())
        return found.cast(self._declared.empty(model.relation).schema)

    def release(self) -> None:
        """Views hold no rows."""

    @contextmanager
    def _rows(self, model: Model, parameters: Parameters) -> Iterator[DataFrame]:
        """What the model's SQL gives, not run yet, in columns of the declared types."""
        with (
            spark_connect.told(
                self.url, f"could not run {model.relation}", str(parameters.get(SECRET, ""))
            ),
            self.warehouse.mounted(self._checked, (), checked=_raw_tables(model)),
        ):
            for relation in model.depends_on:
                self._mount(relation, parameters)
            rows = self._session.sql(spark_sql(model, parameters))
            yield _typed(rows, self._declared.model(model, parameters))

    def _mount(self, relation: str, parameters: Parameters) -> None:
        """Make the view of a relation that a model names, unless the session has it."""
        if relation in self._mounted:
            return
        schema, name = relation.split(".")
        if schema == "raw":
            self._mount_raw(relation, name)
        elif schema == "policy":
            self._put(relation, self.policy[name])
        elif (model := load_models().get(relation)) and model.is_ephemeral:
            self._hold(model, parameters)
        else:
            self._mount_partition(relation)

    def _mount_partition(self, relation: str) -> None:
        types = self._declared.take(relation, self.scan(relation).collect_schema())
        files = parquet.parts(self.partition(relation))
        self._define(relation, _typed(self._read(files), types))

    def _hold(self, model: Model, parameters: Parameters) -> None:
        with self._rows(model, parameters) as rows:
            self._define(model.relation, rows)

    def _mount_raw(self, relation: str, name: str) -> None:
        """The view of a table of the warehouse, over all its parts."""
        types = self._declared.table(relation, CONTRACT[name].columns)
        parts = [
            rows.selectExpr(*selected(columns, types))
            for rows, columns in self.warehouse.frames(self._checked, self._session, name)
        ]
        if parts:
            self._define(relation, reduce(lambda rows, more: rows.unionAll(more), parts))
        else:
            self._put(relation, self._declared.empty(relation))

    def _put(self, relation: str, rows: pl.DataFrame) -> None:
        """Make a view of rows that the server does not have."""
        types = self._declared.take(relation, rows.schema)
        if rows.is_empty():
            nulls = selected(dict.fromkeys(types, "NULL"), types)
            self._define(relation, self._session.range(0).selectExpr(*nulls))
        else:
            self._define(relation, _typed(self._session.createDataFrame(rows.to_arrow()), types))

    def _define(self, relation: str, rows: DataFrame) -> None:
        rows.createOrReplaceTempView(view_name(relation))
        self._mounted.add(relation)

    def _forget(self, relation: str) -> None:
        """Views of a relation, and those over it, read the files that were there before."""
        self._mounted.discard(relation)
        for model in load_models().values():
            if model.is_ephemeral and relation in model.depends_on:
                self._forget(model.relation)

    def _read(self, files: Collection[Path]) -> DataFrame:
        return self._session.read.parquet(*map(plain, files))

    @cached_property
    def _mounted(self) -> set[str]:
        """The relations that the session has a view of."""
        return set()

    @cached_property
    def _declared(self) -> Declared:
        return Declared()

    @cached_property
    def _checked(self) -> duckdb.DuckDBPyConnection:
        """Where the warehouse is held against the raw contract."""
        return self.warehouse.connect(self)

    @cached_property
    def _server(self) -> str:
        """The server and its version, for people."""
        return spark_connect.version(self._session, self.url)

    @cached_property
    def _session(self) -> SparkSession:
        plain(self.folder)
        self.warehouse.require_served()
        session = spark_connect.open_session(self.url, self.time_zone)
        spark_connect.close_after(self, session)
        session.client.register_progress_handler(spark_connect.note_progress(self.ran))
        days = self.policy["calendar"]["day"]
        spark_connect.require_fit(session, self.url, self.time_zone, days)
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder, prefix=".tried-") as tried:
            spark_connect.require_shared(session, Path(tried) / "one.parquet", self.url)
        return session


def _typed(rows: DataFrame, types: Types) -> DataFrame:
    """The rows in columns of the types."""
    return rows.selectExpr(*selected({name: name for name in types}, types))


def _raw_tables(model: Model) -> frozenset[str]:
    """The tables of the warehouse that a model reads, by itself or through ephemeral models."""
    found: set[str] = set()
    for relation in model.depends_on:
        schema, name = relation.split(".")
        if schema == "raw":
            found.add(name)
        elif (read := load_models().get(relation)) and read.is_ephemeral:
            found |= _raw_tables(read)
    return frozenset(found)
