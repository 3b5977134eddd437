"""The revision of a ledger's schema: which it is at, which this program needs, the way between.

The revisions themselves, numbered in order, are in `migrations`. Alembic is imported where a schema
is made or migrated: a command that only reads does not wait for it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import locks

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "public.ledger_version"
LOCK = "vibes migration"


@cache
def known() -> tuple[str, ...]:
    """Every revision that this program knows, oldest first; it needs the last.

    The file of each is named by its number.
    """
    files = (MIGRATIONS / "versions").glob("[0-9]*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def needed() -> str:
    """The revision that this program works with."""
    return known()[-1]


def present(connection: sa.Connection) -> str | None:
    """The revision that the schema is at; None when the database has no ledger."""
    if connection.execute(sa.text(f"SELECT to_regclass('{VERSION_TABLE}')")).scalar() is None:
        return None
    version: str | None = connection.execute(
        sa.text(f"SELECT version_num FROM {VERSION_TABLE}")
    ).scalar()
    return version


def require_needed(connection: sa.Connection, place: str) -> None:
    """`LedgerError`, with the way out, unless the schema is at the revision that is needed."""
    at = present(connection)
    if at is None:
        raise no_ledger(f"on {place}")
    _require_known(at, place)
    if at != needed():
        raise LedgerError(
            f"the ledger on {place} is at revision {at}, this version needs {needed()}: run "
            "`vibes migrate`"
        )


def migrate(connection: sa.Connection, place: str, until: str = "head") -> str | None:
    """Bring the schema to the revision that is needed; give the one that it was at before.

    Raises `LedgerError` when it is at one that this program does not know.
    """
    at = present(connection)
    if at == needed():
        return at
    # Two processes that start at once migrate one after the other.
    locks.take(connection, LOCK)
    at = present(connection)
    _require_known(at, place)
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The file's own syntax has a meaning for percent signs.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, until)
    connection.commit()
    return at


def no_ledger(where: str) -> LedgerError:
    """What a command says that needs a ledger where there is none."""
    return LedgerError(
        f"there is no ledger {where}: let VIBES_HOME or VIBES_POSTGRES_URL name the one that you "
        "mean; `vibes demo`, `vibes run` and `vibes up` make a new one"
    )


def _require_known(at: str | None, place: str) -> None:
    if at is not None and at not in known():
        raise LedgerError(
            f"the ledger on {place} is at revision {at}, and this version of the program knows "
            f"none after {needed()}: install the version that the ledger was migrated with"
        )
