"""One side of a simulation: history decided under one policy, on a ledger of its own (§16).

Here belong the slots of one side and the process that runs them; run as a script this module is
that process. A side's home and ledger are thrown away, so it may be killed at any time. What both
sides share, and how they are compared, is `simulate`'s.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.answers.shared import Shared
from vibes_pipeline.answers.snapshot import Snapshot
from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger import recorded, views
from vibes_pipeline.ledger.deliveries import accept_all
from vibes_pipeline.ledger.frames import in_frame, read_frame
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import ALERTS, KIND_OF_SLOT
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.loader import parse_policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.steps import run_slot, steps_of
from vibes_pipeline.warehouse.source import SteadyWarehouse

# Stages whose steps only tell people: mails to sellers, pages, standings.
TELLING = ("answers", "notices", "reports")


@dataclass(frozen=True)
class Side:
    """A policy, as the text of its file; a home and a ledger of its own; the slots to be run.

    The settings' warehouse is a folder that is filled from the snapshot, as far as a slot sees. In
    the folder `shared` lies what both sides have computed.
    """

    source: Path
    text: str = field(repr=False)
    settings: Settings
    snapshot: Snapshot
    shared: Path
    due: tuple[DueSlot, ...] = field(repr=False)
    # What people recorded in the real ledger: each side's has it too.
    decisions: tuple[Mapping[str, Any], ...] = field(repr=False, default=())

    @property
    def policy(self) -> Policy:
        return parse_policy(self.source, self.text)

    @property
    def actions(self) -> Path:
        """The file of all actions of the side, once its slots are run."""
        return self.settings.home / "actions.parquet"


def run_slots(side: Side, ledger: Ledger) -> Iterator[DueSlot]:
    """Run the side's slots, each at its own time; gives each one that is done.

    No mail goes out: every alert counts as accepted at its slot's instant. Raises the error that
    stopped a slot, with the slot's name.
    """
    with ledger.writing(is_simulated=True, now=side.due[0].due_at) as connection:
        recorded.take_over(connection, side.decisions)
    warehouse = SteadyWarehouse(side.settings)
    for due in side.due:
        try:
            _run(due, side, ledger, warehouse)
        except VibesError as error:
            where = f"{due.slot} of {due.period} under {side.source}"
            raise type(error)(f"{where}: {error}") from error
        yield due


def _run(due: DueSlot, side: Side, ledger: Ledger, warehouse: SteadyWarehouse) -> None:
    assets = [step.asset for step in steps_of(due.slot)]
    without = [asset for asset in assets if asset.partition("/")[0] in TELLING]
    clock = SimulatedClock(due.due_at)
    side.snapshot.show(side.settings.made_warehouse, due.due_at)
    with Shared(side.shared) as shared:
        run_slot(
            due.slot,
            due.period,
            side.policy,
            side.settings,
            ledger,
            clock,
            warehouse=warehouse.now(),
            without=without,
            compute=shared.compute,
        )
    if due.slot is Slot.CLAIMS:
        return
    if (kind := KIND_OF_SLOT[due.slot]) in ALERTS:
        accept_all(ledger, kind, due.period, due.due_at)
    ledger.record_finished(due.slot, due.period, due.due_at)


def actions(ledger: Ledger) -> pl.DataFrame:
    """Every action of a side's ledger, with its state after the last slot."""
    s = views.action_states.c
    # All that a decision gives, and what becomes of the action.
    names = (
        *("action_id", "reference", "rule", "cycle", "seller_id", "sku", "order_number"),
        *("order_item_id", "amount", "band", "daily_order_limit", "pending_to_shipped_limit"),
        *("grounds", "occurrence", "state"),
    )
    columns = [in_frame(s[name]) for name in names]
    return read_frame(ledger, sa.select(*columns).where(s.country == ledger.country))


# --- the process ----------------------------------------------------------------------------------


class SideProcess:
    """The process of one side; it may be killed from another thread, also before it has begun."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, hold: int, done: Callable[[], object]) -> None:
        """Run the side's slots to the end, and tell of each one that is done.

        The process keeps `hold` open, which holds its folder even if this process dies. Raises
        what stopped a slot, and `VibesError` when the process ended before its time.
        """
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[hold],
            # The same program, however this one was found.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump(self._side, process.stdin)
            process.stdin.close()
            while (told := pickle.load(process.stdout)) is not None:
                if isinstance(told, VibesError):
                    raise told
                done()
        except (OSError, EOFError, pickle.UnpicklingError):
            if process.wait() > 0:
                raise RuntimeError(
                    f"the process that decided under {self._side.source} failed; its own words are "
                    "on standard error"
                ) from None
            raise VibesError(
                f"the process that decided under {self._side.source} was killed, for want of "
                "memory maybe; give it less with VIBES_MEMORY and try again"
            ) from None
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def kill(self) -> None:
        """End the process at once, if it runs."""
        if self._process is not None:
            self._process.kill()


def main() -> None:
    """Run the slots of the side that comes in; tell of each, and why it was the last."""
    # A terminal's Ctrl-C is for the process that started this one, and it kills this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Nothing that is printed may get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    side: Side = pickle.load(sys.stdin.buffer)

    def tell(what: object) -> None:
        pickle.dump(what, told)
        told.flush()

    try:
        ledger = Ledger.open(side.settings, side.policy.country)
        for due in run_slots(side, ledger):
            tell(due)
        actions(ledger).write_parquet(side.actions)
        tell(None)
    except VibesError as error:
        tell(error)
    except BrokenPipeError:
        # Whoever started this process is dead.
        sys.exit(1)


if __name__ == "__main__":
    main()
