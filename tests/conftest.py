"""What tests of several folders share: a real PostgreSQL, a ledger of one's own, the rulebook.

Each test gets a database cloned from a migrated template, so no test sees another's rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import served
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from served import TEMPLATE, cloned

from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger

# A busy machine must fail no property: what is slow is measured elsewhere.
hypothesis_settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")

PROJECT = Path(__file__).resolve().parents[1]
# Folders of tests that run commands, the daemon or a browser.
STARTS_PROCESSES = ("browser", "cli", "dagster_host", "defs", "killed", "storm")
# Files that take longest, and folders of such.
LONGEST = (
    "defs/test_daemon.py",
    "test_docs_run.py",
    "browser",
    "answers/test_simulate.py",
    "storm",
    "killed",
    "test_worlds.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="only tests that start no server, process or browser"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that it is not alone at the end.

    With --fast, leave out what needs the database server or starts processes of its own.
    """
    items.sort(key=_place_in_order)
    if not config.getoption("--fast"):
        return
    slow = {item for item in items if _needs_a_server(item)}
    config.hook.pytest_deselected(items=[*slow])
    items[:] = [item for item in items if item not in slow]


def _place_in_order(item: pytest.Item) -> int:
    file = item.path.relative_to(PROJECT / "tests")
    names = {file.as_posix(), file.parts[0]}
    return next((place for place, name in enumerate(LONGEST) if name in names), len(LONGEST))


def _needs_a_server(item: pytest.Item) -> bool:
    folder = item.path.relative_to(PROJECT / "tests").parts[0]
    return folder in STARTS_PROCESSES or "postgres" in getattr(item, "fixturenames", ())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give a file's tests to one worker, for they share what is made for the first of them.

    So do those of the folder that looks at one server with one browser. The order is that of above.
    """
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "browser" if "/browser/" in file else file

    return Together(config, log)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """A command run in this process keeps its files to their owner, and so would all tests after."""
    os.umask(0o022)
    yield
    os.umask(0o022)


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[Path]:
    """The `VIBES_HOME` of this session's server."""
    with served.short_home() as home:
        yield home


@pytest.fixture(scope="session")
def postgres(postgres_home: Path) -> sa.URL:
    """The URL of this session's server, started."""
    return database.embedded_url(postgres_home / "postgres")


@pytest.fixture(scope="session")
def administration(postgres: sa.URL) -> Iterator[sa.Engine]:
    """Connections in which databases are made and dropped; the migrated template stands."""
    with served.administered(postgres) as engine:
        yield engine


@pytest.fixture(scope="session")
def with_dagster(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with an empty ledger and Dagster's tables, to be cloned.

    Those take a second and more to make, so each test that starts Dagster would pay for them.
    """
    from cli.shell import add_dagsters_tables

    ready = "migrated_with_dagster"
    with administration.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {ready} TEMPLATE {TEMPLATE}"))
    url = administration.url.set(database=ready)
    add_dagsters_tables(administration, url, tmp_path_factory.mktemp("dagster"))
    return ready


@pytest.fixture
def empty_database(administration: sa.Engine) -> Iterator[sa.URL]:
    """A database without a ledger."""
    with cloned(administration, "template1") as url:
        yield url


@pytest.fixture
def ledger_url(administration: sa.Engine) -> Iterator[sa.URL]:
    """A database with an empty ledger."""
    with cloned(administration) as url:
        yield url


@pytest.fixture
def ledger(ledger_url: sa.URL) -> Iterator[Ledger]:
    """An empty ledger of Nigeria."""
    opened = Ledger(database.connect(ledger_url), "NG")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def module_ledger_url(administration: sa.Engine) -> Iterator[sa.URL]:
    """An empty ledger for a whole module, whose tests roll back what they do."""
    with cloned(administration) as url:
        yield url


@pytest.fixture(scope="module")
def module_ledger(module_ledger_url: sa.URL) -> Iterator[Ledger]:
    """A ledger of Nigeria for a whole module: filled once, it is only read."""
    opened = Ledger(database.connect(module_ledger_url), "NG")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the rulebook and its data, beside the project."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("there is no ../shared beside the project: its rulebook and data are not here")
    return folder
