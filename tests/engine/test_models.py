"""What every SQL file must be: one documented SELECT, portable, without a number of the policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from graphlib import CycleError
from pathlib import Path
from textwrap import dedent

import pytest
import sqlglot
from sqlglot import exp

from vibes_pipeline.engine.grain import Grain
from vibes_pipeline.engine.models import GIVEN_SCHEMAS, Model, closure, load_models
from vibes_pipeline.paths import sql_dir
from vibes_pipeline.policy import load_policy
from vibes_pipeline.policy.tables import schemas
from vibes_pipeline.rules import CHARGES, Rule
from vibes_pipeline.warehouse.contract import RAW_TABLES

FILES = sorted(sql_dir().glob("*/*.sql"))
MODELS = load_models()
POLICY = load_policy("ng")


def reads_raw(model: Model) -> bool:
    """Whether it reads the order warehouse itself."""
    return any(relation.startswith("raw.") for relation in model.depends_on)


every_file = pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}.{f.stem}")
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))

HISTORY = (
    "claim_intakes",
    "claim_states",
    "excuses",
    "undecided_counterfeit_claims",
    "charges",
    "open_charges",
    "sales_regulations",
    "product_delistings",
    "account_delistings",
    "account_reviews",
    "reviewed_counterfeits",
    "late_cancellations",
    "open_late_cancellations",
)
# What Spark has, though sqlglot does not know it by name.
KNOWN_TO_SPARK = {"TO_JSON"}
# Conversions of units, and what counting needs: none, one, days of a week, hours of a day, per
# cent, seconds of an hour, basis points, microseconds of a second.
UNITS = {Decimal(n) for n in (0, 1, 7, 24, 100, 3600, 10_000, 1_000_000)}
# What decisions say in words of the rulebook.
WORDS = {*Rule, "rejection_rate", "return_rate", "delist", "keep", ",", "week"}
# Which kind of event a row of a union is; the day's hours in an interval.
WORDS |= {"return", "dropoff_qc", "counterfeit", "24"}


def tree(file: Path) -> exp.Expr:
    return sqlglot.parse_one(file.read_text(encoding="utf-8"), dialect="duckdb")


def literals(file: Path) -> Iterator[exp.Literal]:
    """The literals that are values, not the digits of a type."""
    for literal in tree(file).find_all(exp.Literal):
        if not literal.find_ancestor(exp.DataType):
            yield literal


def test_there_are_files_of_every_stage() -> None:
    stages = {file.parent.name for file in FILES}
    assert stages >= {"warehouse", "events", "metrics", "decisions", "enforcement", "claims"}


@every_file
def test_a_file_is_one_select(file: Path) -> None:
    statements = sqlglot.parse(file.read_text(encoding="utf-8"), dialect="duckdb")
    assert [type(s) in (exp.Select, exp.Union) for s in statements] == [True]


@every_file
def test_a_file_can_be_carried_to_spark(file: Path) -> None:
    sqlglot.transpile(
        file.read_text(encoding="utf-8"),
        read="duckdb",
        write="spark",
        unsupported_level=sqlglot.ErrorLevel.RAISE,
    )


@every_file
def test_a_file_calls_no_function_that_spark_lacks(file: Path) -> None:
    """A function that sqlglot does not know goes to Spark as it is written, known there or not."""
    unknown = {call.name.upper() for call in tree(file).find_all(exp.Anonymous)}
    assert unknown <= KNOWN_TO_SPARK


@every_file
def test_a_file_says_what_a_row_is(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(r"-- [A-Z].{20,}", first)
    assert "§" in MODELS[f"{file.parent.name}.{file.stem}"].description, (
        "which clause it implements"
    )


@every_model
def test_every_output_column_is_documented(model: Model) -> None:
    assert model.columns
    assert [name for name, comment in model.columns.items() if not comment] == []
    assert "*" not in model.columns


@every_model
def test_every_column_has_a_name_of_one_spelling(model: Model) -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in model.columns)


@every_model
def test_a_model_reads_only_what_there_is(model: Model) -> None:
    given = {f"raw.{name}" for name in RAW_TABLES}
    given |= {f"policy.{name}" for name in schemas("Africa/Lagos")}
    given |= {f"ledger.{name}" for name in HISTORY}
    assert set(model.depends_on) <= given | MODELS.keys()


@every_model
def test_only_the_warehouse_stage_and_claims_read_the_warehouse_as_stored(model: Model) -> None:
    """Else bad rows and times not yet come would enter a rule; of claims no row is bad."""
    assert not reads_raw(model) or model.stage in ("warehouse", "claims")


@every_model
def test_a_stage_never_reads_a_later_one(model: Model) -> None:
    order = ["warehouse", "events", "metrics", "claims", "decisions", "enforcement"]
    if model.stage in order:
        earlier = order[: order.index(model.stage) + 1]
        assert {relation.split(".")[0] for relation in model.upstream} <= set(earlier)


@every_file
def test_no_decision_holds_a_number_of_the_policy(file: Path) -> None:
    if file.parent.name in ("events", "metrics", "decisions", "enforcement"):
        numbers = {Decimal(literal.this) for literal in literals(file) if not literal.is_string}
        assert numbers <= UNITS


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.parent.name == "decisions"], ids=lambda f: f.stem
)
def test_no_decision_holds_a_reason_code(file: Path) -> None:
    assert {literal.this for literal in literals(file) if literal.is_string} <= WORDS


@every_file
def test_no_file_holds_a_code_that_the_policy_lists(file: Path) -> None:
    day = POLICY.fulfilment.hours.valid_from
    codes = {
        *POLICY.warehouse.cancel_reasons.on(day),
        *POLICY.warehouse.return_reasons.on(day),
        *POLICY.warehouse.failure_reasons.on(day),
        *POLICY.warehouse.product_types.on(day),
    }
    assert not codes & {literal.this for literal in literals(file) if literal.is_string}


def test_the_charges_have_a_decision_each() -> None:
    assert {f"decisions.{charge}s" for charge in CHARGES} <= MODELS.keys()


# --- reading --------------------------------------------------------------------------------------


def write(folder: Path, relation: str, sql: str) -> None:
    stage, name = relation.split(".")
    (folder / stage).mkdir(exist_ok=True)
    (folder / stage / f"{name}.sql").write_text(dedent(sql), encoding="utf-8")


def test_a_model_is_read_from_its_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        "metrics.count",
        """\
        -- How many, one row
        -- in all.
        -- grain: one row
        WITH seen AS (
            SELECT id -- not of the output
            FROM raw.things WHERE at < $now
        )

        SELECT
            COUNT(*) AS things,             -- so many
            CAST(MAX(s.id) AS VARCHAR)
                AS greatest                 -- the greatest
        FROM seen AS s
        INNER JOIN events.others AS o ON s.id = o.id
        CROSS JOIN policy.terms
        WHERE o.day >= $cycle
        """,
    )
    write(
        tmp_path,
        "events.others",
        "-- Others.\n-- grain: id, day?\nSELECT id, day FROM ledger.others",
    )
    models = load_models(tmp_path)
    assert list(models) == ["events.others", "metrics.count"], "each after those it reads"
    model = models["metrics.count"]
    assert model.description == "How many, one row in all."
    assert model.columns == {"things": "so many", "greatest": "the greatest"}
    assert model.depends_on == ("events.others", "policy.terms", "raw.things")
    assert model.upstream == ("events.others",)
    assert model.parameters == {"now", "cycle"}
    assert model.grain == Grain(is_one_row=True)
    assert models["events.others"].grain == Grain(("id", "day"), nullable=frozenset({"day"}))
    assert reads_raw(model)
    assert not reads_raw(models["events.others"])


def test_a_union_is_documented_by_its_first_part(tmp_path: Path) -> None:
    write(
        tmp_path,
        "events.all",
        """\
        -- All.
        -- grain: every stored row
        SELECT 'a' AS kind     -- which
        FROM events.a
        UNION ALL
        SELECT 'b' AS kind
        FROM events.b
        UNION ALL
        SELECT 'c' AS kind
        FROM events.c
        """,
    )
    for name in "abc":
        write(
            tmp_path,
            f"events.{name}",
            "-- One.\n-- grain: every stored row\nSELECT 1 AS one FROM raw.ones",
        )
    assert load_models(tmp_path)["events.all"].columns == {"kind": "which"}


def test_a_file_that_does_not_say_its_grain_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "events.others", "-- Others.\nSELECT id FROM ledger.others")
    with pytest.raises(ValueError, match=r"others\.sql does not say its grain: add `-- grain: "):
        load_models(tmp_path)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_grain_names_columns_of_the_output(model: Model) -> None:
    assert set(model.grain.columns) <= set(model.columns)


def test_models_that_read_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "events.hen", "-- Hen.\n-- grain: one row\nSELECT 1 AS one FROM events.egg")
    write(tmp_path, "events.egg", "-- Egg.\n-- grain: one row\nSELECT 1 AS one FROM events.hen")
    with pytest.raises(CycleError):
        load_models(tmp_path)


def test_a_closure_holds_the_target_and_all_it_rests_on_each_after_those_it_reads() -> None:
    names = [model.relation for model in closure(["decisions.product_delistings"])]
    assert names[-1] == "decisions.product_delistings"
    assert "decisions.order_regulations" not in names
    for position, name in enumerate(names):
        assert set(MODELS[name].upstream) <= set(names[:position])


def test_what_is_given_is_no_model() -> None:
    assert not {relation.split(".")[0] for relation in MODELS} & GIVEN_SCHEMAS
