"""The embedded PostgreSQL: any folder, any user, whatever a dead server left behind."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from patience import PATIENCE_SECONDS

from vibes_pipeline.errors import LedgerError, SettingsError
from vibes_pipeline.ledger import embedded
from vibes_pipeline.ledger.embedded import EmbeddedServer, embedded_url

# A shell, a URL, a pattern, SQL, a setting and a formatted text each read one of these as theirs.
ODD_NAME = 'a h?me [of] *\'s "own" $(touch x) %s & é; `y`, {z} \\'


@contextmanager
def serving(data_folder: Path) -> Iterator[sa.URL]:
    """Its server, which is stopped and deleted at the end."""
    url = embedded_url(data_folder)
    try:
        yield url
    finally:
        server = EmbeddedServer._instances[data_folder.resolve()]
        server.cleanup_mode = "delete"
        server.cleanup()


def answer(url: sa.URL, question: str = "SELECT 1") -> object:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.execute(sa.text(question)).scalar()


def failure_of(data_folder: Path) -> str:
    """What starting it fails with, in one line."""
    with pytest.raises(LedgerError) as failure:
        embedded_url(data_folder)
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the user may enter whom PostgreSQL runs as where the tests run as root."""
    made = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def test_a_folder_of_any_name_and_length_and_a_lock_file_of_another_process_work(
    folder: Path, bystander: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    data_folder = folder / ODD_NAME / ("long" * 30) / "postgres"
    with serving(data_folder) as url:
        assert answer(url, "SELECT count(*) FROM pg_database WHERE datname = 'postgres'") == 1
        assert answer(url, "SHOW server_encoding") == "UTF8"
        assert len(f"{url.query['host']}/.s.PGSQL.5432") <= embedded.LONGEST_SOCKET
        assert Path(url.query["host"]).stat().st_mode & 0o077 == 0, "the socket is ours alone"
        assert [file.name for file in folder.rglob("*") if file.name == "x"] == []

        # It is killed, and its number becomes another process's.
        server = EmbeddedServer._instances[data_folder.resolve()]
        killed = psutil.Process(server.get_pid() or 0)
        backends = killed.children(recursive=True)
        killed.kill()
        psutil.wait_procs([killed, *backends], timeout=PATIENCE_SECONDS)
        lock_file = data_folder / "postmaster.pid"
        assert int(lock_file.read_text().partition("\n")[0]) == killed.pid
        lock_file.write_text(re.sub(r"\A\d+", str(bystander.pid), lock_file.read_text()))

        server.stop()
        assert bystander.poll() is None, "nothing of ours runs there: nothing is stopped"
        assert answer(embedded_url(data_folder)) == 1, "one that died is started again"
        assert server.get_pid() not in (bystander.pid, killed.pid)
    assert bystander.poll() is None


def test_a_running_server_is_found_by_another_process(
    postgres_home: Path, postgres: sa.URL
) -> None:
    program = (
        "from pathlib import Path\n"
        "from vibes_pipeline.ledger.embedded import embedded_url\n"
        f"print(embedded_url(Path({str(postgres_home / 'postgres')!r})))"
    )
    # A client's own settings are not this server's.
    environment = {**os.environ, "PGPORT": "1", "PGHOST": "nowhere.example"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(postgres)
    assert answer(postgres) == 1, "the other one's end left it running"


def test_processes_that_are_gone_are_no_users_of_the_server(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    bystander.kill()
    bystander.wait()
    server = EmbeddedServer(tmp_path)
    for noted, left in (
        (f"[{bystander.pid}, {os.getpid()}]", [os.getpid()]),
        ("[12, ", []),
        ("", []),
    ):
        server.global_process_id_list.path.write_text(noted)
        server._forget_the_dead()
        assert server.global_process_id_list._get() == left


def test_what_a_killed_initdb_leaves_is_removed(tmp_path: Path) -> None:
    data_folder = tmp_path / "postgres"
    data_folder.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (data_folder / "postmaster.pid").write_text(f"-{gone.pid}\n{data_folder}\n")
    embedded.remove(data_folder)
    assert not data_folder.exists()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "2026-11-27 13:20:43 UTC FATAL:  no space\nchild process exited with exit code 1",
            "no space",
        ),
        (
            "running bootstrap script ... child\nchild process was terminated by signal 9: Killed\n"
            "initdb: error: failed to remove contents of data directory",
            "child process was terminated by signal 9: Killed",
        ),
        (
            'initdb: error: directory "x" exists but is not empty',
            'directory "x" exists but is not empty',
        ),
        ("it was not told", "it was not told"),
    ],
)
def test_of_what_initdb_says_the_cause_is_told_and_not_what_came_of_it(
    said: str, cause: str
) -> None:
    assert embedded._causes(said.encode())[0] == cause


def test_a_folder_of_another_user_is_told_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "PG_VERSION").write_text("18\n")
    if os.geteuid() == 0:
        os.chown(folder / "PG_VERSION", pwd.getpwnam("nobody").pw_uid, -1)
        owner = "nobody"
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
        owner = pwd.getpwuid(os.getuid()).pw_name
    said = failure_of(folder)
    assert said.startswith(f"{folder} belongs to the user {owner}, and vibes runs as ")
    assert said.endswith("or set VIBES_HOME to a folder of your own")
    assert sorted(file.name for file in folder.iterdir()) == ["PG_VERSION"], "nothing was touched"


def test_what_keeps_a_server_from_starting_is_told_in_one_line(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "kept.txt").write_text("somebody's")
    assert "exists but is not empty" in failure_of(folder)
    (folder / "kept.txt").unlink()
    (folder / "PG_VERSION").write_text("9\n")
    _give_to_postgres(folder)
    said = failure_of(folder)
    assert said.startswith(f"the embedded PostgreSQL in {folder} did not start: ")
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_told_in_one_line_and_once_there_is_room_the_server_starts(
    folder: Path,
) -> None:
    data_folder = folder / "home" / "postgres"
    with _small_disk(folder / "home", "size=5m"):
        assert "No space left on device" in failure_of(data_folder)
        _mount("-o", "remount,size=200m", str(folder / "home"))
        with serving(data_folder) as url:
            assert answer(url) == 1


@contextmanager
def _small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    if os.geteuid() != 0 or _mount("-t", "tmpfs", "-o", f"{size},mode=755", "tmpfs", str(place)):
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


def test_a_socket_is_not_put_where_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data_folder = tmp_path / "a b"
    folder = embedded._socket_folder(data_folder, None)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(SettingsError, match="is not ours alone; remove it"):
        embedded._socket_folder(data_folder, None)


def _give_to_postgres(folder: Path) -> None:
    if os.geteuid() == 0:
        for place in (folder, *folder.iterdir()):
            os.chown(place, pwd.getpwnam("pgserver").pw_uid, -1)
