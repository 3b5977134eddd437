"""What finance asks for from a shell: the journal, a seller's statement, the close of a period.

Over one ledger of made postings; each test that closes or harms takes a ledger of its own.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli.shell import Shell, new_shell
from ledger import made
from served import TEMPLATE

from vibes_pipeline.cli.main import cli

SHOP = "<script>alert(1)</script> & =1+1"
PERIOD = made.CYCLE + made.WEEK


def post(shell: Shell) -> None:
    """A week's charges and, in the week after, a reversal; both weeks are over."""
    ledger = shell.ledger()
    made.freeze_cycle(ledger, made.a_handful(), names={"S-1": SHOP})
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.reverse(ledger, made.charge("S-1", "I1"), made.local("2026-11-24 10:00"))
    made.move_time(ledger, made.IMPLEMENT_AT + 2 * made.WEEK)
    ledger.close()


@pytest.fixture(scope="module")
def shell(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("finance")
    with new_shell(administration, TEMPLATE, folder, folder) as opened:
        post(opened)
        yield opened


def exported(shell: Shell, table: str, *options: str) -> list[dict[str, str]]:
    out = shell.folder / f"{table}.csv"
    done = shell("export", table, "--out", out, *options)
    assert (done.status, done.err) == (0, "")
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_journal_of_a_month_is_the_lines_of_its_days_and_balances(shell: Shell) -> None:
    lines = exported(shell, "journal", "--month", "2026-11")
    assert len(lines) == len(exported(shell, "journal", "--from", "2026-11-21")) == 8
    assert {line["date"] for line in lines} == {"2026-11-21", "2026-11-24"}
    sums = [sum(Decimal(line[side]) for line in lines) for side in ("debit", "credit")]
    assert sums == [Decimal("57234.50")] * 2
    assert exported(shell, "journal", "--until", "2026-11-20") == []
    of_seller = exported(shell, "charges", "--seller", "S-1", "--month", "2026-11")
    assert [row["kind"] for row in of_seller] == ["debit", "debit", "reversal"]


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_terminal_shows_how_many_rows_are_written(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    for name, value in {**shell.environment, "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value or "")
    screen, terminal = os.openpty()
    with os.fdopen(terminal, "w") as seen, os.fdopen(screen, "rb", buffering=0) as shown:
        monkeypatch.setattr(sys, "stderr", seen)
        out = str(shell.folder / f"seen.{ending}")
        cli.main(["export", "charges", "--out", out], standalone_mode=False)
        assert re.search(r"writing charges .*━━━.*4/4", shown.read(100_000).decode())


def test_a_part_of_the_charges_as_a_workbook_is_the_postings_alone(shell: Shell) -> None:
    out = shell.folder / "part.xlsx"
    assert shell("export", "charges", "--out", out, "--seller", "S-1").out.startswith("3 rows")


WRONG: list[tuple[tuple[str, ...], str]] = [
    (
        ("export", "actions", "--month", "2026-11"),
        r"--month goes with charges, journal, .*, period_close_totals; others take --cycle",
    ),
    (
        ("export", "claims", "--seller", "S-1", "--from", "2026-11-01"),
        r"--from goes with charges, journal, .*; others take --cycle",
    ),
    (
        ("export", "charge_totals", "--seller", "S-1"),
        r"charge_totals are of all sellers; --seller goes with charges, journal, "
        r"seller_statement_lines, seller_statements",
    ),
    (
        ("export", "journal", "--seller", "S-99"),
        r"the ledger has no action against a seller 'S-99'; mind capital letters",
    ),
    (("export", "journal", "--cycle", "2026-11-09"), r"a statement sums what several cycles .*"),
    (
        ("export", "charges", "--cycle", "2026-11-09", "--month", "2026-11"),
        r"a statement sums what several cycles decided: .*",
    ),
    (
        ("export", "charges", "--statement-period", "2026-11-16", "--until", "2026-11-30"),
        r"--statement-period names a week: leave out --from, --until and --month, .*",
    ),
    (
        ("export", "journal", "--month", "2026-11", "--from", "2026-11-01"),
        r"--month names its first and last day: leave out --from and --until",
    ),
    (
        ("export", "journal", "--from", "2026-11-30", "--until", "2026-11-01"),
        r"--until 2026-11-01 lies before --from 2026-11-30; name a later date",
    ),
    (("export", "journal", "--month", "11/2026"), r"'11/2026' is not a month; write one such .*"),
    (("export", "journal", "--month", "2026-13"), r"2026-13-01 is not in the calendar; .*2026-11"),
    (("export", "journal", "--until", ""), r"'' is not a date; write one such as 2026-11-09"),
    (
        ("statement", "S-99"),
        r"the ledger has no action against a seller 'S-99'; mind capital letters",
    ),
    (
        ("statement", "S-1", "--statement-period", "2026-11-16", "--month", "2026-11"),
        r"--statement-period names a week: leave out the other days",
    ),
    (("close",), r"name the period to close by its Monday, or ask for --verify alone"),
    (("close", "2026-11-16", "--verify"), r"name the period to close by its Monday, or .*"),
    (("close", "2026-11-17"), r"2026-11-17 is a Tuesday; .* here 2026-11-16"),
    (("close", "2026-12-07"), r"the statement period 2026-12-07 is not over before .*"),
]


def test_options_that_make_no_sense_together_are_refused_in_one_line(shell: Shell) -> None:
    for command, words in WRONG:
        out = {"export": ("--out", "never.csv"), "statement": ("--out", "never.html")}
        refused = shell(*command, *out.get(command[0], ()))
        assert (refused.status, refused.out) == (2, ""), command
        assert re.fullmatch(words, refused.error), (command, refused.error)
    assert not Path("never.csv").exists()


def test_a_statement_is_written_with_its_balances(shell: Shell) -> None:
    out = shell.folder / "statement.html"
    done = shell("statement", "S-1", "--month", "2026-11", "--out", out)
    assert done.out == (f"the statement of S-1 is in {out}: opening ₦0.00, closing ₦1,234.50\n")
    page = out.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; =1+1" in page


def test_periods_are_closed_verified_and_found_changed(
    administration: sa.Engine, tmp_path: Path
) -> None:
    with new_shell(administration, TEMPLATE, tmp_path, tmp_path) as shell:
        post(shell)
        assert shell("close", "--verify").out == "no statement period is closed yet\n"
        first, *totals = shell("close", f"{PERIOD}").out.splitlines()
        closed = r"the statement period 2026-11-16 is closed: 3 postings, sha256 ([0-9a-f]{64})"
        found = re.fullmatch(closed, first)
        assert found is not None
        assert [line.split()[0] for line in totals] == [
            *("counterfeit_charge", "out_of_stock_charge", "returns_charge")
        ]
        again = shell("close", f"{PERIOD}")
        assert (again.status, again.out) == (
            0,
            "the statement period 2026-11-16 was closed 2026-12-05 09:00: nothing to do\n",
        )
        assert shell("close", "2026-11-23").status == 0
        verified = shell("close", "--verify")
        assert (verified.status, len(verified.out.splitlines())) == (0, 2)
        assert verified.out.startswith(
            f"2026-11-16: as it was closed, 3 postings, sha256 {found[1]}"
        )
        harm(shell)
        differs = shell("close", "--verify")
        lines = differs.out.splitlines()
        assert (differs.status, len(lines)) == (1, 2)
        assert re.match(r"2026-11-16: DIFFERS: closed with 3 postings, .*; now 3 post", lines[0])
        assert lines[1].startswith("2026-11-23: as it was closed")
        assert differs.error.startswith("1 closed period of 2 changed since: compare with a backup")


def harm(shell: Shell) -> None:
    """As an owner of the database might."""
    ledger = shell.ledger()
    with ledger.engine.begin() as connection:
        for words in (
            "ALTER TABLE ledger.actions DISABLE TRIGGER USER",
            "UPDATE ledger.actions SET seller_id = 'S-9' WHERE order_item_id = 'I3'",
            "ALTER TABLE ledger.actions ENABLE TRIGGER USER",
        ):
            connection.execute(sa.text(words))
    ledger.close()
