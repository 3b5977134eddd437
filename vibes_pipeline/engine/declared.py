"""The type that each column of a relation has, whichever engine makes the relation.

Engines give the same arithmetic other types: a sum of decimals, a count, a literal. Those that
DuckDB finds when it reads a model's SQL are the declared ones; they are found without any rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import duckdb
import polars as pl

from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.protocol import Parameters

# DuckDB's name of the type of each column, in the relation's order.
Types = Mapping[str, str]


class Declared:
    """Relations without rows: what a model reads must be here before the model."""

    def take(self, relation: str, schema: pl.Schema) -> Types:
        """The types of a relation that is at hand as a frame, or in Parquet."""
        self._connection.register("given_rows", pl.DataFrame(schema=schema))
        try:
            return self._made(relation, "AS FROM given_rows")
        finally:
            self._connection.unregister("given_rows")

    def table(self, relation: str, columns: Types) -> Types:
        """The types of a relation that are told by name."""
        return self._made(relation, f"({', '.join(f'{c} {t}' for c, t in columns.items())})")

    def model(self, model: Model, parameters: Parameters) -> Types:
        """The types that a model's SQL gives."""
        given = {name: parameters[name] for name in model.parameters}
        return self._made(model.relation, f"AS {model.sql}", given)

    def empty(self, relation: str) -> pl.DataFrame:
        """No rows, in columns of the declared types."""
        frame: pl.DataFrame = self._connection.sql(f"FROM {relation}").pl()
        return frame

    def _made(self, relation: str, rows: str, given: Parameters | None = None) -> Types:
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {relation.split('.')[0]}")
        self._connection.execute(f"CREATE OR REPLACE TABLE {relation} {rows}", given)
        described = self._connection.execute(f"DESCRIBE {relation}").fetchall()
        return {name: type_ for name, type_, *_ in described}

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        return connection
