"""Commands where there is no ledger, or one of another version: one line, no trace.

Here belongs what makes or migrates a ledger, and what never does, as reading.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from cli.shell import Shell

from vibes_pipeline.ledger import database, revisions

READING = [
    ("export", "charges", "--out", "charges.csv"),
    ("export", "seller_week", "--out", "seller_week.csv"),
    ("report",),
    ("report", "--cycle", "2026-11-09", "--out", "week.html"),
    ("statement", "S-1", "--out", "statement.html"),
    ("close", "2026-11-09"),
    ("close", "--verify"),
    ("sql", "FROM finance.charges"),
    ("sql", "FROM metrics.seller_week"),
    ("sql", "--describe", "ledger.actions"),
    ("explain", "NG-ABCDEFGH"),
    ("explain", "item", "--all", "--out", "all.jsonl"),
    ("explain", "seller", "S-1", "--cycle", "2026-11-09"),
    ("mail", "preview"),
    ("mail", "resend", "--kind", "weekly_alert"),
]
NEEDED = revisions.needed()
MAKE_ONE = (
    ": let VIBES_HOME or VIBES_POSTGRES_URL name the one that you mean; `vibes demo`, `vibes run` "
    "and `vibes up` make a new one"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def over(folder: Path, url: sa.URL) -> Shell:
    """A shell over that database."""
    environment = {
        "VIBES_HOME": str(folder / "home"),
        "VIBES_POSTGRES_URL": url.render_as_string(hide_password=False),
    }
    return Shell(folder, environment)


def relations(url: sa.URL) -> set[str]:
    """Every table and view of the database that is not PostgreSQL's own."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        ours = sa.text(
            "SELECT schemaname || '.' || tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return set(connection.execute(ours).scalars())


def set_revision(url: sa.URL, revision: str) -> None:
    """The ledger says that it is at another revision."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE ledger_version SET version_num = :revision"), {"revision": revision}
        )


# --- no ledger ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*READING, ("status",)], ids=" ".join)
def test_in_a_home_without_a_ledger_reading_is_refused_and_nothing_is_made(
    folder: Path, command: tuple[str, ...]
) -> None:
    outcome = Shell(folder, {"VIBES_HOME": str(folder / "home")})(*command)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == f"there is no ledger in {folder / 'home'}{MAKE_ONE}"
    assert list(folder.iterdir()) == []


def test_in_a_database_without_a_ledger_reading_is_refused_and_nothing_is_made(
    folder: Path, empty_database: sa.URL
) -> None:
    for command in [*READING, ("status",)]:
        outcome = over(folder, empty_database)(*command)
        assert outcome.status == 1
        assert outcome.error.startswith("there is no ledger on ")
        assert outcome.error.endswith(f"/{empty_database.database}{MAKE_ONE}")
    assert list(folder.iterdir()) == []
    assert relations(empty_database) == set()


def test_what_needs_no_ledger_is_answered_without_one(folder: Path) -> None:
    shell = Shell(folder, {"VIBES_HOME": str(folder / "home")})
    assert shell("sql", "FROM policy.order_regulation_bands").status == 0
    assert list(folder.iterdir()) == []


# --- one of another version -----------------------------------------------------------------------


def test_reading_never_migrates_an_older_ledger(folder: Path, ledger_url: sa.URL) -> None:
    set_revision(ledger_url, "0007")
    for command in READING:
        outcome = over(folder, ledger_url)(*command)
        assert outcome.status == 1
        assert outcome.error.startswith("the ledger on ")
        assert outcome.error.endswith(
            f" is at revision 0007, this version needs {NEEDED}: run `vibes migrate`"
        )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "command", [READING[0], ("migrate",), ("run", "claims")], ids=["reading", "migrate", "a slot"]
)
def test_a_ledger_newer_than_the_program_is_one_clear_line(
    folder: Path, ledger_url: sa.URL, command: tuple[str, ...]
) -> None:
    set_revision(ledger_url, "9999")
    outcome = over(folder, ledger_url)(*command)
    assert outcome.status == 1
    assert outcome.error.startswith("the ledger on ")
    assert outcome.error.endswith(
        f" is at revision 9999, and this version of the program knows none after {NEEDED}: install "
        "the version that the ledger was migrated with"
    )


def test_migrate_makes_migrates_and_says_from_where_to_where(
    folder: Path, empty_database: sa.URL
) -> None:
    shell = over(folder, empty_database)
    assert shell("migrate").out == f"a new ledger is made, at revision {NEEDED}\n"
    assert shell("export", "actions", "--out", "actions.csv").out.startswith("0 rows of actions")
    nothing = f"the ledger is at revision {NEEDED}, as this version needs it: nothing to do\n"
    assert shell("migrate").out == nothing


def test_migrate_says_from_which_revision_it_began(folder: Path, empty_database: sa.URL) -> None:
    with database.opened(empty_database) as (engine, connection):
        revisions.migrate(connection, "here", until="0003")
    engine.dispose()
    outcome = over(folder, empty_database)("migrate")
    assert outcome.out == f"the ledger is migrated from revision 0003 to {NEEDED}\n"


def test_a_role_that_may_not_migrate_is_told_who_does(
    folder: Path, administration: sa.Engine, empty_database: sa.URL
) -> None:
    with administration.connect() as connection:
        connection.execute(sa.text("CREATE ROLE who_may_nothing LOGIN"))
    outcome = over(folder, empty_database.set(username="who_may_nothing"))("migrate")
    with administration.connect() as connection:
        connection.execute(sa.text("DROP ROLE who_may_nothing"))
    assert outcome.status == 1
    assert outcome.error.startswith("the ledger's schema on ")
    assert "could not be made or read: permission denied" in outcome.error
    assert outcome.error.endswith("; its owner makes and migrates it with `vibes migrate`")
