"""How each slot stands at an instant: done, due, late, failed; its last time and its next (§2).

What is due and what is done, the calendar and the ledger say; whether its run failed, Dagster's
record. On a simulated ledger nothing is late: its slots are run when they are replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from vibes_pipeline.calendar import TIMED_SLOTS, DueSlot, Slot
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.operations import runs
from vibes_pipeline.operations.runs import LastRun
from vibes_pipeline.policy import Policy
from vibes_pipeline.slots.catch_up import GRACE, missing_slots


class SlotState(StrEnum):
    """Of the last period that was due, or of the oldest that is missing."""

    NOT_DUE = "not_due"
    DONE = "done"
    DUE = "due"
    RUNNING = "running"
    LATE = "late"
    FAILED = "failed"
    MISSED = "missed"
    NOT_REPLAYED = "not_replayed"


@dataclass(frozen=True)
class SlotStatus:
    """One slot; times are local.

    `period` is the one that `state` is about, due at `due_at`; None while none was due since the
    ledger's first slot. `missing` counts the periods that are due and not done, `done_period` is
    the newest done, at its instant `done_at`. The claims slot has neither periods nor a next time.
    """

    slot: Slot
    state: SlotState
    period: date | None = None
    due_at: datetime | None = None
    missing: int = 0
    done_period: date | None = None
    done_at: datetime | None = None
    next_period: date | None = None
    next_due_at: datetime | None = None
    last_run: LastRun | None = None


@dataclass(frozen=True)
class _Outcome:
    """How a finished slot ended: its instant, and whether it was skipped."""

    at: datetime
    is_skipped: bool


def slot_states(
    connection: sa.Connection, ledger: Ledger, policy: Policy, now: datetime
) -> tuple[SlotStatus, ...]:
    """Every slot at `now`, which is local; the timed ones first."""
    s = schema.slots.c
    finished = connection.execute(
        sa.select(s.slot, s.period, s.effected_at, s.outcome == "skipped").where(
            s.country == ledger.country, s.finished_at.is_not(None)
        )
    )
    reader = _Reader(
        connection,
        policy,
        now,
        is_simulated=ledger.mode_seen_by(connection) is LedgerMode.SIMULATED,
        has_runs=runs.is_recorded(connection),
        opened_at=ledger.opened_at() or now,
        missing=missing_slots(ledger, policy, now),
        outcomes={(slot, period): _Outcome(*how) for slot, period, *how in finished},
    )
    return (*(reader.timed(slot) for slot in TIMED_SLOTS), reader.claims())


@dataclass(frozen=True)
class _Reader:
    connection: sa.Connection
    policy: Policy
    now: datetime
    is_simulated: bool
    has_runs: bool
    opened_at: datetime
    missing: Sequence[DueSlot]
    outcomes: Mapping[tuple[str, date], _Outcome]

    def timed(self, slot: Slot) -> SlotStatus:
        done = [p for (s, p), how in self.outcomes.items() if s == slot and not how.is_skipped]
        newest = max(done, default=None)
        done_at = self.outcomes[slot, newest].at if newest else None
        missing = [due for due in self.missing if due.slot is slot]
        run = self._last_run(slot, missing[0].period) if missing else None
        state, due = self._state(slot, missing, run)
        # What is due at this very moment is not the next.
        upcoming = self.policy.slot_calendar.next_due(slot, self.now + timedelta.resolution)
        return SlotStatus(
            slot,
            state,
            period=due.period if due else None,
            due_at=due.due_at if due else None,
            missing=len(missing),
            done_period=newest,
            done_at=done_at and done_at.astimezone(self.policy.time_zone),
            next_period=upcoming.period,
            next_due_at=upcoming.due_at,
            last_run=run,
        )

    def claims(self) -> SlotStatus:
        """It is due as claims appear, so only its run tells whether it is in trouble."""
        run = self._last_run(Slot.CLAIMS, None)
        return SlotStatus(Slot.CLAIMS, _of_run(run) or SlotState.DONE, last_run=run)

    def _state(
        self, slot: Slot, missing: Sequence[DueSlot], run: LastRun | None
    ) -> tuple[SlotState, DueSlot | None]:
        """The state, and the slot that it is about."""
        if missing:
            oldest = missing[0]
            is_late = self.now - oldest.due_at > GRACE
            by_the_clock = SlotState.LATE if is_late else SlotState.DUE
            return self._unless_simulated(_of_run(run) or by_the_clock), oldest
        calendar = self.policy.slot_calendar
        period = calendar.period_of(slot, self.now)
        last = DueSlot(calendar.due_at(slot, period), slot, period)
        if how := self.outcomes.get((slot, period)):
            return SlotState.MISSED if how.is_skipped else SlotState.DONE, last
        if last.due_at < self.opened_at:
            return SlotState.NOT_DUE, None
        return self._unless_simulated(SlotState.MISSED), last

    def _unless_simulated(self, state: SlotState) -> SlotState:
        return SlotState.NOT_REPLAYED if self.is_simulated else state

    def _last_run(self, slot: Slot, period: date | None) -> LastRun | None:
        """The run that may have failed; a replay that did told so on its terminal."""
        if self.is_simulated or not self.has_runs:
            return None
        return runs.last_run(self.connection, slot, period)


def _of_run(run: LastRun | None) -> SlotState | None:
    if run is None:
        return None
    return SlotState.FAILED if run.has_failed else SlotState.RUNNING
