"""Finding the ledger's PostgreSQL, bringing its schema up to date; what is said when it fails."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import database, revisions
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.settings import Settings

PASSWORD = "hunter2hunter2"
SHAPE = (
    "VIBES_POSTGRES_URL is not a database URL; write "
    "postgresql://user:password@host:5432/database, the password percent-encoded"
)


def settings(url: str, home: Path) -> Settings:
    return Settings.from_environment({"VIBES_POSTGRES_URL": url, "VIBES_HOME": str(home)})


@pytest.fixture
def message(tmp_path: Path) -> Callable[[str], str]:
    """What opening the ledger at a URL fails with."""

    def of(url: str) -> str:
        with pytest.raises(LedgerError) as failure:
            Ledger.open(settings(url, tmp_path), "NG")
        return str(failure.value)

    return of


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- a server that is there ---------------------------------------------------------------------


def test_a_configured_server_is_used_with_the_driver_that_dagsters_storage_brings(
    empty_database: sa.URL, tmp_path: Path
) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        text = empty_database.set(drivername=scheme).render_as_string(hide_password=False)
        url = database.database_url(settings(text, tmp_path))
        assert url == empty_database
    ledger = Ledger.open(settings(text, tmp_path), "NG")
    assert ledger.mode() is LedgerMode.EMPTY
    ledger.close()


def test_without_a_configured_server_the_one_under_the_home_is_used(
    postgres_home: Path, postgres: sa.URL
) -> None:
    assert database.database_url(settings("", postgres_home)) == postgres


def test_a_ledger_opened_again_is_left_as_it_is(empty_database: sa.URL) -> None:
    newest = max(script.stem for script in (revisions.MIGRATIONS / "versions").glob("*.sql"))
    for _ in range(2):
        engine = database.connect(empty_database)
        with engine.connect() as connection:
            version = sa.text("SELECT version_num FROM public.ledger_version")
            versions = connection.execute(version).scalars().all()
        engine.dispose()
        assert versions == [newest.partition("_")[0]]


def test_two_that_open_a_new_ledger_at_once_make_it_once(empty_database: sa.URL) -> None:
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(database.connect, [empty_database] * 4))
    for engine in engines:
        assert Ledger(engine, "NG").mode() is LedgerMode.EMPTY
        engine.dispose()


def test_a_ledger_does_not_show_its_address(ledger: Ledger) -> None:
    assert repr(ledger) == "Ledger(country='NG')"


# --- one that is not ----------------------------------------------------------------------------


def test_a_server_that_does_not_answer_is_named_without_its_password(
    message: Callable[[str], str],
) -> None:
    port = _closed_port()
    said = message(f"postgresql://vibes:{PASSWORD}@127.0.0.1:{port}/ledger")
    assert said.startswith(f"PostgreSQL at 127.0.0.1:{port}/ledger cannot be reached: ")
    assert said.endswith("is it running, and is VIBES_POSTGRES_URL right?")
    assert "\n" not in said
    assert PASSWORD not in said


def test_a_database_that_does_not_exist_is_named(
    message: Callable[[str], str], postgres: sa.URL
) -> None:
    said = message(postgres.set(database="no_such").render_as_string(hide_password=False))
    assert 'database "no_such" does not exist' in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("why", "url"),
    [
        ("no scheme", f"vibes:{PASSWORD}@host/ledger"),
        ("no URL at all", "the usual one"),
        ("a port that is no number", f"postgresql://vibes:{PASSWORD}@host:port/ledger"),
        ("an unclosed bracket", f"postgresql://vibes:{PASSWORD}@[::1/ledger"),
    ],
)
def test_a_url_that_is_none_is_answered_with_the_shape_of_one(
    message: Callable[[str], str], why: str, url: str
) -> None:
    assert message(url) == SHAPE


@pytest.mark.parametrize(
    ("why", "password"),
    [("an at sign", "hunter2@hunter2"), ("a slash", "hunter2/hunter2"), ("a hash", "hunter2#h")],
)
def test_a_password_not_percent_encoded_does_not_get_into_the_error(
    message: Callable[[str], str], why: str, password: str
) -> None:
    said = message(f"postgresql://vibes:{password}@127.0.0.1:{_closed_port()}/ledger")
    assert "\n" not in said
    assert "hunter2" not in said


def test_an_option_the_driver_does_not_know_is_one_line(
    message: Callable[[str], str], postgres: sa.URL
) -> None:
    url = postgres.update_query_dict({"sslmode": "sometimes"})
    said = message(url.render_as_string(hide_password=False))
    assert "sslmode" in said
    assert "\n" not in said


def test_a_user_who_may_not_make_the_schema_is_told(
    message: Callable[[str], str], empty_database: sa.URL, administration: sa.Engine
) -> None:
    with administration.connect() as connection:
        connection.execute(sa.text("DROP ROLE IF EXISTS guest"))
        connection.execute(sa.text("CREATE ROLE guest LOGIN"))
    url = empty_database.set(username="guest", password=PASSWORD)
    said = message(url.render_as_string(hide_password=False))
    assert said.startswith("the ledger's schema on ")
    assert "permission denied" in said
    assert "\n" not in said
    assert PASSWORD not in said


def test_a_ledger_made_by_a_newer_version_is_told_in_one_line(
    message: Callable[[str], str], ledger_url: sa.URL
) -> None:
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE public.ledger_version SET version_num = '9999'"))
    engine.dispose()
    said = message(ledger_url.render_as_string(hide_password=False))
    assert "9999" in said
    assert "\n" not in said


def test_a_folder_that_cannot_be_made_for_the_embedded_server_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "postgres"
    in_the_way.write_text("not a folder")
    with pytest.raises(LedgerError) as failure:
        database.embedded_url(in_the_way)
    assert str(in_the_way) in str(failure.value)
    assert "\n" not in str(failure.value)
