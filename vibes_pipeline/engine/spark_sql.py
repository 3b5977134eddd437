"""The SQL of a model as a Spark Connect server takes it.

Here belongs the carrying over: Spark's dialect, names of relations as those of temporary views,
which have no schema, and parameters as typed literals. Nothing here knows of a server.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

import sqlglot
from sqlglot import exp

from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.spark_connect import OURS, THEIRS


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
