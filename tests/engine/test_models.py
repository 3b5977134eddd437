"""What is true of every model: what it reads, its grain; and how a model is read from its file.

How a file must be written is checked by `lint_sql.py`.
"""

from __future__ import annotations

from graphlib import CycleError
from pathlib import Path
from textwrap import dedent

import pytest
import sqlglot
from lint_sql import documented_columns
from sqlglot import exp

from vibes_pipeline.engine.grain import Grain
from vibes_pipeline.engine.models import GIVEN_SCHEMAS, Model, closure, load_models
from vibes_pipeline.paths import sql_dir
from vibes_pipeline.policy.tables import schemas
from vibes_pipeline.rules import CHARGES
from vibes_pipeline.warehouse.contract import RAW_TABLES

FILES = sorted(sql_dir().glob("*/*.sql"))
MODELS = load_models()


def reads_raw(model: Model) -> bool:
    """Whether it reads the order warehouse itself."""
    return any(relation.startswith("raw.") for relation in model.depends_on)


HISTORY = (
    "claim_intakes",
    "claim_states",
    "recorded_account_decisions",
    "recorded_claim_decisions",
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
    "cycle_actions",
)


def test_there_are_files_of_every_stage() -> None:
    stages = {file.parent.name for file in FILES}
    assert stages >= {"warehouse", "events", "metrics", "rulings", "decisions", "enforcement"}


def test_a_model_reads_only_what_there_is() -> None:
    given = {f"raw.{name}" for name in RAW_TABLES}
    given |= {f"policy.{name}" for name in schemas("Africa/Lagos")}
    given |= {f"ledger.{name}" for name in HISTORY}
    unknown = {name: set(m.depends_on) - given - MODELS.keys() for name, m in MODELS.items()}
    assert {name: relations for name, relations in unknown.items() if relations} == {}


def test_a_parser_finds_the_same_relations_and_parameters_in_each_model() -> None:
    for relation, model in MODELS.items():
        tree = sqlglot.parse_one(model.sql, dialect="duckdb")
        of_ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
        read = [t for t in tree.find_all(exp.Table) if t.db or t.name not in of_ctes]
        taken = tree.find_all(exp.Parameter, exp.Placeholder)
        assert set(model.depends_on) == {f"{t.db}.{t.name}" for t in read}, relation
        assert model.parameters == {parameter.name for parameter in taken}, relation


def test_a_parser_finds_the_same_columns_with_the_same_comments_in_each_model() -> None:
    for relation, model in MODELS.items():
        found = documented_columns(model.sql)
        assert [*model.columns.items()] == [*found.items()], relation


def test_only_the_warehouse_stage_and_claims_read_the_warehouse_as_stored() -> None:
    """Else bad rows and times not yet come would enter a rule; of claims no row is bad."""
    assert {m.stage for m in MODELS.values() if reads_raw(m)} <= {"warehouse", "claims"}


def test_a_stage_never_reads_a_later_one() -> None:
    order = [
        *("warehouse", "events", "metrics", "claims", "late_orders"),
        *("rulings", "decisions", "enforcement", "answers"),
    ]
    for model in MODELS.values():
        if model.stage in order:
            earlier = order[: order.index(model.stage) + 1]
            read = {relation.split(".")[0] for relation in model.upstream}
            assert read <= set(earlier), model.relation


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


def test_a_grain_names_columns_of_the_output() -> None:
    odd = {name: set(m.grain.columns) - set(m.columns) for name, m in MODELS.items()}
    assert {name: columns for name, columns in odd.items() if columns} == {}


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
