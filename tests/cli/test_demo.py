"""The demo, as whoever tries the pipeline out sees it: with a PostgreSQL of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.shell import Outcome, Shell

SMALL = ("demo", "--sellers", "20", "--weeks", "1")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell with nothing but a home."""
    folder = tmp_path_factory.mktemp("demo")
    return Shell(folder, {"VIBES_HOME": str(folder / "home")})


@pytest.fixture(scope="module")
def first(shell: Shell) -> Outcome:
    return shell.process(*SMALL)


def test_the_demo_shows_decisions_a_mail_and_totals(first: Outcome, shell: Shell) -> None:
    assert first.status == 0, first.err
    assert "Traceback" not in first.err
    for shown in (
        "What was decided",
        "out_of_stock_charge",
        "What sellers were told",
        "Subject: VIBES: ",
        "Total debited",
        "What finance pulls",
        "₦",
        "vibes up",
    ):
        assert shown in first.out, shown
    assert list((shell.home / "mail" / "new").iterdir())


def test_the_journal_of_the_demo_balances_and_ties_to_the_totals(
    first: Outcome, shell: Shell
) -> None:
    asked = shell(
        "sql",
        "SELECT (SELECT count(*) FROM finance.journal) > 0, (SELECT count(*) FROM ("
        "SELECT 1 FROM finance.journal GROUP BY statement_period, reference "
        "HAVING sum(debit) <> sum(credit))), "
        "(SELECT sum(debit - credit) FROM finance.journal WHERE account = '1310') "
        "= (SELECT sum(net) FROM finance.charge_totals)",
        "--format",
        "csv",
    )
    assert asked.out.splitlines()[1:] == ["True,0,True"], asked.err


def test_shown_again_it_is_the_same(first: Outcome, shell: Shell) -> None:
    mails = sorted((shell.home / "mail" / "new").iterdir())
    again = shell.process(*SMALL)
    assert again.status == 0, again.err
    assert outcome_in(again.out) == outcome_in(first.out)
    assert sorted((shell.home / "mail" / "new").iterdir()) == mails


def test_another_demo_in_the_same_home_is_refused(first: Outcome, shell: Shell) -> None:
    other = shell.process("demo", "--sellers", "21", "--weeks", "1")
    assert other.status == 2
    assert "home is in use already; give the demo a place of its own" in other.error


def test_a_home_with_somebody_s_warehouse_is_refused(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"VIBES_HOME": str(tmp_path)})
    (tmp_path / "warehouse.duckdb").write_text("somebody's")
    refused = shell.process(*SMALL)
    assert refused.status == 2
    assert "is in use already" in refused.error
    assert (tmp_path / "warehouse.duckdb").read_text() == "somebody's"


def outcome_in(out: str) -> str:
    """What is shown once all is done."""
    return out[out.index("What was decided") :]
