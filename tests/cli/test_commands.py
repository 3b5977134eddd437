"""The commands when all is well: what they do, that they do it once, what they import."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, imported_by
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.exports.tables import EXPORTS
from vibes_pipeline.ledger import schema, views

TOLD = re.compile(r"^\d\d:\d\d:\d\d (.+?)(?:( done) in \d+\.\d s(:.+))?$", re.MULTILINE)
ALERT = ("run", "weekly-alert", "--at", troubles.ALERT_AT)
IMPLEMENTATION = ("run", "weekly-implementation", "--at", troubles.IMPLEMENTATION_AT)


@pytest.fixture(scope="module")
def after_a_cycle(shells: Callable[[str], Shell]) -> Shell:
    """A shell whose ledger has seen both slots of a cycle; its tests change nothing."""
    shell = shells("after_a_cycle")
    for command in (ALERT, IMPLEMENTATION):
        outcome = shell(*command)
        assert (outcome.status, outcome.err) == (0, ""), outcome.err
    return shell


def shown(out: str) -> list[str]:
    """The lines on slots, without the clock's time and the seconds."""
    return ["".join(parts) for parts in TOLD.findall(out)]


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
    assert out.startswith(
        "weekly-implementation of 2026-11-09 was done already, at 2026-11-21 09:00: only mail that "
        "was not sent goes out\n"
    )
    assert shown(out)[:2] == [
        "weekly-implementation 2026-11-09 started",
        f"weekly-implementation 2026-11-09 done: {sum(troubles.ACTIONS.values())} actions "
        "implemented",
    ]
    assert "₦50,000.00" in out
    assert all(rule in out for rule in troubles.ACTIONS)


@pytest.mark.parametrize(
    "command",
    [("run", "weekly-alert", "--at", troubles.IMPLEMENTATION_AT), IMPLEMENTATION],
    ids=["alert", "implementation"],
)
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
    assert shown(outcome.out) == [
        "weekly-implementation 2026-11-02 started",
        "weekly-implementation 2026-11-02 done: nothing was to be done",
    ]
    assert outcome.out.endswith("\nno actions\n")


# --- order and time -------------------------------------------------------------------------------

OUT_FROM = "2026-11-11T07:00"
BEFORE = ("replay", "--from", OUT_FROM, "--until", OUT_FROM)
WAITS = (
    "waits for weekly-implementation of 2026-11-02, which was due 2026-11-14 09:00 and is missing: "
    "weekly slots are run oldest first; `vibes run weekly-implementation` runs that one"
)
LATE = "2026-11-25T08:00"


@pytest.fixture(scope="module")
def after_an_outage(shells: Callable[[str], Shell]) -> Shell:
    """A shell whose ledger has seen the alert of 2026-11-02 and nothing since."""
    shell = shells("after_an_outage")
    assert shell(*BEFORE).status == 0
    return shell


@pytest.mark.parametrize(
    ("command", "error"),
    [
        pytest.param(
            ("run", "weekly-alert", "--at", LATE), f"weekly-alert {WAITS}", id="none named"
        ),
        pytest.param(
            ("run", "weekly-alert", "--at", LATE, "--cycle", "2026-11-16"),
            f"weekly-alert of 2026-11-16 {WAITS}",
            id="the newest",
        ),
        pytest.param(
            ("run", "weekly-implementation", "--at", LATE, "--cycle", "2026-11-09"),
            f"weekly-implementation of 2026-11-09 {WAITS}",
            id="a later one",
        ),
        pytest.param(
            ("run", "weekly-implementation", "--at", LATE, "--cycle", "2026-11-16"),
            "weekly-implementation of 2026-11-16 is due 2026-11-28 09:00; it is 2026-11-25 08:00",
            id="not due",
        ),
        *(
            pytest.param(
                ("run", slot, "--at", "2026-11-11T06:00"),
                "it is 2026-11-11 06:00:00, and the ledger of NG has an event of 2026-11-11 "
                "07:00:00 already: time goes forward; name a time no earlier, or try again once "
                "the clock has passed it",
                id=f"{slot}, back in time",
            )
            for slot in ("claims", "weekly-implementation", "late-alert")
        ),
        pytest.param(
            ("run", "claims", "--at", LATE, "--cycle", "2026-11-09"),
            "--cycle goes with the weekly slots; claims is run for the present day",
            id="a cycle of a slot without",
        ),
        pytest.param(
            ("replay", "--from", LATE, "--until", "2026-11-28T09:00", "--into-ui"),
            f"weekly-implementation of 2026-11-16 {WAITS}",
            id="a replay that leaves weeks out",
        ),
        pytest.param(
            (
                "replay",
                "--from",
                "2026-11-10T23:00",
                "--until",
                LATE,
                "--slot",
                "late-cancellation",
            ),
            "it is 2026-11-10 23:00:00, and the ledger of NG has an event of 2026-11-11 07:00:00 "
            "already: time goes forward; name a time no earlier, or try again once the clock has "
            "passed it",
            id="a replay, back in time",
        ),
        pytest.param(
            ("run", "claims"),
            "the ledger of NG is simulated: it takes only slots with a time of their own (--at); "
            "use another VIBES_HOME or database for a live one",
            id="live",
        ),
    ],
)
def test_a_slot_that_may_not_be_begun_is_refused_and_leaves_no_run_behind(
    after_an_outage: Shell, command: tuple[str, ...], error: str
) -> None:
    before = contents(after_an_outage), runs(after_an_outage)
    outcome = after_an_outage(*command)
    assert outcome.error == error
    assert (contents(after_an_outage), runs(after_an_outage)) == before
    assert runs(after_an_outage) == {}


def test_after_an_outage_each_command_runs_the_oldest_missing_slot_and_says_which(
    shell: Shell,
) -> None:
    assert shell(*BEFORE).status == 0
    for slot, period in (
        ("weekly-implementation", "2026-11-02"),
        ("weekly-alert", "2026-11-09"),
        ("weekly-implementation", "2026-11-09"),
    ):
        outcome = shell("run", slot, "--at", LATE)
        assert (outcome.status, outcome.err) == (0, "")
        started, done = shown(outcome.out)
        assert started == f"{slot} {period} started"
        assert done.startswith(f"{slot} {period} done: ")
    assert runs(shell) == {"SUCCESS": 3}


def test_a_replay_run_again_and_further_skips_what_is_done_and_counts_it(shell: Shell) -> None:
    span = ("replay", "--from", "2026-11-11T07:00", "--slot", "weekly-alert")
    both = (*span, "--slot", "weekly-implementation", "--until")
    assert shell(*both, "2026-11-14T09:00").out == "2 slots replayed\n"
    assert shell(*both, "2026-11-18T07:00").out == "1 slot replayed, 2 were done already\n"
    before = contents(shell), mails(shell)
    assert shell(*both, "2026-11-18T07:00").out == "0 slots replayed, 3 were done already\n"
    assert (contents(shell), mails(shell)) == before


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


def test_a_decided_cycle_whose_partitions_are_lost_says_what_to_restore(shell: Shell) -> None:
    at = troubles.ALERT_AT
    assert shell("replay", "--from", at, "--until", at).status == 0
    partitions = shell.home / "lake" / "NG" / "weekly-alert" / made.CYCLE.isoformat()
    shutil.rmtree(partitions)
    outcome = shell(*ALERT)
    assert outcome.status == 1
    assert outcome.error == (
        f"{partitions} lacks the partitions that cycle {made.CYCLE} was decided on; restore the "
        "lake's backup and run the slot again"
    )


# --- processes of their own -----------------------------------------------------------------------


def test_help_is_quick_for_it_brings_neither_dagster_nor_an_engine(tmp_path: Path) -> None:
    assert imported_by("--help", shell=Shell(tmp_path)).isdisjoint({"dagster", "duckdb", "polars"})


def test_an_export_brings_no_dagster(after_a_cycle: Shell, tmp_path: Path) -> None:
    imported = imported_by(
        "export", "actions", "--out", str(tmp_path / "a.csv"), shell=after_a_cycle
    )
    assert "polars" in imported
    assert "dagster" not in imported


# --- export ---------------------------------------------------------------------------------------

ROWS = {
    "actions": sum(troubles.ACTIONS.values()),
    "charges": sum(n for rule, n in troubles.ACTIONS.items() if rule in troubles.CHARGES),
    "notices": 2 * troubles.SELLERS,
    "seller_week": 4,
    "standings": 1 + troubles.SELLERS,
    "order_regulations": 1,
    "sales_regulations": 1,
    "account_reviews": 3,
    **dict.fromkeys(("quarantine", "cancellations", "held_counterfeit_cases", "claims"), 0),
    "order_regulations_in_force": 1,
    "sales_regulations_in_force": 1,
    "delistings": sum(
        troubles.ACTIONS.get(f"{what}_delisting", 0) for what in ("product", "account")
    ),
    "seller_statements": troubles.SELLERS,
    "seller_statement_lines": len(troubles.CHARGES),
    "charge_totals": len(troubles.CHARGES),
    **dict.fromkeys(("period_closes", "period_close_totals"), 0),
}
ROWS["journal"] = 2 * ROWS["charges"]


@pytest.mark.parametrize("table", sorted(EXPORTS))
def test_every_table_is_exported(after_a_cycle: Shell, tmp_path: Path, table: str) -> None:
    out = tmp_path / f"{table}.csv"
    outcome = after_a_cycle("export", table, "--out", out)
    assert (outcome.status, outcome.err) == (0, "")
    rows = "1 row" if ROWS[table] == 1 else f"{ROWS[table]} rows"
    assert " ".join(outcome.out.split()).startswith(f"{rows} of {table} in ")
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
    ids = ["posting_id", "action_id"]
    assert from_csv.columns == parquet.columns
    assert list(header) == [*(c for c in from_csv.columns if c not in ids), *ids]
    at = header.index("posting_id")
    ids = set(parquet["posting_id"])
    assert len(ids) == ROWS["charges"]
    assert set(from_csv["posting_id"]) == {row[at] for row in rows} == ids


def test_where_a_table_went_is_told_in_one_piece(after_a_cycle: Shell, tmp_path: Path) -> None:
    folder = tmp_path / ("[very] long " * 10)
    folder.mkdir()
    out = after_a_cycle("export", "notices", "--out", folder / "notices.csv").out
    assert f"{folder}/notices.csv" in out


def test_only_one_cycle_is_exported_if_one_is_named(after_a_cycle: Shell, tmp_path: Path) -> None:
    only = ("export", "actions", "--out", tmp_path / "a.csv", "--cycle", "2026-11-09")
    assert after_a_cycle(*only).out.startswith(f"{ROWS['actions']} rows of actions")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        *(
            (command, "cycle 2026-11-02 is not decided; the latest that is, is 2026-11-09")
            for command in (("export", "actions"), ("export", "seller_week"), ("report",))
        ),
        (
            ("export", "quarantine"),
            "no alert of cycle 2026-11-02 has looked at the warehouse; the newest that has is "
            "2026-11-09",
        ),
    ],
)
def test_a_cycle_that_is_not_decided_is_refused_with_the_newest_that_is(
    after_a_cycle: Shell, tmp_path: Path, command: tuple[str, ...], error: str
) -> None:
    out = tmp_path / ("r.html" if command == ("report",) else "a.csv")
    outcome = after_a_cycle(*command, "--out", out, "--cycle", "2026-11-02")
    assert (outcome.status, outcome.error) == (2, error)
    assert list(tmp_path.iterdir()) == []


# --- a terminal that knows few letters ------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        (IMPLEMENTATION, "ascii"),
        (("export", "charges", "--out", "₦.csv"), "latin-1"),
        (("report", "--out", "₦.html"), "ascii"),
        (("mail", "preview", "--out", "₦"), "latin-1"),
        (("sql", "SELECT '₦' AS shop_name"), "latin-1"),
        (("sql", "SELECT '₦' AS shop_name", "--format", "csv"), "ascii"),
        (("sql", "SELECT '₦' AS shop_name", "--format", "json"), "latin-1"),
        (("sql", "--describe", "finance.charges"), "ascii"),
    ],
    ids=str,
)
def test_letters_that_the_terminal_does_not_know_are_written_as_codes(
    after_a_cycle: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    encoding: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = after_a_cycle(*command, encoding=encoding)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.isascii()
    if "₦" in "".join(command) or command == IMPLEMENTATION:
        assert "\\u20a6" in outcome.out


def test_an_error_too_is_written_in_letters_that_the_terminal_knows(tmp_path: Path) -> None:
    outcome = Shell(tmp_path)("run", "₦ightly", encoding="latin-1")
    assert outcome.error.startswith("no slot '\\u20a6ightly'; ")


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


def test_a_slot_may_be_run_as_of_a_time_that_is_still_to_come(shell: Shell) -> None:
    # The last cycle of the listed years, whenever this runs.
    outcome = shell("run", "weekly-alert", "--at", "2027-12-29T07:00")
    assert (outcome.status, outcome.err) == (0, "")
    assert shown(outcome.out)[0] == "weekly-alert 2027-12-20 started"
    assert outcome.out.endswith("\nno actions\n")


def test_a_span_without_slots_replays_none(shell: Shell) -> None:
    outcome = shell("replay", "--from", "2026-11-18T12:00", "--until", "2026-11-18T13:00")
    assert (outcome.status, outcome.out) == (0, "0 slots replayed\n")


# --- helpers --------------------------------------------------------------------------------------


def runs(shell: Shell) -> Counter[str]:
    """Dagster's runs by status."""
    ledger = shell.ledger()
    with ledger.reading() as connection:
        statuses = Counter(connection.execute(sa.text("SELECT status FROM runs")).scalars())
    ledger.close()
    return statuses


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
            for metadata in (schema.metadata, views.metadata)
            for table in metadata.tables.values()
        }
    ledger.close()
    return rows
