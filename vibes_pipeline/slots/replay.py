"""Replaying history: which slots are due in a span of time, and which are still to be run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.catch_up import finished_slots, missing_slots
from vibes_pipeline.slots.claims.moments import claim_moments
from vibes_pipeline.slots.order import require_turn, weekly_ones
from vibes_pipeline.warehouse.source import Warehouse


def due_slots(
    policy: Policy,
    settings: Settings,
    start: datetime,
    end: datetime,
    recorded: Iterable[datetime] = (),
) -> list[DueSlot]:
    """Every slot due from start to end, both included, in order of time.

    A claims slot is due at each moment at which the warehouse has a claim raised or decided, or an
    account decided on, before any other slot of that moment; and at each instant of `recorded`, at
    which a decision was recorded in the ledger.
    """
    moments = {*claim_moments(Warehouse.of(settings), start, end), *recorded}
    claims = [DueSlot(at, Slot.CLAIMS, policy.local_date(at)) for at in moments]
    timed = policy.slot_calendar.due_between(start, end)
    return sorted([*claims, *timed], key=lambda due: due.due_at.timestamp())


def still_to_replay(ledger: Ledger, policy: Policy, due: Sequence[DueSlot]) -> list[DueSlot]:
    """The slots of `due` (in order of time) that a replay must still run.

    Finished slots are left out, and so is a claims slot before the ledger's newest event: every
    slot settles the claims that came up before it. Before any slot is run, raises `LedgerError`
    when the ledger is live or has an event after the first slot, and `UsageError` when a weekly
    slot is missing that is not in `due` and is older than a weekly slot to be run.
    """
    ledger.require_mode(is_simulated=True)
    finished, newest = finished_slots(ledger, policy), ledger.newest_event_at()
    todo = [
        d
        for d in due
        if d not in finished
        and not (d.slot is Slot.CLAIMS and newest is not None and d.due_at < newest)
    ]
    if not todo:
        return []
    ledger.require_not_before(todo[0].due_at.astimezone(policy.time_zone))
    missing = missing_slots(ledger, policy, todo[-1].due_at, opens_at=todo[0].due_at)
    left_out = [d for d in weekly_ones(missing) if d not in todo]
    for weekly in weekly_ones(todo):
        require_turn(weekly, left_out)
    return todo
