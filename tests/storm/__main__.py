"""`python -m storm --seeds 1000`, in the folder of the tests: the whole storm, and its figures."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress
from served import TEMPLATE, administered, short_home
from storm.course import Place
from storm.run import MARKETPLACES, Storms, Verdict

from vibes_pipeline.ledger import database

_prepared: dict[str, Storms] = {}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m storm", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first one's number")
    parser.add_argument("--processes", type=int, default=2, help="how many at a time")
    given = parser.parse_args()
    numbers = [*range(given.first, given.first + given.seeds)]
    # A multiple of both the seeds that share a warehouse and those of each kind.
    size = 3 * MARKETPLACES
    chunks = [numbers[at : at + size] for at in range(0, len(numbers), size)]
    # Ended like by Ctrl-C: the server must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    verdicts: list[Verdict] = []
    with (
        short_home() as home,
        administered(database.embedded_url(home / "postgres")) as administration,
        ProcessPoolExecutor(given.processes) as pool,
        Progress(console=Console(stderr=True)) as progress,
    ):
        url = administration.url.render_as_string(hide_password=False)
        task = progress.add_task("storms", total=len(numbers))
        begun = [pool.submit(_verdicts, url, home, chunk) for chunk in chunks]
        for done in as_completed(begun):
            verdicts += done.result()
            progress.update(task, completed=len(verdicts))
            for verdict in done.result():
                for fault in verdict.faults:
                    progress.console.print(verdict.number, fault.kind, markup=False)
    _tell(verdicts, time.monotonic() - started)
    return 1 if any(verdict.faults for verdict in verdicts) else 0


def _verdicts(url: str, home: Path, numbers: Sequence[int]) -> list[Verdict]:
    """In a process of the pool, which prepares its place once."""
    if url not in _prepared:
        folder = home / f"storms-{os.getpid()}"
        folder.mkdir()
        administration = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        _prepared[url] = Storms(Place(administration, folder, TEMPLATE))
    return [*_prepared[url].verdicts(numbers)]


def _tell(verdicts: Sequence[Verdict], seconds: float) -> None:
    write = sys.stdout.write
    write(f"{len(verdicts)} storms in {seconds:.0f} s, {seconds / len(verdicts):.2f} s each\n")
    endings = Counter(ending for verdict in verdicts for ending in verdict.endings)
    for ending, often in sorted(endings.items()):
        write(f"{often:6}  {ending}\n")
    kinds = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda v: v.number):
        for fault in verdict.faults:
            kinds[fault.kind].append((verdict, fault))
    write(f"{sum(1 for v in verdicts if v.faults)} storms with faults\n")
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        seeds = [*dict.fromkeys(verdict.number for verdict, _ in found)]
        write(f"\n{kind}: {len(seeds)} storms, {seeds[:30]}\n")
        shown: set[int] = set()
        for verdict, fault in found:
            if verdict.number not in shown and len(shown) < 12:
                shown.add(verdict.number)
                write(
                    f"  {verdict.number}: {fault.told[:220]}\n      {'; '.join(verdict.told)[:260]}\n"
                )


if __name__ == "__main__":
    sys.exit(main())
