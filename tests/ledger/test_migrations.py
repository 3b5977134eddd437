"""Each revision over a ledger with rows: they stay, and mean what they meant.

A ledger grows up here: `rows/NNNN.sql` is what a program of that revision could record, over what
the older ones had recorded. A revision with a new table, or a new column that is written to, comes
with such a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from ledger import made

from vibes_pipeline.exports.tables import Source, read_table
from vibes_pipeline.ledger import database, revisions
from vibes_pipeline.ledger.ledger import Ledger

ROWS = Path(__file__).with_name("rows")
SCHEMAS = ("ledger", "finance", "enforcement")

# Each relation's rows; a row is its columns' values.
Contents = dict[str, list[dict[str, object]]]


@dataclass(frozen=True)
class Grown:
    """A database at a revision: as the migration left it, and with what was recorded then."""

    url: sa.URL
    migrated: Contents
    recorded: Contents


@pytest.fixture(scope="module")
def cloned(administration: sa.Engine) -> Iterator[Callable[[sa.URL | None, str], sa.URL]]:
    """Makes a database as a copy of another, or an empty one."""
    names = []

    def clone(of: sa.URL | None, name: str) -> sa.URL:
        template = of.database if of else "template1"
        with administration.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        names.append(name)
        return administration.url.set(database=name)

    yield clone
    with administration.connect() as connection:
        for name in names:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def grown(cloned: Callable[[sa.URL | None, str], sa.URL]) -> dict[str, Grown]:
    """The ledger at each revision, each a copy of the one before, migrated and added to."""
    stages: dict[str, Grown] = {}
    url = None
    for revision in revisions.known():
        url = cloned(url, f"grown_{revision}")
        migrated = migrate(url, revision)
        rows = ROWS / f"{revision}.sql"
        engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            if rows.exists():
                # The driver's own cursor passes percent signs through untouched.
                connection.connection.cursor().execute(rows.read_text(encoding="utf-8"))
            stages[revision] = Grown(url, migrated, contents(connection))
    return stages


def migrate(url: sa.URL, until: str) -> Contents:
    """Migrate to a revision; everything that can then be read."""
    with database.opened(url) as (engine, connection):
        revisions.migrate(connection, "here", until)
        found = contents(connection)
    engine.dispose()
    return found


def contents(connection: sa.Connection) -> Contents:
    """The rows of every table and view."""
    inspector = sa.inspect(connection)
    relations = [
        f"{schema}.{name}"
        for schema in SCHEMAS
        if schema in inspector.get_schema_names()
        for name in (*inspector.get_table_names(schema), *inspector.get_view_names(schema))
    ]
    return {
        relation: sorted(
            (dict(row) for row in connection.execute(sa.text(f"TABLE {relation}")).mappings()),
            key=repr,
        )
        for relation in relations
    }


def as_before(after: Contents, before: Contents) -> Contents:
    """What can be read now, in the columns that it had."""
    return {
        relation: sorted(
            ({name: row[name] for name in rows[0]} for row in after[relation]), key=repr
        )
        for relation, rows in before.items()
        if rows
    }


def filled(found: Contents) -> Contents:
    return {relation: rows for relation, rows in found.items() if rows}


def test_files_are_named_by_their_revisions_in_the_order_that_alembic_walks() -> None:
    walked = ScriptDirectory(str(revisions.MIGRATIONS)).walk_revisions()
    assert revisions.known() == tuple(script.revision for script in walked)[::-1]


STEPS = list(zip(revisions.known(), revisions.known()[1:], strict=False))


@pytest.mark.parametrize(("older", "newer"), STEPS)
def test_a_revision_keeps_every_row_and_what_each_view_says_of_it(
    grown: dict[str, Grown], older: str, newer: str
) -> None:
    before, after = grown[older].recorded, grown[newer].migrated
    assert as_before(after, before) == filled(before)


@pytest.mark.parametrize("revision", [*revisions.known()[:-1]])
def test_a_ledger_of_any_revision_is_migrated_in_one_go(
    grown: dict[str, Grown], cloned: Callable[[sa.URL | None, str], sa.URL], revision: str
) -> None:
    url = cloned(grown[revision].url, f"from_{revision}")
    assert database.migrate(url) == revision
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        after = contents(connection)
    before = grown[revision].recorded
    assert as_before(after, before) == filled(before)


def test_every_table_holds_rows_that_were_migrated(grown: dict[str, Grown]) -> None:
    everything = grown[revisions.needed()].recorded
    empty = [relation for relation, rows in everything.items() if not rows]
    assert [relation for relation in empty if relation.startswith("ledger.")] == []


# --- what a migration itself adds -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "relation", "columns", "rows"),
    [
        ("0002", "ledger.notices", ["pointless_at"], [(None,)] * 4),
        ("0002", "ledger.cancellations", ["reference", "reason"], [("NG-F", "late_pending")]),
        ("0003", "ledger.notices", ["claim_event_id"], [(None,)] * 5),
        (
            "0004",
            "finance.charge_totals",
            ["statement_period", "rule", "net"],
            [
                (made.CYCLE + made.WEEK, "counterfeit_charge", Decimal("50000.00")),
                (made.CYCLE + made.WEEK, "returns_charge", Decimal("3000.00")),
                (made.CYCLE + 2 * made.WEEK, "returns_charge", Decimal("-3000.00")),
            ],
        ),
        (
            "0004",
            "enforcement.order_regulations_in_force",
            ["reference", "daily_order_limit"],
            [("NG-C", 21)],
        ),
        (
            "0007",
            "ledger.reviewed_counterfeits",
            ["cycle", "seller_id", "order_item_id"],
            [(made.CYCLE, "S-1", "I-2")],
        ),
        (
            "0010",
            "finance.seller_statement_lines",
            ["statement_period", "seller_id", "rule", "net", "debit_postings", "reversal_postings"],
            [
                (made.CYCLE + made.WEEK, "S-1", "counterfeit_charge", Decimal("50000.00"), 1, 0),
                (made.CYCLE + made.WEEK, "S-1", "returns_charge", Decimal("3000.00"), 1, 0),
                (made.CYCLE + 2 * made.WEEK, "S-1", "returns_charge", Decimal("-3000.00"), 0, 1),
            ],
        ),
        (
            "0017",
            "ledger.posting_totals",
            ["rule", "kind", "currency", "postings", "amount"],
            [
                ("counterfeit_charge", "debit", "NGN", 1, Decimal("50000.00")),
                ("returns_charge", "debit", "NGN", 1, Decimal("3000.00")),
                ("returns_charge", "reversal", "NGN", 1, Decimal("-3000.00")),
            ],
        ),
        ("0019", "ledger.open_claims", ["country", "claim_id"], [("NG", "C-3")]),
    ],
)
def test_what_is_new_is_told_of_old_rows_too(
    grown: dict[str, Grown],
    revision: str,
    relation: str,
    columns: list[str],
    rows: list[tuple[object, ...]],
) -> None:
    found = grown[revision].migrated[relation]
    assert sorted(tuple(row[name] for name in columns) for row in found) == rows


def test_the_program_reads_a_ledger_that_began_at_the_first_revision(
    grown: dict[str, Grown], tmp_path: Path
) -> None:
    ledger = Ledger(database.connect_to_existing(grown[revisions.needed()].url), "NG")
    source = Source(ledger, tmp_path, made.LAGOS)
    states = read_table("actions", source).select("reference", "state", "claim_id").rows()
    assert sorted(states) == [
        ("NG-A", "reversed", "C-0"),
        ("NG-B", "implemented", None),
        ("NG-C", "implemented", None),
        ("NG-D", "expired", None),
        ("NG-E", "alerted", None),
        ("NG-F", "implemented", None),
    ]
    assert read_table("charges", source)["amount"].sum() == Decimal("50000.00")
    told = read_table("notices", source).group_by("status").agg(pl.len()).rows()
    assert dict(told) == {"sent": 3, "queued": 3}
    assert dict(read_table("claims", source).select("claim_id", "state").rows()) == {
        "C-1": "upheld",
        "C-2": "incomplete",
        "C-3": "accepted",
    }
    ledger.close()
