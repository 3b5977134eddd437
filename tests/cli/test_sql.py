"""`vibes sql` as a person or a script uses it: what is printed, and that text commands nothing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from cli.shell import Shell

from vibes_pipeline.cli.main import cli

HOSTILE = "'=1+1' || chr(27) || '[2J[bold]' || chr(8238) AS shop_name"


@pytest.fixture
def asking(tmp_path: Path) -> Shell:
    """A shell that has nothing but a home: no warehouse, no ledger."""
    return Shell(tmp_path, {"VIBES_HOME": str(tmp_path / "home")})


def test_an_answer_is_a_table(asking: Shell) -> None:
    outcome = asking("sql", "SELECT in_force_days AS days FROM policy.order_regulation")
    assert (outcome.status, outcome.err) == (0, "")
    shown = [line.strip("│┃ ").split() for line in outcome.out.splitlines()]
    assert ["days"] in shown
    assert ["7"] in shown
    assert shown[-1] == ["1", "row"]


def test_an_answer_is_csv_or_json_for_programs(asking: Shell) -> None:
    question = "SELECT 1.50 AS amount, DATE '2026-11-16' AS day, NULL AS nothing, 'a,b' AS text"
    as_csv = asking("sql", question, "--format", "csv").out
    assert list(csv.reader(io.StringIO(as_csv))) == [
        ["amount", "day", "nothing", "text"],
        ["1.50", "2026-11-16", "", "a,b"],
    ]
    assert json.loads(asking("sql", question, "--format", "json").out) == [
        {"amount": "1.50", "day": "2026-11-16", "nothing": None, "text": "a,b"}
    ]


@pytest.mark.parametrize("style", ["table", "json"])
def test_text_commands_neither_terminal_nor_markup(asking: Shell, style: str) -> None:
    out = asking("sql", f"SELECT {HOSTILE}", "--format", style).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[bold]" in out


def test_a_csv_cell_is_no_formula(asking: Shell) -> None:
    out = asking("sql", f"SELECT {HOSTILE}", "--format", "csv").out
    assert out.splitlines()[1].startswith("'=1+1")


def test_a_table_is_cut_and_says_so(asking: Shell) -> None:
    out = asking("sql", "FROM range(5)", "--limit", "2").out
    assert out.splitlines()[-1] == "2 rows; there are more (--limit)"
    assert asking("sql", "FROM range(300)", "--limit", "0").out.splitlines()[-1] == "300 rows"
    assert len(asking("sql", "FROM range(300)", "--format", "csv").out.splitlines()) == 301


def test_a_wide_row_goes_whole_into_a_pipe(asking: Shell) -> None:
    columns = ", ".join(f"'{n:0>30}' AS c{n}" for n in range(20))
    out = asking("sql", f"SELECT {columns}").out
    assert all(f"{n:0>30}" in out for n in range(20))
    assert len({len(line) for line in out.splitlines()[:-1]}) == 1


def test_what_is_refused_is_one_line(asking: Shell) -> None:
    outcome = asking("sql", "DROP TABLE raw.sellers")
    assert outcome.status == 2
    assert outcome.error.startswith("only SELECT, DESCRIBE, ")


def test_a_warehouse_that_is_not_there_is_named(asking: Shell) -> None:
    outcome = asking("sql", "FROM raw.sellers")
    assert outcome.status == 1
    assert outcome.error.startswith("there is no warehouse at ")


def test_a_relation_is_described(asking: Shell) -> None:
    out = asking("sql", "--describe", "raw.sellers").out
    assert "shop_name" in out
    assert "VARCHAR" in out


def test_a_piped_statement_is_answered(asking: Shell) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, ["sql", "--format", "csv"], input="SELECT\n 7 AS n;\n")
    assert (result.exit_code, result.stdout) == (0, "n\n7\n")


def test_a_conversation_goes_on_after_an_error_and_ends_with_the_input(
    asking: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vibes_pipeline.cli import sql
    from vibes_pipeline.exports.query import Library
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.settings import Settings

    lines = iter(["SELEC;", "SELECT", "  7 AS n;", ";", "\x04"])

    def typed(prompt: str) -> str:
        line = next(lines)
        if line == "\x04":
            raise EOFError
        return line

    monkeypatch.setattr("builtins.input", typed)
    settings = Settings.from_environment({"VIBES_HOME": str(asking.folder)})
    sql._converse(Library(settings, load_policy("ng")), "csv", None)
    shown = capsys.readouterr()
    assert "n\n7\n" in shown.out
    assert shown.err.splitlines()[0] == 'vibes: syntax error at or near "SELEC"'
