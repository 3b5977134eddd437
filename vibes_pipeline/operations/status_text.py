"""A status for people at a terminal, and as one JSON document for tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.operations.slot_states import SlotState, SlotStatus
from vibes_pipeline.operations.status import Status
from vibes_pipeline.operations.verdict import headline, points, verdict_of

STATES: Mapping[SlotState, str] = {
    SlotState.NOT_DUE: "not due yet",
    SlotState.DONE: "done",
    SlotState.DUE: "due now",
    SlotState.RUNNING: "running",
    SlotState.LATE: "late",
    SlotState.FAILED: "failed",
    SlotState.MISSED: "missed",
    SlotState.NOT_REPLAYED: "not replayed",
}
# Of the claims slot, which is not due at a time of its own.
IN_ORDER = "in order"


def document(status: Status) -> dict[str, Any]:
    """Times ISO 8601 with offset, money as text; the same keys whatever is known."""
    found = points(status)
    return {
        "country": status.policy.country,
        "now": status.now.isoformat(),
        "verdict": verdict_of(found),
        "headline": headline(found),
        "points": _plain(found),
        "fault": status.fault,
        "ledger": _plain(status.ledger),
        "daemon_heard_at": _plain(status.daemon_heard_at),
        "slots": _plain(status.slots),
        "outbox": _plain(status.outbox),
        "waiting": [
            {
                "cause": waits.cause,
                "count": waits.count,
                "oldest_at": _plain(waits.oldest_at),
                "amount": _plain(waits.amount),
                "is_for_a_person": waits.is_for_a_person,
                "what": waits.what,
                "look_at": waits.look_at,
            }
            for waits in status.waiting
        ],
        "warehouse": _plain(status.warehouse),
        "actions": _plain(status.actions),
        "posted": _plain(status.posted),
        "versions": _plain(status.versions),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    match value:
        case date():
            return value.isoformat()
        case Decimal() | Path():
            return str(value)
        case Mapping():
            return {name: _plain(held) for name, held in value.items()}
        case tuple() | list():
            return [_plain(held) for held in value]
    return value


def lines(status: Status) -> Iterator[str]:
    """The verdict and what is not well first, then each part."""
    found = points(status)
    local = f"{_at(status.now)} in {status.policy.time_zone.key}"
    yield f"{verdict_of(found).upper()}  {headline(found)}  ({local})"
    for point in found:
        command = f"  [{point.command}]" if point.command else ""
        yield f"  {point.verdict}: {point.text}{command}"
    for title, rows in _parts(status):
        yield ""
        yield title
        yield from (f"  {row}" for row in _aligned(rows))


def _parts(status: Status) -> Iterator[tuple[str, Sequence[tuple[str, ...]]]]:
    """Each part's title and rows of cells."""
    ledger = status.ledger
    yield "System", _system(status)
    if status.slots:
        yield "Slots", [("", "state", "last done", "next"), *map(slot_cells, status.slots)]
    if ledger.mode is None:
        return
    waiting = [
        (f"{w.count:,}", w.what, _at(w.oldest_at) if w.oldest_at else "", w.look_at)
        for w in status.waiting
    ]
    yield "What waits", waiting or [("nothing",)]
    unsent = [(f"{u.count:,}", u.status, f"oldest {_at(u.oldest_at)}") for u in status.outbox]
    yield "Notices to be sent", unsent or [("none",)]
    yield "Warehouse", warehouse_cells(status)


def _system(status: Status) -> list[tuple[str, ...]]:
    ledger, rows = status.ledger, []
    if ledger.mode:
        since = f", first slot {_at(ledger.opened_at)}" if ledger.opened_at else ""
        rows.append(("ledger", f"{ledger_words(status)}{since}"))
    if ledger.schema:
        rows.append(("schema", f"revision {ledger.schema}"))
    if ledger.mode is LedgerMode.LIVE:
        heard_at = status.daemon_heard_at
        rows.append(("daemon", f"heard of {_at(heard_at)}" if heard_at else "never heard of"))
    versions = ", ".join(f"{name} {number}" for name, number in status.versions.items())
    return [*rows, ("versions", versions)]


def ledger_words(status: Status) -> str:
    """Live, simulated, or not opened."""
    mode = status.ledger.mode
    return "not opened" if mode is LedgerMode.EMPTY else str(mode)


def slot_cells(slot: SlotStatus) -> tuple[str, ...]:
    """Name, state with its period, the last one done, the next."""
    if slot.next_due_at is None:
        state = IN_ORDER if slot.state is SlotState.DONE else STATES[slot.state]
        return slot.slot, state, "", "as claims appear"
    period = f" {slot.period}" if slot.period else ""
    done = f"{slot.done_period}, {_at(slot.done_at)}" if slot.done_at else "none"
    return slot.slot, f"{STATES[slot.state]}{period}", done, _at(slot.next_due_at)


def warehouse_cells(status: Status) -> list[tuple[str, ...]]:
    """Each table and up to when it is complete, or the one reason why nobody knows."""
    warehouse = status.warehouse
    if warehouse.fault:
        return [(warehouse.fault,)]
    if warehouse.tables is None:
        return [("it does not say how fresh it is: it has no raw.loads",)]
    return [
        (name, f"complete through {_at(at)}" if at else "no entry in raw.loads")
        for name, at in warehouse.tables.items()
    ]


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Cells in columns; the last one as long as it is."""
    widths = [max(len(row[n]) for row in rows if n < len(row)) for n in range(max(map(len, rows)))]
    for row in rows:
        yield "  ".join(f"{cell:<{widths[n]}}" for n, cell in enumerate(row)).rstrip()


def _at(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M}"
