"""Any of the five slots run directly: the steps that its job's assets call, without Dagster.

Each begins with the claims step and ends with its mail and the record that it is done (Rulebook §2).
A check that would block the job stops the slot here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from vibes_pipeline import audits, late_orders, weekly
from vibes_pipeline.calendar import Slot
from vibes_pipeline.claims.settle import settle
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger.implementation import Implementation
from vibes_pipeline.ledger.late_orders import LateDay
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.proposals import FrozenCycle, changed_cycles
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slot_order import period_to_begin
from vibes_pipeline.slot_run import SlotRun


class Blocked(VibesError):
    """A blocking check found something: a rule has made what must not be frozen or implemented."""


def weekly_alert(run: SlotRun, ledger: Ledger) -> FrozenCycle:
    """Decide and freeze; the mail is not sent yet."""
    weekly.require_fresh(run)
    weekly.take_history(run, ledger)
    for model in weekly.weekly_models():
        weekly.compute(run, ledger, model)
        if model.name == "bad_row_share":
            weekly.require_few_bad_rows(run)
    proposal = weekly.write_proposal(run, ledger)
    for audit in audits.AUDITS:
        if not audit(proposal, run).is_empty():
            raise Blocked(audit.__doc__)
    return weekly.freeze_proposal(run, ledger)


def weekly_implementation(run: SlotRun, ledger: Ledger) -> Implementation:
    """Look the evidence up again and implement; the mail is not sent yet."""
    weekly.require_fresh_evidence(run, ledger)
    weekly.look_up_evidence(run, ledger)
    if changed := changed_cycles(ledger, run.period):
        raise Blocked(f"the actions of {changed} are not those that were frozen")
    return weekly.implement_alerted(run, ledger)


def late_alert(run: SlotRun, ledger: Ledger) -> LateDay:
    """Find what is overdue and propose it; the mail is not sent yet."""
    late_orders.require_fresh(run)
    late_orders.find_overdue(run, ledger)
    decided = late_orders.decide(run, ledger)
    if decided["order_item_id"].is_duplicated().any():
        raise Blocked("an item is to be cancelled twice")
    return late_orders.propose(run, ledger)


def late_cancellation(run: SlotRun, ledger: Ledger) -> LateDay:
    """Settle and cancel; the mail is not sent yet."""
    late_orders.require_fresh(run)
    late_orders.settle(run, ledger)
    return late_orders.cancel(run, ledger)


STEPS: Mapping[Slot, Callable[[SlotRun, Ledger], object]] = {
    Slot.WEEKLY_ALERT: weekly_alert,
    Slot.WEEKLY_IMPLEMENTATION: weekly_implementation,
    Slot.LATE_ALERT: late_alert,
    Slot.LATE_CANCELLATION: late_cancellation,
    Slot.CLAIMS: lambda run, ledger: None,
}


@dataclass(frozen=True)
class DirectSlots:
    """A simulated ledger and the settings that name its state and the warehouse."""

    ledger: Ledger
    settings: Settings
    policy: Policy

    def run(self, slot: Slot, period: date, now: datetime) -> object:
        """One whole slot at its instant; gives what its steps did, raises what stopped it."""
        period_to_begin(self.ledger, self.policy, slot, period, now=now, is_simulated=True)
        settle(self.begin(Slot.CLAIMS, self.policy.local_date(now), now), self.ledger)
        run = self.begin(slot, period, now)
        done = STEPS[slot](run, self.ledger)
        deliver_notices(
            self.ledger, self.policy, self.settings, SimulatedClock(now), slot_now=run.now
        )
        if slot is not Slot.CLAIMS:
            self.ledger.record_finished(slot, period, run.now)
        return done

    def begin(self, slot: Slot, period: date, now: datetime) -> SlotRun:
        """The slot's run, nothing done yet."""
        return SlotRun.begin(slot, period, self.policy, self.settings, now=now, is_simulated=True)
