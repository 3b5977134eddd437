"""`vibes replay`: run past slots one after the other, each at its own simulated time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from vibes_pipeline.calendar import DueSlot, Slot, parse_local, parse_slot
from vibes_pipeline.cli.common import (
    console,
    replay_into_ui,
    replay_shown,
    settings_and_policy_for_slots,
)
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.errors import UsageError
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import Policy
    from vibes_pipeline.settings import Settings
    from vibes_pipeline.warehouse.source import SteadyWarehouse


@click.command(name="replay")
@click.option(
    "--from", "start", required=True, metavar="LOCAL", help="Local time, such as 2026-08-31T00:00."
)
@click.option(
    "--until", "end", required=True, metavar="LOCAL", help="Local time, such as 2026-10-10T09:00."
)
@click.option(
    "--into-ui", is_flag=True, help="Keep the runs in Dagster's storage, so that the UI shows them."
)
@click.option(
    "--slot", "only", multiple=True, metavar="SLOT", help="Only this slot; may be given repeatedly."
)
def command(start: str, end: str, into_ui: bool, only: tuple[str, ...]) -> None:
    """Run every slot due in a span, both ends included, in order of time.

    Slots that are done already, by a replay that was broken off say, are skipped. The ledger is a
    simulated one: its mail goes to a Maildir or the mail catcher.
    """
    settings, policy = settings_and_policy_for_slots()
    first, last = (parse_local(text, policy.time_zone) for text in (start, end))
    if first > last:
        raise UsageError(f"--from {start} is after --until {end}")

    from vibes_pipeline.ledger import recorded
    from vibes_pipeline.ledger.ledger import shared_ledger
    from vibes_pipeline.slots.replay import due_slots, still_to_replay
    from vibes_pipeline.warehouse.source import SteadyWarehouse

    wanted = [parse_slot(name) for name in only]
    # All slots share this ledger; it is opened before the progress bar appears.
    ledger = shared_ledger(settings, policy.country)
    decided = recorded.moments(ledger, first, last)
    every = due_slots(policy, settings, first, last, decided)
    due = [d for d in every if not wanted or d.slot in wanted]
    todo = still_to_replay(ledger, policy, due)
    if into_ui:
        replay_into_ui(todo, settings)
    else:
        warehouse = SteadyWarehouse(settings)
        replay_shown(todo, partial(_run_directly, policy, settings, ledger, warehouse))
        _show_the_last(todo, policy, settings, ledger)
    done_already = len(due) - len(todo)
    console.print(
        f"{counted(len(todo), 'slot')} replayed"
        + (f", {done_already} {'was' if done_already == 1 else 'were'} done already")
        * bool(done_already)
    )


def _run_directly(
    policy: Policy, settings: Settings, ledger: Ledger, warehouse: SteadyWarehouse, due: DueSlot
) -> None:
    from vibes_pipeline.slots.steps import ONLY_SHOWING, run_slot

    run_slot(
        due.slot,
        due.period,
        policy,
        settings,
        ledger,
        SimulatedClock(due.due_at),
        warehouse=warehouse.now(),
        without=ONLY_SHOWING,
    )


def _show_the_last(
    due: Sequence[DueSlot], policy: Policy, settings: Settings, ledger: Ledger
) -> None:
    """The last day's standings, the last week's report, the list of weeks; all take too long."""
    from vibes_pipeline.reports.page import write_report
    from vibes_pipeline.slots.instant import Instant
    from vibes_pipeline.slots.standings import refresh

    last = {d.slot: d for d in due}
    if morning := last.get(Slot.LATE_ALERT):
        clock = SimulatedClock(morning.due_at)
        instant = Instant.take(settings, policy, ledger, clock)
        refresh(instant.run(morning.slot, morning.period), ledger)
    if saturday := last.get(Slot.WEEKLY_IMPLEMENTATION):
        write_report(ledger, settings, policy, saturday.period, saturday.due_at)
