"""How fast the outbox words, sends and records the mails of one weekly alert.

Here belongs the delivery of one slot's notices into a mail server that answers at once; beside it,
`smtplib` handing the very same mails to the same server, worded before and recorded nowhere.
Whether both delivered the same, mail by mail, is checked, not assumed.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
from measure import Stopwatch, Taken, in_fresh_process
from weekly_compute import gib, machine, settings, tell

if TYPE_CHECKING:
    from vibes_pipeline.slots.steps import Work

LAST_WEEK = date(2026, 11, 9)
WEEKS = 6
ITEMS_OF_A_SELLER = 60
FROZEN = "ledger/frozen_cycle"
SENDER = "VIBES <vibes@mail.example>"

PIPELINE = "the outbox"
PLAIN = "smtplib, the same mails"


# --- the mail server ------------------------------------------------------------------------------


ANSWERS = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Sink(asyncio.Protocol):
    """Takes every mail at once and keeps it, by recipient."""

    def __init__(self, kept: dict[str, list[bytes]]) -> None:
        self._kept = kept
        self._unread = b""
        self._to = ""
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while self._took_content() if self._is_content else self._took_command():
            pass

    def _took_content(self) -> bool:
        content, end, rest = self._unread.partition(b"\r\n.\r\n")
        if not end:
            return False
        sent = (content + b"\r\n").replace(b"\r\n..", b"\r\n.")
        self._kept.setdefault(self._to, []).append(sent)
        self._unread, self._is_content = rest, False
        self._transport.write(b"250 2.0.0 OK\r\n")
        return True

    def _took_command(self) -> bool:
        line, end, rest = self._unread.partition(b"\r\n")
        if not end:
            return False
        self._unread = rest
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._to = line.partition(b"<")[2].partition(b">")[0].decode()
        self._is_content = verb == b"DATA"
        self._transport.write(ANSWERS.get(verb, b"250 OK\r\n"))
        return True


def serve(control: Connection) -> None:
    """A sink on a port that it tells; asked, it gives what it has kept and forgets it."""
    kept: dict[str, list[bytes]] = {}

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Sink(kept), "127.0.0.1", 0)
        control.send(server.sockets[0].getsockname()[1])
        done = asyncio.Event()

        def answer() -> None:
            if control.recv() == "end":
                done.set()
                return
            control.send(dict(kept))
            kept.clear()

        loop.add_reader(control.fileno(), answer)
        await done.wait()

    asyncio.run(run())


@dataclass(frozen=True)
class Server:
    """The sink's process, as seen from outside."""

    port: int
    control: Connection

    def kept(self) -> Mapping[str, Sequence[bytes]]:
        self.control.send("kept")
        found: Mapping[str, Sequence[bytes]] = self.control.recv()
        return found


@contextmanager
def serving() -> Iterator[Server]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    port = ours.recv()
    try:
        yield Server(port, ours)
    finally:
        ours.send("end")
        process.join()


# --- the contenders -------------------------------------------------------------------------------


def prepare(folder: Path, sellers: int) -> int:
    """Make a marketplace and freeze its last week; give how many notices wait to be sent."""
    from vibes_pipeline.generate import generate_marketplace
    from vibes_pipeline.ledger.notices import open_notices
    from vibes_pipeline.slots.steps import steps_of

    generate_marketplace(
        folder / "warehouse.duckdb",
        sellers=sellers,
        weeks=WEEKS,
        first_week=LAST_WEEK - timedelta(weeks=WEEKS - 1),
        items=sellers * ITEMS_OF_A_SELLER,
    )
    work = begin(folder)
    _, *steps = steps_of(work.run.slot)
    for step in steps:
        step.do(work)
        if step.asset == FROZEN:
            break
    waiting = len(open_notices(work.ledger, work.run.now))
    work.ledger.close()
    return waiting


def begin(folder: Path, port: int | None = None) -> Work:
    """The weekly alert at its time, its mail going to the sink."""
    from vibes_pipeline.calendar import Slot
    from vibes_pipeline.clock import SimulatedClock
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.slots.run import SlotRun
    from vibes_pipeline.slots.steps import Work

    policy = load_policy("ng")
    here = replace(settings(folder / "warehouse.duckdb", folder), sender=SENDER)
    if port is not None:
        here = replace(here, mail_catcher_url=f"smtp://127.0.0.1:{port}")
    now: datetime = policy.slot_calendar.due_at(Slot.WEEKLY_ALERT, LAST_WEEK)
    run = SlotRun.begin(Slot.WEEKLY_ALERT, LAST_WEEK, policy, here, now=now, is_simulated=True)
    return Work(run, run, Ledger.open(here, policy.country), SimulatedClock(now))


def run_pipeline(folder: Path, port: int) -> Taken:
    """The delivery as the slot does it, from asking what is open to the last record."""
    from vibes_pipeline.slots.mail import deliver

    work = begin(folder, port)
    watch = Stopwatch()
    outcomes = deliver(work.run, work.ledger, work.clock)
    taken = watch.stop()
    # The processes that word mails have ended by now.
    of_others = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = taken.cpu_seconds + of_others.ru_utime + of_others.ru_stime
    work.ledger.close()
    # Some made sellers have no address.
    if set(outcomes) - {"sent", "undeliverable"}:
        raise click.ClickException(f"not all was sent: {outcomes}")
    return replace(taken, cpu_seconds=cpu_seconds)


def run_plain(mails: Mapping[str, Sequence[bytes]], port: int) -> Taken:
    """One connection, one mail after the other."""
    watch = Stopwatch()
    with smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") as session:
        for recipient, contents in mails.items():
            for content in contents:
                session.sendmail("vibes@mail.example", [recipient], content)
    return watch.stop()


# --- the rounds and their report ------------------------------------------------------------------


@click.command()
@click.option("--sellers", type=click.IntRange(min=2), default=9_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
def main(sellers: int, rounds: int) -> None:
    """Measure the delivery of a weekly alert's mails and print a Markdown table."""
    # A short path, for the ledger's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="vibes-", dir="/tmp") as scratch, serving() as server:
        made = Path(scratch) / "made"
        made.mkdir()
        waiting = in_fresh_process(prepare, made, sellers)
        tell(f"{waiting:,} notices wait")
        taken: dict[str, list[Taken]] = {PIPELINE: [], PLAIN: []}
        for number in range(rounds):
            home = Path(scratch) / f"round{number}"
            # The ledger's files keep their owner.
            subprocess.run(["cp", "-a", str(made), str(home)], check=True)
            taken[PIPELINE].append(in_fresh_process(run_pipeline, home, server.port))
            mails = server.kept()
            taken[PLAIN].append(in_fresh_process(run_plain, mails, server.port))
            require_equal(mails, server.kept())
            shutil.rmtree(home)
            for name, runs in taken.items():
                tell(f"round {number + 1}, {name}: {runs[-1].seconds:.2f} s")
        click.echo(report(taken, mails))


def require_equal(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """`ClickException` unless both delivered every mail once, byte for byte the same."""
    one, other = (
        {to: [hashlib.sha256(content).digest() for content in kept] for to, kept in side.items()}
        for side in (ours, theirs)
    )
    if one != other:
        raise click.ClickException("the contenders did not deliver the same mails")


def report(taken: Mapping[str, Sequence[Taken]], mails: Mapping[str, Sequence[bytes]]) -> str:
    """The Markdown that README.md carries."""
    sizes = [len(content) for kept in mails.values() for content in kept]
    lines = [
        f"{len(sizes):,} mails, {sum(sizes) / len(sizes) / 1024:.1f} KiB on average; {machine()}.",
        "",
        "| | mails a second | seconds | each round | processor seconds | peak memory |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for name, runs in taken.items():
        seconds = median(run.seconds for run in runs)
        rounds = " · ".join(f"{run.seconds:.2f}" for run in runs)
        cpu = median(run.cpu_seconds for run in runs)
        peak = gib(max(run.peak_bytes for run in runs))
        lines.append(
            f"| {name} | {len(sizes) / seconds:,.0f} | {seconds:.2f} | {rounds} "
            f"| {cpu:.2f} | {peak} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
