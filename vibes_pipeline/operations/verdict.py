"""Whether all is well: what of a status asks for help at once, and what for attention.

Failing is what a monitor should wake somebody for: a slot is late or has failed, or none can start.
Attention is what a person should look at in working hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.listing import counted
from vibes_pipeline.operations.causes import Cause
from vibes_pipeline.operations.slot_states import SlotState
from vibes_pipeline.operations.status import Status
from vibes_pipeline.slots.catch_up import GRACE
from vibes_pipeline.warehouse.freshness import in_words

# Each of the daemons is heard of every half minute.
DAEMON_IS_SILENT_AFTER = timedelta(minutes=5)


class Verdict(StrEnum):
    """From good to bad."""

    OK = "ok"
    ATTENTION = "attention"
    FAILING = "failing"


FROM_GOOD_TO_BAD = list(Verdict).index


@dataclass(frozen=True)
class Point:
    """One thing that is not well, in words; the run to look at, or the command that shows it.

    `short` says in a few words what fails. `waits` is true for what the status lists among what
    waits.
    """

    verdict: Verdict
    text: str
    short: str = ""
    run_id: str | None = None
    command: str | None = None
    waits: bool = False


def verdict_of(points: tuple[Point, ...]) -> Verdict:
    """The worst of them; all is well without any."""
    return max((point.verdict for point in points), key=FROM_GOOD_TO_BAD, default=Verdict.OK)


def points(status: Status) -> tuple[Point, ...]:
    """All that is not well, the worst first."""
    found = [*_of_the_system(status), *_of_slots(status), *_of_the_rest(status)]
    return tuple(sorted(found, key=lambda point: FROM_GOOD_TO_BAD(point.verdict), reverse=True))


def headline(found: tuple[Point, ...]) -> str:
    """In a few words: that all is well, what fails, or how much there is to look at."""
    failing = [point.short for point in found if point.verdict is Verdict.FAILING]
    if failing:
        return f"{failing[0]}{f', and {len(failing) - 1} more' if len(failing) > 1 else ''}"
    if found:
        return f"No slot is late; {counted(len(found), 'thing')} to look at"
    return "All is well"


def _of_the_system(status: Status) -> Iterator[Point]:
    ledger = status.ledger
    if status.fault:
        yield Point(Verdict.FAILING, status.fault, "The ledger or the policy cannot be read")
    elif ledger.schema != ledger.needed:
        yield Point(
            Verdict.FAILING,
            f"the ledger is at revision {ledger.schema}, this version needs {ledger.needed}",
            "The ledger is of another revision",
            command="vibes migrate",
        )
    elif ledger.mode is LedgerMode.EMPTY:
        yield Point(
            Verdict.ATTENTION,
            "the ledger is not opened: its first slot opens it, and no slot is due before",
        )
    elif ledger.mode is LedgerMode.LIVE:
        yield from _of_the_daemon(status)


def _of_the_daemon(status: Status) -> Iterator[Point]:
    heard_at = status.daemon_heard_at
    if heard_at is None:
        yield Point(
            Verdict.ATTENTION,
            "no daemon has ever run here: slots start only by hand",
            command="vibes up",
        )
    elif status.now - heard_at > DAEMON_IS_SILENT_AFTER:
        yield Point(
            Verdict.FAILING,
            f"the daemon was last heard of {_at(heard_at)}: no slot starts by itself",
            "The daemon is silent",
            command="vibes up",
        )


def _of_slots(status: Status) -> Iterator[Point]:
    for slot in status.slots:
        what = f"{slot.slot} of {slot.period}" if slot.period else str(slot.slot)
        run, others = slot.last_run, slot.missing - 1
        also = f"; {counted(others, 'later one waits', 'later ones wait')}" if others > 0 else ""
        match slot.state:
            case SlotState.FAILED if run and run.ended_at:
                tries = f", {run.failures} times in a row" if run.failures > 1 else ""
                why = f": {run.why}" if run.why else ""
                at = _at(run.ended_at.astimezone(status.now.tzinfo))
                failed = f"{what} failed {at}{tries}{why}{also}"
                yield Point(
                    Verdict.FAILING,
                    failed,
                    f"{slot.slot} has failed",
                    run.run_id,
                    f"vibes run {slot.slot}",
                )
            case SlotState.LATE if slot.due_at:
                late = f"{what} is late: it was due {_at(slot.due_at)}{also}"
                yield Point(
                    Verdict.FAILING, late, f"{slot.slot} is late", command=f"vibes run {slot.slot}"
                )
            case SlotState.RUNNING if run and slot.due_at and status.now - slot.due_at > GRACE:
                yield Point(
                    Verdict.ATTENTION, f"{what} is late and running now{also}", run_id=run.run_id
                )
            case SlotState.MISSED:
                yield Point(Verdict.ATTENTION, f"{what} was missed, and its day is over")


def _of_the_rest(status: Status) -> Iterator[Point]:
    for waits in status.waiting:
        since = waits.oldest_at
        # What is tried again by itself is looked at once that takes long.
        takes_long = since is not None and status.now - since > GRACE
        if waits.is_for_a_person or (waits.cause is Cause.NOTICES_DEFERRED and takes_long):
            oldest = f", the oldest since {_at(since)}" if since else ""
            text = f"{waits.count:,} {waits.what}{oldest}"
            yield Point(Verdict.ATTENTION, text, command=waits.look_at, waits=True)
    warehouse, zone = status.warehouse, status.policy.time_zone
    if warehouse.fault and not warehouse.is_busy:
        yield Point(Verdict.ATTENTION, warehouse.fault)
    for lack in warehouse.lacks:
        stale = in_words(lack.tables, lack.through, zone)
        yield Point(Verdict.ATTENTION, f"{stale}; {lack.slot} needs it")


def _at(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M}"
