"""Every bad input: exit status 1 or 2, one line on standard error, and nothing half-done.

The line names the thing and the way out (Design §4). Here belong the errors of all commands; what
the commands do when all is well is tested beside this.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from cli import troubles
from cli.shell import Shell
from ledger import made

from vibes_pipeline.cli import main
from vibes_pipeline.policy import load_policy

ALERT = ("run", "weekly-alert", "--at", troubles.ALERT_AT)
REPLAY = ("replay", "--from", troubles.ALERT_AT, "--until", troubles.ALERT_AT)
EXPORT = ("export", "actions", "--out", "actions.csv")
NO_SERVER = "postgresql://vibes:secret@127.0.0.1:1/vibes"


@dataclass(frozen=True)
class Bad:
    """A command in an environment (`{folder}` is the test's own), and what must come of it."""

    why: str
    command: tuple[str, ...]
    error: str
    status: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)


COMMANDS = [
    Bad("a slot that is none", ("run", "nightly"), r"no slot 'nightly'; .*weekly-alert, .*claims"),
    Bad("no time", ("run", "weekly-alert", "--at", "Wednesday"), r"'Wednesday' .*2026-11-18T07:00"),
    Bad(
        "a date for a time",
        ("run", "weekly-alert", "--at", "2026-11-18"),
        r"'2026-11-18' is not a time; write one such as 2026-11-18T07:00",
    ),
    Bad(
        "a day that is none",
        ("run", "weekly-alert", "--at", "2026-02-30T07:00"),
        r"'2026-02-30T07:00' is not a time",
    ),
    Bad(
        "a time before the policy",
        ("run", "weekly-alert", "--at", "2015-06-03T07:00"),
        r"the policy has no value on 2015-05-\d\d for: .*; add a value that holds on that day",
        status=1,
    ),
    Bad(
        "a year whose holidays are not listed",
        ("run", "weekly-alert", "--at", "2099-06-03T07:00"),
        r"2099-06-03 is outside the years whose public holidays .*; add the public holidays",
        status=1,
    ),
    Bad(
        "a span that ends before it begins",
        ("replay", "--from", "2026-11-18T07:00", "--until", "2026-11-11T07:00"),
        r"--from 2026-11-18T07:00 is after --until 2026-11-11T07:00",
    ),
    Bad(
        "a span without a beginning",
        ("replay", "--from", "now", "--until", "2026-11-11T07:00"),
        r"'now' is not a time",
    ),
    Bad(
        "an unknown table",
        ("export", "sellers", "--out", "sellers.csv"),
        r"no table 'sellers'.*; the tables are account_reviews, actions, ",
    ),
    Bad(
        "an ending that is no format",
        ("export", "actions", "--out", "actions.xls"),
        r"actions\.xls: .*write one of \.csv, \.parquet, \.xlsx",
    ),
    Bad(
        "a mistyped slot",
        ("run", "weekly-alrt"),
        r"no slot 'weekly-alrt' \(did you mean weekly-alert\?\); the slots are weekly-alert, ",
    ),
    Bad(
        "a mistyped slot of a replay",
        (*REPLAY, "--slot", "claim"),
        r"no slot 'claim' \(did you mean claims\?\); the slots are ",
    ),
    Bad(
        "a mistyped table",
        ("export", "Charge", "--out", "charges.csv"),
        r"no table 'Charge' \(did you mean charges or charge_totals\?\); the tables are ",
    ),
    Bad(
        "a mistyped relation",
        ("sql", "FROM finance.charge_total"),
        r"no relation 'finance\.charge_total' \(did you mean finance\.charge_totals or ",
    ),
    Bad(
        "a mistyped relation without its schema",
        ("sql", "SELECT count(*) FROM actoins"),
        r"no relation 'actoins' \(did you mean ledger\.actions or ledger\.open_actions\?\); `vibes "
        r"sql --describe` lists them",
    ),
    Bad(
        "a mistyped schema",
        ("sql", "FROM leger.actions"),
        r"no relation 'leger\.actions' \(did you mean ledger\.actions or ",
    ),
    Bad(
        "a statement that is no text",
        ("sql", "SELECT '\udcff'"),
        r"the statement is not UTF-8 text; set LC_ALL=C\.UTF-8 and write it as such",
    ),
    Bad(
        "a report that is no page",
        ("report", "--out", "week.pdf"),
        r"week\.pdf: the ending says the format; write \.html",
    ),
    Bad(
        "no cycle decided yet",
        ("export", "actions", "--out", "{folder}/a.csv", "--cycle", "2026-11-09"),
        r"no cycle is decided yet; run `vibes run weekly-alert`",
    ),
    Bad(
        "no warehouse looked at yet",
        ("export", "quarantine", "--out", "{folder}/q.csv", "--cycle", "2026-11-09"),
        r"no warehouse has been looked at yet; run `vibes run weekly-alert`",
    ),
    Bad(
        "no ending",
        ("export", "actions", "--out", "actions"),
        r"actions: .*write one of \.csv, \.parquet, \.xlsx",
    ),
    Bad(
        "a folder that is not there",
        ("export", "actions", "--out", "{folder}/nowhere/actions.csv"),
        r"nowhere/actions\.csv: there is no folder .*nowhere; make it first",
    ),
    Bad(
        "a folder where the file is to be",
        ("export", "actions", "--out", "{folder}/taken.csv"),
        r"taken\.csv.* is a folder",
    ),
    Bad(
        "a cycle that is no Monday",
        (*EXPORT, "--cycle", "2026-11-10"),
        r"2026-11-10 is a Tuesday; a cycle is named by its Monday, here 2026-11-09",
    ),
    Bad(
        "a cycle that is no date",
        (*EXPORT, "--cycle", "last"),
        r"'last' is not a date; name a cycle by its Monday, such as 2026-11-09",
    ),
    Bad(
        "a cycle that is not in the calendar",
        (*EXPORT, "--cycle", "2026-02-30"),
        r"2026-02-30 is not in the calendar; name a cycle by its Monday",
    ),
    Bad(
        "a day of a table by cycles",
        (*EXPORT, "--day", "2026-11-10"),
        r"--day goes with the table cancellations alone; others take --cycle",
    ),
    Bad(
        "a statement period of a table without one",
        ("export", "actions", "--out", "{folder}/a.csv", "--statement-period", "2026-11-09"),
        r"--statement-period goes with charges, journal, seller_.*; others take --cycle",
    ),
    Bad(
        "a cycle of sums over several",
        ("export", "charge_totals", "--out", "{folder}/t.csv", "--cycle", "2026-11-09"),
        r"a statement sums what several cycles decided: ask for --statement-period alone, or for "
        r"charges with --cycle",
    ),
    Bad(
        "nothing decided yet",
        ("export", "seller_week", "--out", "{folder}/seller_week.csv"),
        r"nothing is decided yet .*; run `vibes run weekly-alert`",
    ),
    Bad(
        "an unknown country",
        ALERT,
        r"no policy for country 'xx'; known: ng, or name a policy file",
        environment={"VIBES_COUNTRY": "xx"},
    ),
    Bad(
        "a country that is a path",
        ALERT,
        r"no policy for country '\.\./ng'; known: ng",
        environment={"VIBES_COUNTRY": "../ng"},
    ),
    Bad(
        "a policy file that is not there",
        ALERT,
        r"there is no policy file .*absent\.yaml",
        environment={"VIBES_POLICY": "{folder}/absent.yaml"},
    ),
    Bad(
        "a policy file that is a folder",
        ALERT,
        r"taken\.csv: cannot be read: Is a directory",
        status=1,
        environment={"VIBES_POLICY": "{folder}/taken.csv"},
    ),
    Bad(
        "a policy file that is no text",
        ALERT,
        r"bytes\.yaml: not UTF-8 text \(byte 1\); save it as UTF-8",
        status=1,
        environment={"VIBES_POLICY": "{folder}/bytes.yaml"},
    ),
    Bad(
        "a policy value without its reference",
        ALERT,
        r"uncited\.yaml, line \d+: notice\.notice_hours\.values\[0\]\.reference: required key is mis",
        status=1,
        environment={"VIBES_POLICY": "{folder}/uncited.yaml"},
    ),
    Bad(
        "a policy in a time zone that an engine does not know",
        ALERT,
        r"Polars knows no time zone Factory; name another one in the policy",
        status=1,
        environment={"VIBES_POLICY": "{folder}/factory.yaml"},
    ),
    Bad(
        "a database URL that is none",
        EXPORT,
        r"VIBES_POSTGRES_URL is not a database URL; write postgresql://user:password@host:5432/",
        status=1,
        environment={"VIBES_POSTGRES_URL": "the usual one"},
    ),
    Bad(
        "a database URL whose port is no number",
        EXPORT,
        r"VIBES_POSTGRES_URL is not a database URL; write postgresql://user:password@host:5432/",
        status=1,
        environment={"VIBES_POSTGRES_URL": "postgresql://vibes:secret@localhost:port/vibes"},
    ),
    *(
        Bad(
            f"no PostgreSQL there, for {command[0]}",
            command,
            r"PostgreSQL at 127\.0\.0\.1:1/vibes cannot be reached: .*is VIBES_POSTGRES_URL right\?",
            status=1,
            environment={"VIBES_POSTGRES_URL": NO_SERVER},
        )
        for command in (ALERT, REPLAY, EXPORT, ("demo", "--weeks", "1"))
    ),
    Bad(
        "a home that is a file",
        ALERT,
        r"bytes\.yaml.*VIBES_HOME",
        status=1,
        environment={"VIBES_HOME": "{folder}/bytes.yaml"},
    ),
    Bad(
        "a demo where a warehouse stands",
        ("demo", "--weeks", "1"),
        r"home is in use already; give the demo a place of its own, such as VIBES_HOME=\./demo",
    ),
    Bad(
        "a first week that is no Monday",
        ("generate", "--out", "{folder}/made.duckdb", "--first-week", "2026-11-10"),
        r"2026-11-10 is a Tuesday; .* Monday, here 2026-11-09",
    ),
    Bad(
        "a warehouse that stands already",
        ("generate",),
        r"already exists; name another place or ask to overwrite it with --force",
    ),
    Bad(
        "no dataset to import",
        ("import", "olist", "{folder}/nowhere", "--out", "{folder}/olist.duckdb"),
        r"nowhere/orders\.parquet is missing; the Olist folder needs it",
        status=1,
    ),
    Bad(
        "a rate that is no number",
        ("import", "olist", "{folder}", "--out", "{folder}/olist.duckdb", "--rate", "much"),
        r"--rate much is no number; write one such as 100",
    ),
]


@pytest.fixture(scope="module")
def folder(unharmed: Shell) -> Path:
    """A folder with what the cases name."""
    (unharmed.folder / "taken.csv").mkdir()
    (unharmed.folder / "bytes.yaml").write_bytes(b"\x23\xff\xfe")
    policy = load_policy("ng").text
    at = policy.index("reference:", policy.index("notice_hours:"))
    end = policy.index("\n\n", at)
    line_start = policy.rindex("\n", 0, at)
    uncited = policy[:line_start] + policy[_end_of_block(policy, at) : end] + policy[end:]
    (unharmed.folder / "uncited.yaml").write_text(uncited, encoding="utf-8")
    nowhere = policy.replace("time_zone: Africa/Lagos", "time_zone: Factory")
    (unharmed.folder / "factory.yaml").write_text(nowhere, encoding="utf-8")
    return unharmed.folder


def _end_of_block(text: str, at: int) -> int:
    """Where the lines end that are indented deeper than the key at `at`."""
    indent = at - text.rindex("\n", 0, at) - 1
    end = text.index("\n", at)
    while text[end + 1 :].startswith(" " * (indent + 1)):
        end = text.index("\n", end + 1)
    return end


@pytest.mark.parametrize("bad", COMMANDS, ids=[bad.why for bad in COMMANDS])
def test_a_bad_command_or_setting_is_one_clear_line(
    unharmed: Shell, folder: Path, bad: Bad
) -> None:
    before = traces(unharmed)
    given = {name: value.format(folder=folder) for name, value in bad.environment.items()}
    outcome = unharmed.with_(**given)(*(word.format(folder=folder) for word in bad.command))
    assert outcome.status == bad.status
    assert re.search(bad.error, outcome.error), outcome.error
    assert "secret" not in outcome.err
    assert traces(unharmed) == before


# --- the warehouse --------------------------------------------------------------------------------


def _rewrite(table: str, query: str) -> Callable[[Path], None]:
    def change(warehouse: Path) -> None:
        file = warehouse / f"{table}.parquet"
        changed = file.with_suffix(".changed")
        with duckdb.connect() as connection:
            connection.sql(query.format(f"read_parquet('{file}')")).write_parquet(str(changed))
        changed.replace(file)

    return change


def _remove(table: str) -> Callable[[Path], None]:
    return lambda warehouse: (warehouse / f"{table}.parquet").unlink()


def _damage(table: str) -> Callable[[Path], object]:
    return lambda warehouse: (warehouse / f"{table}.parquet").write_bytes(b"PAR1 no more")


def _add(table: str, query: str) -> Callable[[Path], None]:
    def change(warehouse: Path) -> None:
        with duckdb.connect() as connection:
            connection.sql(query).write_parquet(str(warehouse / f"{table}.parquet"))

    return change


WAREHOUSES: list[tuple[str, Callable[[Path], object], str]] = [
    ("no folder", shutil.rmtree, r"there is no warehouse at .*raw; set VIBES_WAREHOUSE .*generate"),
    ("a missing table", _remove("order_items"), r"raw has no table raw\.order_items; Rulebook §13"),
    ("a damaged file", _damage("products"), r"raw\.products in .*raw cannot be read: "),
    (
        "a missing column",
        _rewrite("order_items", "SELECT * EXCLUDE (commission) FROM {}"),
        r"raw\.order_items in .*raw has no column commission DECIMAL\(14,2\)",
    ),
    (
        "a column of a wrong type",
        _rewrite("order_items", "SELECT * REPLACE (commission::DOUBLE AS commission) FROM {}"),
        r"raw\.order_items\.commission in .*raw is DOUBLE; it must be DECIMAL\(14,2\)",
    ),
    (
        "times without a zone",
        _rewrite("sellers", "SELECT * REPLACE (onboarded_at::TIMESTAMP AS onboarded_at) FROM {}"),
        r"raw\.sellers\.onboarded_at in .*raw is TIMESTAMP; it must be TIMESTAMP WITH TIME ZONE",
    ),
    (
        "a missing column of a table that may be absent",
        _rewrite("dropoff_qc", "SELECT * EXCLUDE (failure_reason) FROM {}"),
        r"raw\.dropoff_qc in .*raw has no column failure_reason VARCHAR",
    ),
    (
        "a table not loaded in time",
        _add(
            "loads",
            "SELECT unnest(['sellers', 'products', 'order_items', 'dropoff_qc', "
            "'counterfeit_cases', 'account_decisions']) AS table_name, "
            "TIMESTAMPTZ '2026-11-15 23:59:59+01' AS loaded_through",
        ),
        r"not complete through 2026-11-16 00:00: raw\.sellers \(2026-11-15 23:59\).*; load it and",
    ),
    (
        "too many bad rows",
        _rewrite(
            "order_items",
            "SELECT * REPLACE (if(seller_id = 'S-slow', -1, commission)::DECIMAL(14,2) "
            "AS commission) FROM {}",
        ),
        r"1 of the 82 order items of the week of 2026-11-09 are bad, more than 1%: mend",
    ),
]


@pytest.mark.parametrize(
    ("change", "error"),
    [pytest.param(change, error, id=why) for why, change, error in WAREHOUSES],
)
def test_a_bad_warehouse_is_one_clear_line_and_nothing_is_decided(
    unharmed: Shell,
    warehouse: Path,
    tmp_path: Path,
    change: Callable[[Path], object],
    error: str,
) -> None:
    raw = Path(shutil.copytree(warehouse, tmp_path / "raw"))
    change(raw)
    before = traces(unharmed)
    outcome = unharmed.with_(VIBES_WAREHOUSE=raw)(*ALERT)
    assert outcome.status == 1
    assert re.search(error, outcome.error), outcome.error
    assert traces(unharmed) == before


def test_a_table_that_no_weekly_rule_reads_must_keep_the_contract_too(
    shell: Shell, warehouse: Path, tmp_path: Path
) -> None:
    raw = Path(shutil.copytree(warehouse, tmp_path / "raw"))
    _add("claims", "SELECT 'C-1' AS claim_id")(raw)
    outcome = shell.with_(VIBES_WAREHOUSE=raw)(*ALERT)
    assert outcome.status == 1
    assert "has no column category VARCHAR" in outcome.error


def test_a_file_that_is_no_database_is_one_clear_line(unharmed: Shell, tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_text("Dear DuckDB,")
    before = traces(unharmed)
    outcome = unharmed.with_(VIBES_WAREHOUSE=file)(*ALERT)
    assert outcome.status == 1
    assert "warehouse.duckdb cannot be read as a DuckDB file: " in outcome.error
    assert traces(unharmed) == before


def traces(shell: Shell) -> tuple[dict[str, int], list[Path]]:
    """What a command that did anything would have left: rows in the ledger, mails."""
    ledger = shell.ledger()
    counts = made.counts(ledger)
    ledger.close()
    return counts, sorted((shell.home / "mail").rglob("*"))


# --- how a process ends --------------------------------------------------------------------------


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
        assert all(command in outcome.out + outcome.err for command in main.COMMANDS)


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    plain = Shell(tmp_path)("run", "nightly")
    debug = Shell(tmp_path)("--debug", "run", "nightly")
    assert debug.status == plain.status == 2
    assert debug.err.startswith("Traceback (most recent call last):")
    assert debug.err.endswith(plain.err)
    assert "Traceback" not in plain.err
