"""The style of the SQL files, told of all of them at once: `python tests/lint_sql.py`, in `make check`.

Here belongs how a file must be written: one SELECT, documented, portable, without a number or a code
of the policy. What is true of the models (what they read, their grain) is in `engine/test_models.py`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache

import sqlglot
from sqlglot import exp

from vibes_pipeline.engine.models import Model, load_models
from vibes_pipeline.paths import sql_dir
from vibes_pipeline.policy import load_policy
from vibes_pipeline.rules import Rule

# What Spark has, though sqlglot does not know it by name.
KNOWN_TO_SPARK = {"TO_JSON"}
# Conversions of units, and what counting needs: none, one, days of a week, hours of a day, per
# cent, seconds of an hour, basis points, microseconds of a second.
UNITS = {Decimal(n) for n in (0, 1, 7, 24, 100, 3600, 10_000, 1_000_000)}
# What decisions say in words of the rulebook.
WORDS = {*Rule, "rejection_rate", "return_rate", "delist", "keep", ",", "week"}
# Which kind of event a row of a union is; the day's hours in an interval.
WORDS |= {"return", "dropoff_qc", "counterfeit", "24"}
DECIDING = ("events", "metrics", "rulings", "decisions", "enforcement")


def faults(text: str, stage: str) -> Iterator[str]:
    """What is wrong with the text of a file of a stage."""
    statements = sqlglot.parse(text, dialect="duckdb")
    if [type(s) in (exp.Select, exp.Union) for s in statements] != [True]:
        yield "is not one SELECT"
        return
    (tree,) = statements
    try:
        sqlglot.transpile(
            text, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    except (sqlglot.UnsupportedError, ValueError) as error:
        yield f"cannot be carried to Spark: {error}"
    # A function that sqlglot does not know goes to Spark as it is written, known there or not.
    yield from told(
        "calls a function that Spark lacks",
        {call.name.upper() for call in tree.find_all(exp.Anonymous)} - KNOWN_TO_SPARK,
    )
    if not re.match(r"-- [A-Z].{20,}", text.splitlines()[0]):
        yield "does not say in its first line what a row is"
    # Literals that are values, not the digits of a type.
    values = [v for v in tree.find_all(exp.Literal) if not v.find_ancestor(exp.DataType)]
    words = {value.this for value in values if value.is_string}
    if stage in DECIDING:
        numbers = {Decimal(value.this) for value in values if not value.is_string}
        yield from told("holds a number of the policy", map(str, numbers - UNITS))
    if stage == "decisions":
        yield from told("holds a reason code", words - WORDS)
    yield from told("holds a code that the policy lists", words & policy_codes())


def model_faults(model: Model) -> Iterator[str]:
    """What is wrong with what a file says of its rows and columns."""
    if "§" not in model.description:
        yield "does not say which clause of the rulebook it implements"
    columns = documented_columns(model.sql)
    if not columns or "*" in columns:
        yield "does not list its output columns"
    undocumented = [name for name, comment in columns.items() if not comment]
    yield from told("does not document a column", undocumented)
    odd = [name for name in columns if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    yield from told("names a column in another spelling than snake_case", odd)


def documented_columns(sql: str) -> dict[str, str]:
    """The output columns that a parser finds, each with its comment, which may be empty."""
    first = sqlglot.parse_one(sql, dialect="duckdb")
    while isinstance(first, exp.Union):
        first = first.left
    return {column.alias_or_name: _comment(column) for column in first.expressions}


def _comment(column: exp.Expression) -> str:
    """The words behind a column, which the parser puts to its name or to what is named."""
    inner = column.this.comments if isinstance(column.this, exp.Expression) else None
    return " ".join(map(str.strip, column.comments or inner or []))


def told(fault: str, names: Iterable[str]) -> Iterator[str]:
    """One line for each name."""
    return (f"{fault}: {name}" for name in sorted(names))


@cache
def policy_codes() -> frozenset[str]:
    """The codes of the warehouse that Nigeria's policy lists."""
    policy = load_policy("ng")
    day = policy.fulfilment.hours.valid_from
    listed = policy.warehouse
    return frozenset().union(
        *(
            parameter.on(day)
            for parameter in (
                listed.cancel_reasons,
                listed.return_reasons,
                listed.failure_reasons,
                listed.product_types,
            )
        )
    )


def all_faults() -> Iterator[str]:
    """The faults of every file, each with its file's name."""
    models = load_models()
    for file in sorted(sql_dir().glob("*/*.sql")):
        stage = file.parent.name
        name = f"{stage}/{file.name}"
        yield from (f"sql/{name} {f}" for f in faults(file.read_text(encoding="utf-8"), stage))
        yield from (f"sql/{name} {f}" for f in model_faults(models[f"{stage}.{file.stem}"]))


if __name__ == "__main__":
    found = list(all_faults())
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(1 if found else 0)
