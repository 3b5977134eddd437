"""`vibes up --only`: each of Dagster's two servers as a service of its own, ended by a signal."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.error import URLError

import sqlalchemy as sa
from cli.shell import Shell

PATIENCE_SECONDS = 60


def until(holds: Callable[[], bool], server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert server.poll() is None, server.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def taken_port() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as reply:
            return int(reply.status) == 200
    except URLError:
        return False


def ticks(shell: Shell) -> bool:
    ledger = shell.ledger()
    with ledger.reading() as connection:
        kinds = connection.execute(sa.text("SELECT daemon_type FROM daemon_heartbeats")).scalars()
        known = {"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"} <= set(kinds)
    ledger.close()
    return known


def test_the_webserver_alone_answers_and_ends_when_told(shell: Shell) -> None:
    port = free_port()
    server = shell.start("up", "--only", "webserver", "--port", str(port))
    until(lambda: answers(port), server)
    assert not ticks(shell)
    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE_SECONDS) == 0
    assert not answers(port)


def test_the_daemon_alone_ticks_needs_no_port_and_ends_when_told(shell: Shell) -> None:
    with taken_port() as port:
        assert shell("up", "--only", "webserver", "--port", port).status == 2
        server = shell.start("up", "--only", "daemon", "--port", port)
        until(lambda: ticks(shell), server)
    server.send_signal(signal.SIGTERM)
    out, _ = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 0
    assert "the UI will be at" not in out


def test_only_one_of_the_two_can_be_asked_for(shell: Shell) -> None:
    assert shell("up", "--only", "postgres").status == 2
