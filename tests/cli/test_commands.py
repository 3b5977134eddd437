"""The commands when all is well: what they do, that they do it once, what they import."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, new_shell
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.cli.main import COMMANDS
from vibes_pipeline.exports.tables import EXPORTS
from vibes_pipeline.ledger import schema

ALERT = ("run", "weekly-alert", "--at", troubles.ALERT_AT)
IMPLEMENTATION = ("run", "weekly-implementation", "--at", troubles.IMPLEMENTATION_AT)


@pytest.fixture(scope="module")
def after_a_cycle(
    administration: sa.Engine,
    with_dagster: str,
    warehouse: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shell]:
    """A shell whose ledger has seen both slots of a cycle; its tests change nothing."""
    folder = tmp_path_factory.mktemp("after_a_cycle")
    with new_shell(administration, with_dagster, warehouse, folder) as shell:
        for command in (ALERT, IMPLEMENTATION):
            outcome = shell(*command)
            assert (outcome.status, outcome.err) == (0, ""), outcome.err
        yield shell


# --- run ------------------------------------------------------------------------------------------


def test_the_two_slots_of_a_cycle_implement_post_and_mail(after_a_cycle: Shell) -> None:
    ledger = after_a_cycle.ledger()
    states = made.states(ledger)
    posted = made.rows(ledger, sa.func.sum(schema.postings.c.amount))
    ledger.close()
    assert Counter(rule for rule, _ in states) == troubles.ACTIONS
    assert set(states.values()) == {"implemented"}
    assert f"{posted[0][0]}" == troubles.POSTED
    assert len(mails(after_a_cycle)) == 2 * troubles.SELLERS


def test_a_slot_says_what_came_of_it(after_a_cycle: Shell) -> None:
    out = after_a_cycle(*IMPLEMENTATION).out
    assert out.startswith("weekly-implementation of 2026-11-09 is done\n")
    assert "₦50,000.00" in out
    assert all(rule in out for rule in troubles.ACTIONS)


@pytest.mark.parametrize("command", [ALERT, IMPLEMENTATION], ids=["alert", "implementation"])
def test_a_slot_run_again_leaves_ledger_and_mails_as_they_were(
    after_a_cycle: Shell, command: tuple[str, ...]
) -> None:
    before = contents(after_a_cycle), mails(after_a_cycle)
    outcome = after_a_cycle(*command)
    assert (outcome.status, outcome.err) == (0, "")
    assert (contents(after_a_cycle), mails(after_a_cycle)) == before


def test_a_slot_that_is_not_due_is_the_one_of_the_cycle_before(shell: Shell) -> None:
    outcome = shell("run", "weekly-implementation", "--at", "2026-11-21T08:59")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == "weekly-implementation of 2026-11-02 is done\nno actions\n"


# --- live and simulated ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_simulated", "command", "error"),
    [
        pytest.param(
            *(True, ("run", "weekly-alert")),
            "the ledger of NG is simulated: it takes only slots with a time of their own (--at); "
            "use another VIBES_HOME or database for a live one",
            id="live on simulated",
        ),
        pytest.param(
            *(False, ALERT),
            "the ledger of NG is live: a simulated slot would back-date its notices; use another "
            "VIBES_HOME or database to try things out",
            id="simulated on live",
        ),
    ],
)
def test_a_ledger_is_live_or_simulated_for_good(
    shell: Shell, is_simulated: bool, command: tuple[str, ...], error: str
) -> None:
    ledger = shell.ledger()
    with ledger.writing(is_simulated=is_simulated, now=datetime(2026, 11, 1, tzinfo=UTC)):
        pass
    before = made.counts(ledger)
    outcome = shell(*command)
    assert (outcome.status, outcome.error) == (1, error)
    assert made.counts(ledger) == before
    ledger.close()


def test_mail_that_finds_no_server_goes_out_when_the_slot_is_run_again(shell: Shell) -> None:
    closed = shell.with_(VIBES_MAIL_CATCHER_URL="smtp://127.0.0.1:1")
    outcome = closed(*ALERT)
    assert outcome.status == 1
    assert outcome.error.startswith("mail server 127.0.0.1:1 is not usable (Connection refused); ")
    assert outcome.error.endswith("check VIBES_MAIL_CATCHER_URL")
    ledger = shell.ledger()
    assert set(made.states(ledger).values()) == {"proposed"}
    assert not ledger.is_finished(Slot.WEEKLY_ALERT, made.CYCLE)
    assert shell(*ALERT).status == 0
    assert set(made.states(ledger).values()) == {"alerted"}
    assert len(mails(shell)) == troubles.SELLERS
    ledger.close()


# --- processes of their own -----------------------------------------------------------------------


def test_help_is_quick_for_it_brings_neither_dagster_nor_an_engine(tmp_path: Path) -> None:
    assert imported_by("--help", shell=Shell(tmp_path)).isdisjoint({"dagster", "duckdb", "polars"})


def test_an_export_brings_no_dagster(after_a_cycle: Shell, tmp_path: Path) -> None:
    imported = imported_by(
        "export", "actions", "--out", str(tmp_path / "a.csv"), shell=after_a_cycle
    )
    assert "polars" in imported
    assert "dagster" not in imported


@pytest.mark.parametrize(
    ("arguments", "status"),
    [((), 2), (("--help",), 0), (("--version",), 0), (("nightly",), 2), (("run", "nightly"), 2)],
)
def test_a_process_ends_with_its_status_and_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    outcome = Shell(tmp_path).process(*arguments)
    assert outcome.status == status
    assert "Traceback" not in outcome.err
    if not arguments or "--help" in arguments:
        assert all(command in outcome.out + outcome.err for command in COMMANDS)


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    plain = Shell(tmp_path)("run", "nightly")
    debug = Shell(tmp_path)("--debug", "run", "nightly")
    assert debug.status == plain.status == 2
    assert debug.err.startswith("Traceback (most recent call last):")
    assert debug.err.endswith(plain.err)
    assert "Traceback" not in plain.err


# --- export ---------------------------------------------------------------------------------------

ROWS = {
    "actions": sum(troubles.ACTIONS.values()),
    "charges": sum(n for rule, n in troubles.ACTIONS.items() if rule in troubles.CHARGES),
    "notices": 2 * troubles.SELLERS,
    "seller_week": 4,
    "order_regulations": 1,
    "sales_regulations": 1,
    "account_reviews": 3,
    "quarantine": 0,
    "cancellations": 0,
    "claims": 0,
}


@pytest.mark.parametrize("table", sorted(EXPORTS))
def test_every_table_is_exported(after_a_cycle: Shell, tmp_path: Path, table: str) -> None:
    out = tmp_path / f"{table}.csv"
    outcome = after_a_cycle("export", table, "--out", out)
    assert (outcome.status, outcome.err) == (0, "")
    assert " ".join(outcome.out.split()).startswith(f"{ROWS[table]} rows of {table} in ")
    with out.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == ROWS[table]


def test_the_three_formats_hold_the_same(after_a_cycle: Shell, tmp_path: Path) -> None:
    for ending in ("csv", "parquet", "xlsx"):
        assert after_a_cycle("export", "charges", "--out", tmp_path / f"c.{ending}").status == 0
    parquet = pl.read_parquet(tmp_path / "c.parquet")
    assert parquet["amount"].dtype == pl.Decimal(14, 2)
    from_csv = pl.read_csv(tmp_path / "c.csv", infer_schema=False)
    sheet = openpyxl.load_workbook(tmp_path / "c.xlsx").active
    assert sheet is not None
    header, *rows = sheet.iter_rows(values_only=True)
    assert from_csv.columns == parquet.columns == list(header)
    at = header.index("posting_id")
    ids = set(parquet["posting_id"])
    assert len(ids) == ROWS["charges"]
    assert set(from_csv["posting_id"]) == {row[at] for row in rows} == ids


def test_where_a_table_went_is_told_in_one_piece(after_a_cycle: Shell, tmp_path: Path) -> None:
    folder = tmp_path / ("long " * 20)
    folder.mkdir()
    out = after_a_cycle("export", "notices", "--out", folder / "notices.csv").out
    assert f"{folder}/notices.csv" in out


def test_only_one_cycle_is_exported_if_one_is_named(after_a_cycle: Shell, tmp_path: Path) -> None:
    for cycle, rows in (("2026-11-09", ROWS["actions"]), ("2026-11-02", 0)):
        outcome = after_a_cycle("export", "actions", "--out", tmp_path / "a.csv", "--cycle", cycle)
        assert outcome.out.startswith(f"{rows} rows of actions")


# --- making, importing, replaying -----------------------------------------------------------------


def test_a_made_marketplace_is_replayed_slot_by_slot(shell: Shell, tmp_path: Path) -> None:
    made_shell = shell.with_(VIBES_WAREHOUSE=tmp_path / "made.duckdb")
    outcome = made_shell(
        "generate", "--sellers", "20", "--weeks", "1", "--first-week", "2026-11-09"
    )
    assert outcome.status == 0
    assert "weeks 2026-11-09 to 2026-11-09" in " ".join(outcome.out.split())
    outcome = made_shell("replay", "--from", "2026-11-18T07:00", "--until", "2026-11-18T23:00")
    assert (outcome.status, outcome.out) == (0, "2 slots replayed\n")
    assert mails(shell)
    again = made_shell("generate", "--sellers", "20", "--weeks", "1")
    assert again.status == 2
    assert made_shell("generate", "--sellers", "20", "--weeks", "1", "--force").status == 0


def test_a_span_without_slots_replays_none(shell: Shell) -> None:
    outcome = shell("replay", "--from", "2026-11-18T12:00", "--until", "2026-11-18T13:00")
    assert (outcome.status, outcome.out) == (0, "0 slots replayed\n")


# --- helpers --------------------------------------------------------------------------------------


def mails(shell: Shell) -> dict[str, str]:
    """What lies in the Maildir, by file name."""
    files = (shell.home / "mail").glob("*/*")
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def contents(shell: Shell) -> dict[str, list[tuple[object, ...]]]:
    """Every row of the ledger."""
    ledger = shell.ledger()
    with ledger.reading() as connection:
        rows = {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in schema.metadata.tables.values()
        }
    ledger.close()
    return rows


def imported_by(*arguments: str, shell: Shell) -> set[str]:
    """The packages that a command has imported when it is done."""
    script = (
        "import json, sys\n"
        "from vibes_pipeline.cli.main import cli\n"
        f"try: cli({list(arguments)!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env=shell.full_environment,
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(process.stderr.splitlines()[-1]))
