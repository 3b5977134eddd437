"""How long the weekly alert computes on each engine: DuckDB, and Sail with and without workers.

Here belongs the comparison of engines over the same warehouse. The server is a process of its own,
started and stopped here; what it and the processes that it starts take is counted with what the
pipeline's own process takes. Whether all made the same is checked, not assumed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from measure import Stopwatch, in_fresh_process
from weekly_compute import (
    Content,
    Inputs,
    Marketplace,
    begin,
    content,
    gib,
    machine,
    make_warehouse,
    prepare,
    tell,
)

DUCKDB = "DuckDB"
SERVERS: Mapping[str, Mapping[str, str]] = {
    "Sail, one process": {"SAIL_MODE": "local"},
    "Sail, one worker": {"SAIL_MODE": "local-cluster", "SAIL_CLUSTER__WORKER_INITIAL_COUNT": "1"},
    "Sail, two workers": {"SAIL_MODE": "local-cluster", "SAIL_CLUSTER__WORKER_INITIAL_COUNT": "2"},
}
# What is put into words for people is spelled otherwise by each engine.
WORDS = ("stored_row", "written")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    """Seconds, processor seconds and peak memory of all processes together; rows by relation."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    contents: Mapping[str, Content]


@dataclass(frozen=True)
class Server:
    """A server and the processes that it has started."""

    process: subprocess.Popen[bytes]
    url: str

    def cpu_seconds(self) -> float:
        """Of all its processes so far."""
        return sum(map(_cpu_seconds, self._processes()))

    def peak_bytes(self) -> int:
        """The most that each of its processes has held, added up."""
        return sum(map(_peak_bytes, self._processes()))

    def _processes(self) -> list[int]:
        found = [self.process.pid]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found


def _cpu_seconds(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


@contextmanager
def serving(settings: Mapping[str, str]) -> Iterator[Server]:
    """A Sail server on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*(sys.executable, "-m", "pysail", "spark", "server"), "--port", str(port)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield Server(process, f"sc://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise click.ClickException("the server does not answer")


def run(inputs: Inputs, url: str) -> Outcome:
    """The weekly alert's models on an engine; only this process is counted."""
    import duckdb

    from vibes_pipeline import parquet
    from vibes_pipeline.engine.choice import engine_of
    from vibes_pipeline.engine.weekly import weekly_models
    from vibes_pipeline.slots import weekly

    with tempfile.TemporaryDirectory(prefix="vibes-") as home:
        shutil.copy(inputs.key, home)
        begun = begin(inputs.warehouse, Path(home))
        over = begun.engine
        engine = engine_of(
            begun.slot,
            replace(begun.settings, engine=url),
            *(over.warehouse, over.folder, over.time_zone, over.policy),
        )
        shutil.copytree(inputs.ledger, engine.partition(weekly.FACTS).parent)
        watch = Stopwatch()
        for model in weekly_models():
            engine.materialize(model, begun.parameters())
        taken = watch.stop()
        made = {}
        for relation in (model.relation for model in weekly_models()):
            rows = duckdb.sql(f"FROM {parquet.sql_rows(parquet.parts(engine.partition(relation)))}")
            kept = [column for column in rows.columns if column not in WORDS]
            made[relation] = content(rows.select(*kept))
        return Outcome(taken.seconds, taken.cpu_seconds, taken.peak_bytes, made)


def run_on(inputs: Inputs, name: str) -> Outcome:
    """The same, with the server's share."""
    if name == DUCKDB:
        return in_fresh_process(run, inputs, "duckdb")
    with serving(SERVERS[name]) as server:
        before = server.cpu_seconds()
        ours = in_fresh_process(run, inputs, server.url)
        return replace(
            ours,
            cpu_seconds=ours.cpu_seconds + server.cpu_seconds() - before,
            peak_bytes=ours.peak_bytes + server.peak_bytes(),
        )


@click.command()
@click.option("--items", type=click.IntRange(min=1), multiple=True, default=(1_000_000, 5_000_000))
@click.option("--sellers", type=click.IntRange(min=1), default=3_000, show_default=True)
@click.option("--only", type=click.Choice([DUCKDB, *SERVERS]), multiple=True)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(items: tuple[int, ...], sellers: int, only: tuple[str, ...], keep: Path) -> None:
    """Measure each engine once per size of the warehouse and print a Markdown table."""
    click.echo(f"{machine()}, pysail {_version('pysail')}.\n")
    click.echo("| order items | engine | seconds | processor seconds | peak memory |")
    click.echo("| ---: | --- | ---: | ---: | ---: |")
    for count in items:
        made = Marketplace(keep.resolve(), count, sellers, weeks=12)
        in_fresh_process(make_warehouse, made)
        with tempfile.TemporaryDirectory(prefix="vibes-") as scratch:
            inputs = in_fresh_process(prepare, made.warehouse, Path(scratch) / "home")
            first: Mapping[str, Content] = {}
            for name in only or (DUCKDB, *SERVERS):
                outcome = run_on(inputs, name)
                first = first or outcome.contents
                differing = [r for r in first if first[r] != outcome.contents[r]]
                if differing:
                    raise click.ClickException(f"{name} differs in {', '.join(differing)}")
                cells = f"{outcome.seconds:.1f} | {outcome.cpu_seconds:.1f}"
                click.echo(f"| {count:,} | {name} | {cells} | {gib(outcome.peak_bytes)} |")
                tell(f"{count:,} {name}: {outcome.seconds:.1f} s")


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


if __name__ == "__main__":
    main()
