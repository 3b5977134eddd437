"""What each slot takes of the processors, over a marketplace of the demo's size.

Here belongs `vibes run`, as it is typed, for each slot of a week, on a new ledger: the command with
its children, and the embedded PostgreSQL by itself. Another tree of the program, an older one say,
with an environment of its own in `.venv`, takes turns with this one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import sleep
from typing import NamedTuple

import click
import psutil
from weekly_compute import machine, tell

HERE = Path(__file__).resolve().parents[1]
FIRST_WEEK = "2026-09-07"
# The first only makes the ledger's tables and Dagster's.
SLOTS = (
    ("claims", "2026-11-03T12:00"),
    ("late-alert", "2026-11-04T06:00"),
    ("weekly-alert", "2026-11-04T07:00"),
    ("late-cancellation", "2026-11-04T23:00"),
    ("weekly-implementation", "2026-11-07T09:00"),
    ("claims", "2026-11-07T12:00"),
)
# Starts the embedded server, tells its number, and keeps it until standard input ends.
SERVER = """
import sys
from pathlib import Path
from vibes_pipeline.ledger.embedded import embedded_url
folder = Path(sys.argv[1])
embedded_url(folder)
print((folder / "postmaster.pid").read_text().partition("\\n")[0], flush=True)
sys.stdin.read()
"""
SESSION_ENDS_WITHIN_SECONDS = 0.3


class Taken(NamedTuple):
    """Processor seconds of a command and of the server meanwhile."""

    program: float
    server: float


@click.command()
@click.option("--before", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
def main(before: Path | None, rounds: int) -> None:
    """Measure each slot's command and print a Markdown table."""
    trees = {"now": HERE} | ({"before": before.resolve()} if before else {})
    taken: dict[tuple[str, str], list[Taken]] = {}
    # A short path, for the ledger's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="vibes-", dir="/tmp") as scratch:
        warehouse = Path(scratch) / "made.duckdb"
        made = ("generate", "--first-week", FIRST_WEEK, "--out", str(warehouse))
        run(HERE, *made, environment={**os.environ})
        for number in range(rounds):
            for name, tree in [*trees.items()][:: -1 if number % 2 else 1]:
                home = Path(scratch) / f"{name}-{number}"
                for slot, one in take(tree, home, warehouse):
                    taken.setdefault((slot, name), []).append(one)
                    tell(f"{name} {slot}: {one.program:.2f} + {one.server:.2f} s")
    click.echo(f"Medians of {rounds} rounds; {machine()}.\n")
    click.echo("| slot | " + " | ".join(f"processor seconds {name}" for name in trees) + " |")
    click.echo("| --- |" + " ---: |" * len(trees))
    for slot in dict(SLOTS):
        cells = [
            " + ".join(f"{median(column):.2f}" for column in zip(*taken[slot, name], strict=True))
            for name in trees
        ]
        click.echo(f"| `{slot}` | {' | '.join(cells)} |")


def take(tree: Path, home: Path, warehouse: Path) -> Iterator[tuple[str, Taken]]:
    """Run the slots of a week on a new ledger; what each took, the first one aside."""
    environment = {**os.environ, "VIBES_HOME": str(home), "VIBES_WAREHOUSE": str(warehouse)}
    with server(tree, home / "postgres") as postmaster:
        for number, (slot, at) in enumerate(SLOTS):
            program, served = getrusage(RUSAGE_CHILDREN), processor_seconds(postmaster)
            run(tree, "run", slot, "--at", at, environment=environment)
            # A session of the command ends a moment after it.
            sleep(SESSION_ENDS_WITHIN_SECONDS)
            after = getrusage(RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - program.ru_utime - program.ru_stime
            if number:
                yield slot, Taken(seconds, processor_seconds(postmaster) - served)


@contextmanager
def server(tree: Path, folder: Path) -> Iterator[int]:
    """The embedded server of a tree's program, kept over all commands; its process's number."""
    folder.mkdir(parents=True)
    holder = subprocess.Popen(
        [tree / ".venv" / "bin" / "python", "-c", SERVER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        yield int(holder.stdout.readline())
    finally:
        holder.stdin.close()
        holder.wait()


def run(tree: Path, *arguments: str, environment: Mapping[str, str]) -> None:
    """Run a command of a tree's program; its error ends the benchmark."""
    vibes = tree / ".venv" / "bin" / "vibes"
    done = subprocess.run([vibes, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"vibes {' '.join(arguments)}: {done.stderr or done.stdout}")


def processor_seconds(process: int) -> float:
    """Of a process, of its children that ended, and of those that run."""
    server = psutil.Process(process)
    seconds = 0.0
    for one in (server, *server.children()):
        # A session may end meanwhile; its parent then has its seconds.
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


if __name__ == "__main__":
    main()
