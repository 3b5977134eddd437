"""A whole Wednesday, and the slots after it: from the commands' start to the last mail accepted.

Here belongs what a user of a large marketplace waits for: `vibes run weekly-alert`, `late-alert`
and `weekly-implementation` as they are typed, with Dagster, a new ledger, and a mail server that
answers at once. What the parts take beside something else is measured by the other benchmarks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter

import click
from mail import Server, serving
from measure import in_fresh_process
from weekly_compute import LAST_CYCLE, Marketplace, gib, machine, make_warehouse, tell

# When the slots are due, in their order: days after the observed week's Monday, and the local time.
SLOTS = {
    "weekly-alert": (timedelta(days=9), "07:00"),
    "late-alert": (timedelta(days=10), "06:00"),
    "weekly-implementation": (timedelta(days=12), "09:00"),
}
VIBES = Path(sys.executable).with_name("vibes")


@click.command()
@click.option("--items", type=click.IntRange(min=1), default=5_000_000, show_default=True)
@click.option("--sellers", type=click.IntRange(min=20), default=7_500, show_default=True)
@click.option("--weeks", type=click.IntRange(min=5), default=12, show_default=True)
@click.option(
    "--slot",
    "slots",
    type=click.Choice(list(SLOTS)),
    multiple=True,
    help="Run these alone.  [default: all]",
)
@click.option("--memory", help="The VIBES_MEMORY of the commands.  [default: theirs]")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the made warehouse, used again by later runs.  [default: a temporary one]",
)
def main(
    items: int,
    sellers: int,
    weeks: int,
    slots: Collection[str],
    memory: str | None,
    keep: Path | None,
) -> None:
    """Run the slots of the last cycle, one after the other, and print a Markdown table."""
    with tempfile.TemporaryDirectory(prefix="vibes-") as scratch, serving() as server:
        made = Marketplace((keep or Path(scratch)).resolve(), items, sellers, weeks)
        in_fresh_process(make_warehouse, made)
        environment = {
            **os.environ,
            "VIBES_HOME": str(Path(scratch) / "home"),
            "VIBES_WAREHOUSE": str(made.warehouse),
            "VIBES_MAIL_CATCHER_URL": f"smtp://127.0.0.1:{server.port}",
            **({"VIBES_MEMORY": memory} if memory else {}),
        }
        run("migrate", environment=environment)
        lines = [
            measured(slot, environment, server) for slot in SLOTS if slot in slots or not slots
        ]
        click.echo(
            f"{items:,} order items of {sellers:,} sellers in {weeks} weeks and a running one; "
            f"cycle {LAST_CYCLE}; VIBES_MEMORY {memory or 'as by default'}; {machine()}.\n\n"
            "| | seconds | processor seconds | peak memory | mails accepted |\n"
            "| --- | ---: | ---: | ---: | ---: |\n" + "\n".join(lines)
        )


def measured(slot: str, environment: Mapping[str, str], server: Server) -> str:
    """Run one slot as typed; the line of the table. Peaks are of any process so far."""
    after, local_time = SLOTS[slot]
    before, started = getrusage(RUSAGE_CHILDREN), perf_counter()
    run("run", slot, "--at", f"{LAST_CYCLE + after}T{local_time}", environment=environment)
    seconds, usage = perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    mails = sum(len(copies) for copies in server.kept().values())
    cpu_seconds = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    tell(f"{slot}: {seconds:.1f} s, {mails:,} mails")
    peak = gib(1024 * usage.ru_maxrss)
    return f"| `{slot}` | {seconds:.1f} | {cpu_seconds:.1f} | {peak} | {mails:,} |"


def run(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run a command of the pipeline; its error ends the benchmark."""
    done = subprocess.run([VIBES, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"vibes {' '.join(arguments)}: {done.stderr}")


if __name__ == "__main__":
    main()
