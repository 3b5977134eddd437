"""The check of the SQL files' style finds each kind of fault, and only that."""

from __future__ import annotations

from pathlib import Path

import lint_sql
import pytest

from vibes_pipeline.engine.models import load_models

GOOD = """\
-- One row per item that was cancelled (Rulebook §6).
-- grain: order_item_id
SELECT
    order_item_id,                 -- the item
    CAST(24 AS DECIMAL(14, 2)) AS hours  -- of a day
FROM raw.order_items
"""


def found(folder: Path, text: str, stage: str) -> list[str]:
    (folder / stage).mkdir()
    (folder / stage / "one.sql").write_text(text, encoding="utf-8")
    (model,) = load_models(folder).values()
    return [*lint_sql.faults(text, stage), *lint_sql.model_faults(model)]


def test_a_file_as_it_should_be_has_no_fault(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD, "decisions") == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("CAST(24 AS DECIMAL(14, 2))", "MY_SUM(24)", "calls a function that Spark lacks: MY_SUM"),
        ("-- One row per", "-- one", "does not say in its first line what a row is"),
        ("(24 AS", "(2500 AS", "holds a number of the policy: 2500"),
        (" AS hours", " AS hours, 'x' AS y -- z", "holds a reason code: x"),
        ("§6", "6", "does not say which clause of the rulebook it implements"),
        (" -- the item", "", "does not document a column: order_item_id"),
        ("AS hours", 'AS "Hours"', "names a column in another spelling than snake_case: Hours"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert GOOD.count(old) == 1
    assert fault in found(tmp_path, GOOD.replace(old, new), "decisions")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT 1; SELECT 2", "is not one SELECT"),
        ("DELETE FROM raw.order_items", "is not one SELECT"),
        ("SELECT 'out_of_stock'", "holds a code that the policy lists: out_of_stock"),
    ],
)
def test_a_fault_of_the_text_alone_is_found(text: str, fault: str) -> None:
    assert fault in list(lint_sql.faults(text, "warehouse"))


def test_what_spark_cannot_do_is_found() -> None:
    (first, *_) = lint_sql.faults("SELECT ARG_MAX(a, b, 3) FROM t", "warehouse")
    assert first.startswith("cannot be carried to Spark: ")
