"""A slot in a process of its own, to be killed: forked from one that has everything imported.

Here belongs how such a process is started and what its exit says. The slot is run directly, or by
the installed command, as `Order` has it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from forks import forks
from rules.marketplace import NIGERIA
from slots_direct import DirectSlots
from sqlalchemy.engine import make_url

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.settings import Settings

DONE, CRASHED, STOPPED, INTERRUPTED = 0, 1, 3, 4


@dataclass(frozen=True)
class Order:
    """Which slot is run, as of when, under which `VIBES_*` variables."""

    slot: Slot
    period: date
    now: datetime
    environment: Mapping[str, str]
    is_by_command: bool = False

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment)

    def ledger(self) -> Ledger:
        return Ledger(database.connect(make_url(self.environment["VIBES_POSTGRES_URL"])), "NG")


@dataclass(frozen=True)
class Running:
    """A process at work; `status` gives its exit status once it has ended.

    `complaint` is what it said beyond one line; it may be asked for once it has ended.
    """

    pid: int
    status: Callable[[], int | None]
    complaint: Callable[[], str]


def start(order: Order) -> Running:
    """Start the slot's process."""
    if order.is_by_command:
        # It brings Dagster, which the processes that are forked do without.
        from cli.shell import Shell

        at = order.now.replace(tzinfo=None).isoformat(timespec="minutes")
        shell = Shell(Path(order.environment["VIBES_HOME"]).parent, order.environment)
        command = shell.start("run", order.slot, "--at", at)
        return Running(command.pid, command.poll, lambda: _beyond_a_line(command.communicate()[1]))
    process = forks().Process(target=_run, args=(order,), daemon=True)
    process.start()
    assert process.pid is not None
    return Running(
        process.pid,
        lambda: process.exitcode,
        lambda: "a traceback, shown above" if process.exitcode == CRASHED else "",
    )


def _beyond_a_line(said: str) -> str:
    return said if len(said.splitlines()) > 1 else ""


def _run(order: Order) -> None:
    # As Dagster has it for a slot: an interrupt may be raised anywhere.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ledger = order.ledger()
        DirectSlots(ledger, order.settings, NIGERIA).run(order.slot, order.period, order.now)
    except VibesError:
        sys.exit(STOPPED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
