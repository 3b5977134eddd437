"""PostgreSQL as others run it: odd defaults, other encodings, a pooler before it, an older one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import pytest
import sqlalchemy as sa
from ledger import made
from patience import PATIENCE_SECONDS

from vibes_pipeline.dagster_host import home as dagster_home
from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import database, views
from vibes_pipeline.ledger.deliveries import Delivery, record, recording
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.notices import only_sender
from vibes_pipeline.ledger.run_locks import is_running, running
from vibes_pipeline.settings import Settings

NOW = datetime(2026, 11, 18, 6, tzinfo=UTC)
OLDER = Path("/usr/lib/postgresql/15/bin")
POOLER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# As an administrator may have left them, for good reasons of other programs.
ODD = {
    "search_path": "nowhere",
    "default_transaction_isolation": "serializable",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "statement_timeout": "150ms",
    "idle_in_transaction_session_timeout": "150ms",
    "idle_session_timeout": "150ms",
    "lock_timeout": "150ms",
    "client_encoding": "LATIN1",
}
LONGER_THAN_ODD = 0.4


def set_for(administration: sa.Engine, url: sa.URL, settings: dict[str, str]) -> None:
    """Set defaults of a database; those of `DateStyle` and paths are lists of words."""
    lists = ("search_path", "DateStyle")
    with administration.connect() as connection:
        for name, value in settings.items():
            said = value if name in lists else f"'{value}'"
            connection.execute(sa.text(f"ALTER DATABASE {url.database} SET {name} = {said}"))


def refused(url: sa.URL) -> str:
    """What connecting fails with, in one line."""
    with pytest.raises(LedgerError) as failure:
        database.connect(url)
    assert "\n" not in str(failure.value)
    return str(failure.value)


# --- odd defaults -------------------------------------------------------------------------------


def test_odd_defaults_of_a_database_change_nothing(
    empty_database: sa.URL, administration: sa.Engine
) -> None:
    set_for(administration, empty_database, ODD)
    ledger = Ledger(database.connect(empty_database), "NG")
    with ledger.writing(is_simulated=True, now=NOW) as connection:
        # Between two statements, within one, and with an instant of a zone of its own.
        sleep(LONGER_THAN_ODD)
        connection.execute(sa.select(sa.func.pg_sleep(LONGER_THAN_ODD)))
        assert (
            connection.execute(sa.text("SHOW transaction_isolation")).scalar() == "read committed"
        )
    sleep(LONGER_THAN_ODD)
    assert ledger.opened_at() == NOW
    made.freeze_cycle(ledger, made.a_handful())
    assert len(made.open_notices(ledger)) == 3
    ledger.close()


def test_a_lock_outlives_the_time_that_idle_sessions_are_given(
    ledger_url: sa.URL, administration: sa.Engine
) -> None:
    set_for(administration, ledger_url, ODD)
    ledger = Ledger(database.connect(ledger_url), "NG")
    with running(ledger, "run-1"), only_sender(ledger):
        sleep(LONGER_THAN_ODD)
        assert is_running(ledger, "run-1")
    assert not is_running(ledger, "run-1")
    ledger.close()


def test_dagsters_storage_works_with_odd_defaults(
    empty_database: sa.URL,
    administration: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_for(administration, empty_database, {**ODD, "statement_timeout": "0"})
    _use(empty_database, tmp_path, monkeypatch)
    with dagster_home.persistent_instance(Settings.from_environment()) as instance:
        sleep(LONGER_THAN_ODD)
        assert instance.get_runs() == []


def test_dagsters_storage_asks_rarely_whether_its_connection_lives_and_replaces_a_dead_one(
    empty_database: sa.URL,
    administration: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _use(empty_database, tmp_path, monkeypatch)
    with dagster_home.persistent_instance(Settings.from_environment()) as instance:
        dialect = instance.event_log_storage._engine.dialect  # type: ignore[attr-defined]
        ping, pinged = dialect.do_ping, list[object]()
        monkeypatch.setattr(dialect, "do_ping", lambda to: pinged.append(to) or ping(to))
        for _ in range(20):
            assert instance.all_asset_keys() == []
        assert len(pinged) < 5
        monkeypatch.setattr(dagster_home, "ALIVE_FOR_SECONDS", 0.0)
        with administration.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": empty_database.database},
            )
        assert instance.all_asset_keys() == []


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_in_which_not_every_name_can_be_written_is_refused(
    encoding: str, administration: sa.Engine
) -> None:
    name = f"in_{encoding.lower()}"
    with administration.connect() as connection:
        connection.execute(
            sa.text(
                f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' "
                "TEMPLATE template0"
            )
        )
    try:
        said = refused(administration.url.set(database=name))
    finally:
        with administration.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    assert f"the database {name} on " in said
    assert f"has the encoding {encoding}" in said
    assert "ENCODING 'UTF8' TEMPLATE template0" in said


@pytest.mark.parametrize(
    ("setting", "value", "way_out"),
    [
        ("default_transaction_read_only", "on", "SET default_transaction_read_only = off"),
        ("session_replication_role", "replica", "RESET session_replication_role"),
    ],
)
def test_a_database_that_cannot_keep_the_ledger_is_refused_with_the_way_out(
    setting: str,
    value: str,
    way_out: str,
    ledger_url: sa.URL,
    administration: sa.Engine,
) -> None:
    set_for(administration, ledger_url, {setting: value})
    said = refused(ledger_url)
    assert setting in said
    assert said.endswith(way_out)


def test_a_server_that_is_too_old_is_refused(
    ledger_url: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OLDEST_VERSION", 99)
    assert "; the ledger needs 99 or newer" in refused(ledger_url)


# --- the URL ------------------------------------------------------------------------------------


def test_a_socket_named_as_a_host_is_found(ledger_url: sa.URL, tmp_path: Path) -> None:
    folder, port = ledger_url.query["host"], ledger_url.query["port"]
    as_host = str(folder).replace("/", "%2F")
    text = f"postgresql://postgres@{as_host}:{port}/{ledger_url.database}"
    environment = {"VIBES_POSTGRES_URL": text, "VIBES_HOME": str(tmp_path)}
    ledger = Ledger.open(Settings.from_environment(environment), "NG")
    assert ledger.mode() is LedgerMode.EMPTY
    ledger.close()


def test_options_in_the_url_stand_beside_those_of_dagsters_sessions(ledger_url: sa.URL) -> None:
    url = dagster_home._storage_url(
        ledger_url.update_query_dict({"options": "-c TimeZone=Asia/Tokyo"})
    )
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        shown = [
            connection.execute(sa.text(f"SHOW {name}")).scalar()
            for name in ("TimeZone", "synchronous_commit", "default_transaction_isolation")
        ]
    engine.dispose()
    assert shown == ["Asia/Tokyo", "off", "read committed"]


# --- a server that goes away --------------------------------------------------------------------


def test_an_interrupt_is_no_fault_of_the_server() -> None:
    assert database.failure(KeyboardInterrupt(), is_gone=True) is None


def test_a_connection_cut_in_the_middle_is_one_line_and_the_next_try_ends_well(
    ledger: Ledger, administration: sa.Engine
) -> None:
    with pytest.raises(LedgerError) as failure:
        _be_cut_off_while_writing(ledger, administration)
    assert str(failure.value).startswith("PostgreSQL went away: ")
    assert "\n" not in str(failure.value)
    with ledger.writing(is_simulated=True, now=NOW):
        pass
    assert ledger.opened_at() == NOW


def test_a_mail_that_was_under_way_when_the_server_went_away_is_known_as_such(
    ledger: Ledger, administration: sa.Engine
) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    notice = made.open_notices(ledger)[0]
    begun = Delivery(notice.notice_id, 1, None, "sending", made.ALERT_AT)
    with recording(ledger, is_simulated=True) as connection:
        assert record(ledger, connection, [begun]) == 1
        _cut_off(administration, ledger)
        with pytest.raises(LedgerError, match="PostgreSQL went away"):
            record(ledger, connection, [replace(begun, status="sent", code=250)])
    (again,) = [n for n in made.open_notices(ledger) if n.notice_id == notice.notice_id]
    assert again.status == "sending"


def _be_cut_off_while_writing(ledger: Ledger, administration: sa.Engine) -> None:
    with ledger.writing(is_simulated=True, now=NOW) as connection:
        _cut_off(administration, ledger)
        connection.execute(sa.text("SELECT 1"))


def _cut_off(administration: sa.Engine, ledger: Ledger) -> None:
    with administration.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name"
            ),
            {"name": ledger.engine.url.database},
        )


# --- a pooler -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pooler(postgres: sa.URL) -> Iterator[int]:
    """The port of a PgBouncer in transaction mode before the session's server."""
    if POOLER is None:
        pytest.skip("there is no pgbouncer on this machine")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    folder = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        "[databases]\n"
        f"* = host={postgres.query['host']} port={postgres.query['port']} user=postgres\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users.txt\n"
        "pool_mode = transaction\ndefault_pool_size = 8\n"
    )
    with _as_nobody_special(folder) as user:
        process = subprocess.Popen(
            [POOLER, "-q", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
        )
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def test_the_ledger_and_its_locks_work_through_a_pooler_of_transactions(
    pooler: int, empty_database: sa.URL, administration: sa.Engine
) -> None:
    set_for(
        administration, empty_database, {k: v for k, v in ODD.items() if k != "client_encoding"}
    )
    url = sa.make_url(
        f"postgresql+psycopg2://postgres@127.0.0.1:{pooler}/{empty_database.database}"
    )
    ledger, direct = (
        Ledger(database.connect(url), "NG"),
        Ledger(database.connect(empty_database), "NG"),
    )
    is_in = threading.Event()

    def hold() -> None:
        with only_sender(direct):
            is_in.set()

    with only_sender(ledger), running(ledger, "run-1"):
        made.freeze_cycle(ledger, made.a_handful())
        with recording(ledger, is_simulated=True) as connection:
            at = made.ALERT_AT
            sent = [
                Delivery(n.notice_id, 1, at, "sent", at, 250, actions=n.actions, slot_now=at)
                for n in made.open_notices(ledger)
            ]
            assert record(ledger, connection, sent) == 2 * len(sent)
        assert is_running(direct, "run-1")
        second = threading.Thread(target=hold)
        second.start()
        assert not is_in.wait(0.3)
    assert is_in.wait(PATIENCE_SECONDS)
    second.join()
    assert not is_running(direct, "run-1")
    with administration.connect() as connection:
        left = connection.execute(
            sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        ).scalar()
    assert left == 0, "no lock stays behind in the pooler's connections"
    assert made.rows(ledger, views.notice_states.c.status) == [("sent",)] * 3
    ledger.close()
    direct.close()


def test_dagsters_storage_works_through_a_pooler_that_takes_no_options(
    pooler: int, empty_database: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(f"postgresql://postgres@127.0.0.1:{pooler}/{empty_database.database}")
    _use(url, tmp_path, monkeypatch)
    with dagster_home.persistent_instance(Settings.from_environment()) as instance:
        assert instance.get_runs() == []


# --- a server of another version, over TCP ------------------------------------------------------


@pytest.fixture(scope="module")
def older() -> Iterator[sa.URL]:
    """The oldest PostgreSQL that is supported, listening on IPv4 and IPv6, with passwords."""
    if not OLDER.is_dir():
        pytest.skip(f"there is no PostgreSQL in {OLDER}")
    folder = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with _as_nobody_special(folder) as user:
        (folder / "password").write_text(PASSWORD)
        subprocess.run(
            [
                *(OLDER / "initdb", "-D", folder / "data", "-U", "postgres", "-E", "UTF8"),
                *("--locale=C", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-N"),
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        process = subprocess.Popen(
            [
                *(OLDER / "postgres", "-D", folder / "data", "-p", str(port), "-k", ""),
                *("-h", "127.0.0.1,::1", "-F"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=folder,
        )
        url = sa.URL.create(
            "postgresql+psycopg2", "postgres", PASSWORD, "127.0.0.1", port, "postgres"
        )
        try:
            _wait_until_started(url)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_SECONDS)


PASSWORD = "a@b/c:d%e#f?g h[i]&j=k+l"


def test_a_password_of_any_letters_works_percent_encoded_for_ledger_and_dagster(
    older: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(older, tmp_path, monkeypatch)
    settings = Settings.from_environment()
    ledger = Ledger.open(settings, "NG")
    made.freeze_cycle(ledger, made.a_handful())
    assert len(made.open_notices(ledger)) == 3
    ledger.close()
    with dagster_home.persistent_instance(settings) as instance:
        assert instance.get_runs() == []


def test_an_ipv6_host_works_and_is_shown_in_brackets(older: sa.URL) -> None:
    database.connect(older.set(host="::1")).dispose()
    with pytest.raises(LedgerError, match=r"PostgreSQL at \[::1\]:\d+/no_such cannot be reached"):
        database.connect(older.set(host="::1", database="no_such"))


def test_encryption_that_a_server_does_not_offer_is_told(older: sa.URL) -> None:
    said = refused(older.update_query_dict({"sslmode": "require"}))
    assert "server does not support SSL, but SSL was required" in said


# --- helpers ------------------------------------------------------------------------------------


def _use(url: sa.URL, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", dagster_home.STORAGE_VARIABLE):
        monkeypatch.setenv(name, "set anew by dagster_home")
    monkeypatch.setenv("VIBES_POSTGRES_URL", url.render_as_string(hide_password=False))
    monkeypatch.setenv("VIBES_HOME", str(home))


@contextmanager
def _as_nobody_special(folder: Path) -> Iterator[str | None]:
    """The user for servers that refuse to run as root; the folder is theirs, and then removed."""
    user = "pgserver" if os.geteuid() == 0 else None
    if user:
        for place in (folder, *folder.iterdir()):
            os.chown(place, pwd.getpwnam(user).pw_uid, -1)
    yield user
    shutil.rmtree(folder)


def _wait_for(port: int) -> None:
    gives_up_at = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert monotonic() < gives_up_at
            sleep(0.05)
        else:
            return


def _wait_until_started(url: sa.URL) -> None:
    """The port is open some time before the server answers."""
    gives_up_at, engine = monotonic() + PATIENCE_SECONDS, sa.create_engine(url)
    while True:
        try:
            return engine.connect().close()
        except sa.exc.OperationalError:
            assert monotonic() < gives_up_at
            sleep(0.05)
        finally:
            engine.dispose()
