"""Whether a weekly alert costs more as the ledger grows older.

Here belongs the weekly alert of a marketplace of the demo's size, every step of it, mail included,
on ledgers that differ in their past alone: no charge, a million, ten million. The ledgers are real
ones, in the embedded PostgreSQL; all have run for as many weeks. What an alert recorded is taken
out again before the next one, which only a superuser can do, with the triggers switched off.

The same actions must come out of every past.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click
from made_ledger import CHARGES_A_WEEK, COUNTRY, LAST_CYCLE, open_made
from measure import Stopwatch, Taken, in_fresh_process
from weekly_compute import machine, settings, tell

if TYPE_CHECKING:
    from vibes_pipeline.ledger.ledger import Ledger

CYCLE = LAST_CYCLE + timedelta(weeks=1)
SELLERS, WEEKS = 150, 8
# Steps that took less than this on every ledger are not shown.
SHOWN_SECONDS = 0.05

# What a slot since an instant has recorded, newest first.
FORGET = """
SET session_replication_role = replica;
DELETE FROM ledger.account_reviews WHERE cycle >= %(cycle)s;
DELETE FROM ledger.reviewed_counterfeits WHERE cycle >= %(cycle)s;
DELETE FROM ledger.open_actions
WHERE action_id IN (SELECT action_id FROM ledger.actions WHERE cycle >= %(cycle)s);
DELETE FROM ledger.unsent_notices
WHERE notice_id IN (SELECT notice_id FROM ledger.notices WHERE period >= %(cycle)s);
DELETE FROM ledger.deliveries
WHERE notice_id IN (SELECT notice_id FROM ledger.notices WHERE period >= %(cycle)s);
DELETE FROM ledger.notice_actions
WHERE notice_id IN (SELECT notice_id FROM ledger.notices WHERE period >= %(cycle)s);
DELETE FROM ledger.notices WHERE period >= %(cycle)s;
DELETE FROM ledger.action_events
WHERE action_id IN (SELECT action_id FROM ledger.actions WHERE cycle >= %(cycle)s);
DELETE FROM ledger.actions WHERE cycle >= %(cycle)s;
DELETE FROM ledger.cycles WHERE cycle >= %(cycle)s;
DELETE FROM ledger.slots WHERE slot = 'weekly-alert' AND period >= %(cycle)s;
RESET session_replication_role;
"""


def make_marketplace(file: Path) -> None:
    """The demo's marketplace, its last observed week that of the cycle."""
    from vibes_pipeline.generate import generate_marketplace

    first_week = CYCLE - timedelta(weeks=WEEKS - 1)
    generate_marketplace(file, sellers=SELLERS, weeks=WEEKS, first_week=first_week)


class Outcome(NamedTuple):
    """What the slot took, and what it proposed: a hash over all actions."""

    taken: Taken
    proposal: str
    actions: int


def run_alert(warehouse: Path, home: Path) -> Outcome:
    """The slot, step by step, in a home that holds the ledger and nothing else of the cycle."""
    from shutil import rmtree

    from vibes_pipeline.calendar import Slot
    from vibes_pipeline.clock import SimulatedClock
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.ledger.proposals import frozen_cycle
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.slots.instant import Instant
    from vibes_pipeline.slots.steps import Work, steps_of

    policy, given = load_policy("ng"), settings(warehouse, home)
    ledger = Ledger.open(given, COUNTRY)
    forget(ledger)
    for left in (given.lake, given.maildir):
        rmtree(left, ignore_errors=True)
    clock = SimulatedClock(policy.slot_calendar.due_at(Slot.WEEKLY_ALERT, CYCLE))
    watch = Stopwatch()
    work = Work.begin(Instant.take(given, policy, ledger, clock), Slot.WEEKLY_ALERT, CYCLE)
    for step in steps_of(Slot.WEEKLY_ALERT):
        with watch.part(step.asset):
            step.do(work)
    taken = watch.stop()
    frozen = frozen_cycle(ledger, CYCLE)
    assert frozen is not None
    forget(ledger)
    ledger.close()
    return Outcome(taken, frozen.proposal_hash, frozen.actions)


def forget(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql(FORGET, {"cycle": CYCLE})


# --- the rounds and their report ------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """A ledger of so many charges."""

    charges: int
    home: Path


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--charges",
    type=click.IntRange(min=0),
    multiple=True,
    default=(0, 1_000_000, 10_000_000),
    show_default=True,
    help="Past charges; may be given several times.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the made ledgers, used again by later runs.  [default: a temporary one]",
)
def main(rounds: int, charges: Sequence[int], keep: Path | None) -> None:
    """Measure a weekly alert over ledgers of different pasts and print Markdown tables."""
    # A short path, for the ledgers' sockets lie in it.
    with tempfile.TemporaryDirectory(prefix="vibes-", dir="/tmp") as scratch:
        folder = (keep or Path(scratch)).resolve()
        warehouse = Path(scratch) / "warehouse.duckdb"
        in_fresh_process(make_marketplace, warehouse)
        weeks = -(-max(charges) // CHARGES_A_WEEK)
        pasts = [Past(n, folder / f"past-{n}") for n in charges]
        # This process holds the embedded servers, so that no run starts one.
        ledgers = [open_made(past.home, past.charges, weeks=weeks) for past in pasts]
        click.echo(report(take_turns(warehouse, pasts, rounds)))
        for ledger in ledgers:
            ledger.close()


def take_turns(
    warehouse: Path, pasts: Sequence[Past], rounds: int
) -> Mapping[Past, Sequence[Outcome]]:
    """Run the alert over each past, round by round; fails unless all propose the same."""
    outcomes: dict[Past, list[Outcome]] = {past: [] for past in pasts}
    for number in range(rounds):
        for past in pasts[:: -1 if number % 2 else 1]:
            outcome = in_fresh_process(run_alert, warehouse, past.home)
            tell(f"{past.charges:,} charges: {outcome.taken.seconds:.2f} s")
            outcomes[past].append(outcome)
    proposals = {(o.proposal, o.actions) for of_past in outcomes.values() for o in of_past}
    if len(proposals) != 1:
        raise SystemExit(f"not all proposed the same: {proposals}")
    return outcomes


def report(outcomes: Mapping[Past, Sequence[Outcome]]) -> str:
    least = next(iter(outcomes.values()))
    base, base_cpu = seconds(least), cpu_seconds(least)
    lines = [
        f"Weekly alert of {least[0].actions:,} actions; {machine()}.",
        "",
        "| past charges | seconds | each round | ratio | processor seconds | ratio |",
        "| ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for past, runs in outcomes.items():
        each = " · ".join(f"{run.taken.seconds:.2f}" for run in runs)
        lines.append(
            f"| {past.charges:,} | {seconds(runs):.2f} | {each} | {seconds(runs) / base:.2f} "
            f"| {cpu_seconds(runs):.2f} | {cpu_seconds(runs) / base_cpu:.2f} |"
        )
    of_step = {
        step: [median(run.taken.seconds_of[step] for run in runs) for runs in outcomes.values()]
        for step in least[0].taken.seconds_of
    }
    lines += [
        "",
        f"| step, seconds | {' | '.join(f'{past.charges:,}' for past in outcomes)} |",
        f"| --- |{' ---: |' * len(outcomes)}",
        *(
            f"| `{step}` | {' | '.join(f'{s:.2f}' for s in each)} |"
            for step, each in of_step.items()
            if max(each) >= SHOWN_SECONDS
        ),
    ]
    return "\n".join(lines)


def seconds(runs: Sequence[Outcome]) -> float:
    return median(run.taken.seconds for run in runs)


def cpu_seconds(runs: Sequence[Outcome]) -> float:
    """Of this program; PostgreSQL's are not in them."""
    return median(run.taken.cpu_seconds for run in runs)


if __name__ == "__main__":
    main()
