"""The SQL of a model as a Spark Connect server takes it.

Here belongs the carrying over: Spark's dialect, names of relations as those of temporary views,
which have no schema, and parameters as typed literals. Nothing here knows of a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache

import sqlglot
from sqlglot import exp

from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.protocol import Parameters

OURS, THEIRS = "duckdb", "spark"


def view_name(relation: str) -> str:
    """The temporary view that holds a relation: `metrics.seller_week` is `metrics__seller_week`."""
    return relation.replace(".", "__")


def spark_sql(model: Model, parameters: Parameters) -> str:
    """The model's SELECT in Spark's dialect, over views, with its parameters in it."""

    def given(node: exp.Expr) -> exp.Expr:
        if isinstance(node, (exp.Parameter, exp.Placeholder)):
            return _literal(parameters[node.name])
        return node

    return _over_views(model.sql).transform(given).sql(dialect=THEIRS)


def spark_type(declared: str) -> str:
    """Spark's name of one of DuckDB's types."""
    return exp.DataType.build(declared, dialect=OURS).sql(dialect=THEIRS)


def selected(expressions: Mapping[str, str], types: Mapping[str, str]) -> list[str]:
    """For each column its expression, DuckDB's SQL, as Spark's with the declared type.

    Every instant is cast too, though it has that type: Sail takes the local date of a stored
    instant in UTC, and that of a cast one in the session's zone.
    """
    return [
        f"CAST({sqlglot.transpile(expression, read=OURS, write=THEIRS)[0]} AS "
        f"{spark_type(types[name])}) AS {_identifier(name)}"
        for name, expression in expressions.items()
    ]


@cache
def _over_views(sql: str) -> exp.Expr:
    tree = sqlglot.parse_one(sql, dialect=OURS)
    for table in tree.find_all(exp.Table):
        if table.db:
            alias = table.alias or table.name
            view = exp.to_table(view_name(f"{table.db}.{table.name}"))
            table.replace(exp.alias_(view, alias, table=True))
    return tree


def _literal(value: date | datetime | str | int) -> exp.Expr:
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")
        return exp.cast(exp.Literal.string(text), exp.DataType.Type.TIMESTAMPTZ)
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)
    return exp.convert(value)


def _identifier(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect=THEIRS)
