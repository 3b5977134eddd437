"""`python -m killed --times 50`, in the folder of the tests: slots killed over a bad relay.

Every tenth ledger's slot is run by the installed command, the others directly, in processes that
are forked.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count

from cli.shell import add_dagsters_tables
from killed.kills import KILLED, Killing, Kills, Landed
from rich.console import Console
from rich.progress import Progress
from served import TEMPLATE, administered, short_home
from storm.course import Place

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import database

BY_COMMAND_EVERY = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m killed", description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="how often each slot is killed")
    parser.add_argument("--slot", action="append", choices=[*KILLED], help="by default all four")
    parser.add_argument("--first", type=int, default=1, help="the first ledger's number")
    parser.add_argument("--marketplaces", type=int, default=8, help="of four sellers each")
    given = parser.parse_args()
    slots = [Slot(name) for name in given.slot or KILLED]
    # Ended like by Ctrl-C: the server must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    killings: dict[Slot, list[Killing]] = {slot: [] for slot in slots}
    started = time.monotonic()
    with (
        short_home() as home,
        administered(database.embedded_url(home / "postgres")) as administration,
        Progress(console=Console(stderr=True)) as progress,
    ):
        add_dagsters_tables(administration, administration.url.set(database=TEMPLATE), home)
        kills = Kills(Place(administration, home, TEMPLATE), given.marketplaces)
        kills.prepare(slots)
        for slot in slots:
            task = progress.add_task(slot, total=given.times)
            for killing in _until(kills, slot, given.first, given.times):
                killings[slot].append(killing)
                progress.advance(task, len(killing.strikes))
                for fault in killing.faults:
                    progress.console.print(killing.seed, fault, markup=False)
    for slot, done in killings.items():
        _tell(slot, done)
    sys.stdout.write(f"{time.monotonic() - started:.0f} s in all\n")
    return 1 if any(k.faults for done in killings.values() for k in done) else 0


def _until(kills: Kills, slot: Slot, first: int, times: int) -> Iterator[Killing]:
    """Ledger after ledger, until so many kills have struck."""
    struck = 0
    for number in count(first):
        killing = kills.killing(slot, number, is_by_command=number % BY_COMMAND_EVERY == 0)
        struck += len(killing.strikes)
        yield killing
        if struck >= times:
            return


def _tell(slot: Slot, killings: Sequence[Killing]) -> None:
    strikes = [strike for killing in killings for strike in killing.strikes]
    signals = Counter(signal.Signals(strike.number).name for strike in strikes)
    landed = Counter(strike.landed for strike in strikes)
    seconds = sum(k.seconds for k in killings)
    lines = [
        f"{slot}: {len(strikes)} kills of {len(killings)} ledgers in {seconds:.0f} s "
        f"({sum(k.is_by_command for k in killings)} by the installed command)",
        "signals: " + ", ".join(f"{n} {name}" for name, n in sorted(signals.items())),
        "struck " + ", ".join(f"{landed[where]} {where}" for where in Landed),
        f"runs until the slot was done: {sum(k.runs for k in killings)}, "
        f"at most {max(k.runs for k in killings)} of a ledger",
        f"mails accepted: {sum(k.accepted for k in killings)}, all notices'; "
        f"{sum(k.copies for k in killings)} second copies of unknown ones",
        f"attempts broken off by a kill: {sum(k.deaths for k in killings)}; "
        f"notices that a person had sent again: {sum(k.by_hand for k in killings)}",
        f"ledgers with faults: {sum(bool(k.faults) for k in killings)}",
    ]
    sys.stdout.write("\n  ".join(lines) + "\n")
    for killing in killings:
        for fault in killing.faults[:4]:
            sys.stdout.write(f"    {killing.seed}: {fault[:400]}\n")


if __name__ == "__main__":
    sys.exit(main())
