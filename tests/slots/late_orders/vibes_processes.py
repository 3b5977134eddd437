"""Processes of the `vibes` command that tests may kill; run as a script, it is what forks them.

The script imports the command with all it brings along, once, and then forks a process for each
command it is asked for, so that a test can start and kill many. Nothing is opened before the fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Running:
    """A command's process, to be killed or waited for."""

    pid: int
    server: subprocess.Popen[str]

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more, nothing is tidied up."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def is_over(self) -> bool:
        """Whether it ended by itself; it stays a zombie until it is waited for."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"

    def wait(self) -> int:
        """Its exit status, negative for the signal that ended it."""
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write("wait\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


@dataclass
class Processes:
    """Starts one command after the other in an environment."""

    server: subprocess.Popen[str]

    def start(self, *arguments: str) -> Running:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(arguments) + "\n")
        self.server.stdin.flush()
        return Running(int(self.server.stdout.readline()), self.server)


@contextmanager
def vibes_processes(environment: Mapping[str, str]) -> Iterator[Processes]:
    """Commands that see of `VIBES_*` and `DAGSTER_*` only what is given."""
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("VIBES_", "DAGSTER_"))}
    with subprocess.Popen(
        [sys.executable, __file__],
        env={**ours, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield Processes(server)
        assert server.stdin
        server.stdin.close()


def serve() -> None:
    """Fork a process for each line of arguments; tell its pid and, when asked, its end."""
    from vibes_pipeline import definitions  # noqa: F401
    from vibes_pipeline.cli.main import cli
    from vibes_pipeline.dagster_host import in_process  # noqa: F401

    while arguments := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1):
                os.dup2(quiet, stream)
            cli.main(json.loads(arguments), prog_name="vibes")
        tell(pid)
        assert sys.stdin.readline() == "wait\n"
        tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def tell(number: int) -> None:
    """One line to whoever asked."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
