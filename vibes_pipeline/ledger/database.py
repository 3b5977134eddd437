"""Finding the PostgreSQL that holds the ledger, and opening it.

Here belongs what every session of ours needs of the server: what we set ourselves, whatever the
server, the database or the role have as defaults, and what is refused when we connect. Without
`VIBES_POSTGRES_URL` the server is the embedded one under `VIBES_HOME/postgres`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import psycopg2
import sqlalchemy as sa
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from vibes_pipeline.errors import LedgerError, first_line
from vibes_pipeline.ledger import revisions
from vibes_pipeline.ledger.embedded import embedded_url as embedded_url
from vibes_pipeline.ledger.embedded import is_made
from vibes_pipeline.settings import Settings

# The oldest that the tests run on.
OLDEST_VERSION = 15
# PostgreSQL cuts a session's name there.
LONGEST_NAME = 63

# How long a server that has gone silent is waited for: a cut network ends no connection by itself.
# The driver's own parameters; they reach no server, and no pooler before it.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 90_000,
}
# What each of our transactions is made with. Within a transaction it holds behind a pooler too,
# where the next transaction may go over another connection.
SETTINGS = {
    "search_path": "public",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    # A slot may compute for minutes between two statements, and a lock is held over many.
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    # A replay begins on an empty ledger: the plans of its guards must not stay those of that day.
    "plan_cache_mode": "force_custom_plan",
    # Our own locks are waited for in `locks`; this is for what others lock.
    "lock_timeout": "60s",
}
SINCE_17 = {"transaction_timeout": "0"}
# An execution option of a connection: whether it records rows, maybe a hundred thousand. What is
# then checked of each row by itself, a foreign key for instance, is planned once, and by an index:
# the plan may have been made when the table held a handful. Guards of whole statements say for
# themselves that they are planned each time.
IS_RECORDING = "is_recording"
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
# An execution option of a connection: whether its commits need not wait for the disk.
IS_HURRIED = "is_hurried"
WITHOUT_PATIENCE = {"synchronous_commit": "off"}
# An execution option of a COPY: the file that it reads from, or writes to.
COPIED = "copied"


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
        if (folder := unquote(url.host or "")).startswith("/"):
            # A Unix socket's folder as libpq writes it, which SQLAlchemy knows as a parameter only.
            url = url.set(host=None).update_query_dict({"host": folder})
        # The one driver that Dagster's storage brings; another would be picked for a bare URL.
        return url.set(drivername="postgresql+psycopg2")
    return embedded_url(settings.home / "postgres")


def existing_database_url(settings: Settings) -> sa.URL:
    """The same, but an embedded server is not made: `LedgerError` when there is none."""
    if not settings.postgres_url and not is_made(settings.home / "postgres"):
        raise revisions.no_ledger(f"in {settings.home}")
    return database_url(settings)


def connect(url: sa.URL) -> sa.Engine:
    """An engine on the ledger's database, its schema made or migrated as it is needed.

    Raises `LedgerError`, naming host and port, when the server does not answer, or when it is not
    as the ledger needs it; later on, from every use of the engine, when the server goes away.
    """
    with opened(url) as (engine, connection):
        revisions.migrate(connection, _place(url))
    return engine


def connect_to_existing(url: sa.URL) -> sa.Engine:
    """The same on a ledger that is there; `LedgerError` when it had to be made or migrated."""
    with opened(url) as (engine, connection):
        revisions.require_needed(connection, _place(url))
    return engine


def connect_as_it_is(url: sa.URL) -> sa.Engine:
    """The same whatever the schema's revision is; `LedgerError` when there is no ledger at all."""
    with opened(url) as (engine, connection):
        if revisions.present(connection) is None:
            raise revisions.no_ledger(f"on {_place(url)}")
    return engine


def migrate(url: sa.URL) -> str | None:
    """Bring the schema to the revision that is needed; give the one before, None for a new one."""
    with opened(url) as (engine, connection):
        before = revisions.migrate(connection, _place(url))
    engine.dispose()
    return before


@contextmanager
def opened(url: sa.URL) -> Iterator[tuple[sa.Engine, sa.Connection]]:
    """An engine, and its first connection, in which the schema is looked at."""
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=10,
        isolation_level="READ COMMITTED",
        connect_args={
            # Not `options`: a pooler refuses them.
            "application_name": session_name(),
            "client_encoding": "utf8",
            **{name: value for name, value in PATIENCE.items() if name not in url.query},
        },
    )
    sa.event.listen(engine, "begin", _set_up)
    sa.event.listen(engine, "do_execute", _copy)
    try:
        with engine.connect() as connection:
            _require_usable(connection, url)
            yield engine, connection
    except OperationalError as error:
        raise LedgerError(
            f"PostgreSQL at {_place(url)} cannot be reached: {first_line(error.orig)}; "
            "is it running, and is VIBES_POSTGRES_URL right?"
        ) from None
    except (psycopg2.Error, sa.exc.DBAPIError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise LedgerError(
            f"the ledger's schema on {_place(url)} could not be made or read: "
            f"{first_line(cause)}; its owner makes and migrates it with `vibes migrate`"
        ) from None
    sa.event.listen(engine, "handle_error", _in_one_line)


def _copy(cursor: Any, statement: str, parameters: object, context: Any) -> bool:
    """Let the driver copy where a file is given; true then. Its errors are told as all others."""
    file = context.execution_options.get(COPIED)
    if file is not None:
        cursor.copy_expert(statement, file)
    return file is not None


def session_name() -> str:
    """What the server's administrator, and who waits for a lock of ours, sees of this process."""
    return f"vibes, process {os.getpid()} on {socket.gethostname()}"[:LONGEST_NAME]


def _set_up(connection: sa.Connection) -> None:
    """Set what a transaction needs, before its first statement."""
    settings = dict(SETTINGS)
    driver: Any = connection.connection.dbapi_connection
    if driver.server_version >= 17_00_00:
        settings |= SINCE_17
    options = connection.get_execution_options()
    if options.get(IS_RECORDING):
        settings |= PLANNED_ONCE
    if options.get(IS_HURRIED):
        settings |= WITHOUT_PATIENCE
    calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(settings))
    values = [text for setting in settings.items() for text in setting]
    connection.exec_driver_sql(f"SELECT {calls}", tuple(values))


def _require_usable(connection: sa.Connection, url: sa.URL) -> None:
    """Refuse a server that cannot keep the ledger; `LedgerError` names what is to be changed."""
    server = connection.execute(
        sa.text("""
            SELECT current_setting('server_version_num')::int / 10000 AS version,
                   current_setting('server_encoding') AS encoding,
                   current_setting('transaction_read_only')::boolean AS is_read_only,
                   pg_is_in_recovery() AS is_replica,
                   current_setting('session_replication_role') AS triggers
        """)
    ).one()
    database = f"the database {url.database} on {_host(url)}"
    if server.version < OLDEST_VERSION:
        raise LedgerError(
            f"PostgreSQL at {_place(url)} is version {server.version}; the ledger needs "
            f"{OLDEST_VERSION} or newer"
        )
    if server.encoding != "UTF8":
        raise LedgerError(
            f"{database} has the encoding {server.encoding}, which cannot keep every name; make "
            "it anew with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, as "
            "deploy/roles.sql does"
        )
    if server.is_replica:
        raise LedgerError(
            f"PostgreSQL at {_place(url)} is a replica that only reads; let VIBES_POSTGRES_URL "
            "name the primary"
        )
    if server.is_read_only:
        # Not overruled: hosts set it when a disk is nearly full.
        raise LedgerError(
            f"{database} only reads (default_transaction_read_only is on); find out why, then "
            "ALTER DATABASE, or ROLE, … SET default_transaction_read_only = off"
        )
    if server.triggers != "origin":
        raise LedgerError(
            f"session_replication_role is {server.triggers} in {database}, which switches off the "
            "ledger's guarantees; ALTER ROLE, or DATABASE, … RESET session_replication_role"
        )


def _in_one_line(context: ExceptionContext) -> LedgerError | None:
    """Say what an administrator can mend, a server gone or full or busy, in one line of ours."""
    is_gone = context.is_disconnect or context.connection is None
    return None if context.is_pre_ping else failure(context.original_exception, is_gone=is_gone)


def failure(error: BaseException, *, is_gone: bool) -> LedgerError | None:
    """The driver's error in one line of ours; None for one that no administrator can mend.

    Ctrl-C is none: it leaves the connection of no more use, too.
    """
    is_mendable = isinstance(error, psycopg2.OperationalError) or is_gone
    if not isinstance(error, Exception) or not is_mendable:
        return None
    return LedgerError(
        f"PostgreSQL {'went away' if is_gone else 'could not go on'}: {first_line(error)}; what it "
        "did not confirm is done again by the next try"
    )


def _place(url: sa.URL) -> str:
    """Host, port and database, without the user and the password."""
    return f"{_host(url)}/{url.database}"


def _host(url: sa.URL) -> str:
    """Host and port; an IPv6 address in brackets."""
    host = url.host or url.query.get("host") or "localhost"
    port = f":{url.port}" if url.port else ""
    return f"[{host}]{port}" if ":" in host else f"{host}{port}"
