"""The steps of each slot, in order: Dagster's jobs show them; `run_slot` runs them without Dagster.

A step has the name of the asset that shows it. Every slot begins with the claims and, after its
effects, sends its mail (Rulebook §2). What blocks the job stops the slot here too, with the same
words. What an asset shows about its step is in `defs`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Self
from uuid import uuid4

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import Clock
from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.weekly import BAD_ROW_SHARE, weekly_models
from vibes_pipeline.interrupts import interrupts_held
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.run_locks import running
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.page import write_report
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots import audits, late_orders, mail, standings, weekly
from vibes_pipeline.slots.claims.settle import settle
from vibes_pipeline.slots.faults import told_in_one_line
from vibes_pipeline.slots.freshness import require_fresh
from vibes_pipeline.slots.instant import Instant
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.warehouse.source import Warehouse

Compute = Callable[[SlotRun, Ledger, Model], object]


@dataclass(frozen=True)
class Work:
    """What the steps of one slot share; both runs have the same instant.

    `compute` runs one model of the weekly alert.
    """

    run: SlotRun
    claims_run: SlotRun
    ledger: Ledger
    clock: Clock
    compute: Compute = weekly.compute

    @classmethod
    def begin(
        cls, instant: Instant, slot: Slot, period: date, compute: Compute = weekly.compute
    ) -> Self:
        """The slot of a period; raises the refusals of `order` before anything is done."""
        instant.period_to_begin(slot, period)
        return cls(
            instant.run(slot, period),
            instant.claims_run(),
            instant.ledger,
            instant.clock,
            compute,
        )


@dataclass(frozen=True)
class Step:
    """One step, named `stage/name` like the asset that shows it.

    With `holds_interrupts` an interrupt waits for the step's end; without, the step handles it.
    """

    asset: str
    do: Callable[[Work], object]
    holds_interrupts: bool = True


REPORT, STANDINGS = "reports/week", "answers/standings"
# They change nothing and are told to nobody: when many slots are run, those of the last will do.
ONLY_SHOWING = frozenset((REPORT, STANDINGS))
SETTLE = Step("claims/settled_claims", lambda work: settle(work.claims_run, work.ledger))


@cache
def steps_of(slot: Slot) -> tuple[Step, ...]:
    """All steps of a slot, each after the steps whose results it needs."""
    return (SETTLE, *_STEPS[slot]())


def run_slot(
    slot: Slot,
    period: date,
    policy: Policy,
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    *,
    warehouse: Warehouse | None = None,
    without: Collection[str] = (),
    compute: Compute = weekly.compute,
) -> dict[str, object]:
    """Run a whole slot in this process, without Dagster; return each step's result by its asset.

    `warehouse` is that of the settings, as it is now; `without` names assets to leave out, for
    instance `ONLY_SHOWING` when many slots are run; `compute` runs a model of the weekly alert, or
    takes its rows from where they are already.
    Raises the refusals of `order` before anything is done, and the error that stopped a step.
    """
    instant = Instant.take(settings, policy, ledger, clock, warehouse)
    work = Work.begin(instant, slot, period, compute)
    with told_in_one_line(), running(ledger, str(uuid4())):
        return {
            step.asset: _done(step, work) for step in steps_of(slot) if step.asset not in without
        }


def _done(step: Step, work: Work) -> object:
    if not step.holds_interrupts:
        return step.do(work)
    with interrupts_held():
        return step.do(work)


def _weekly_alert() -> tuple[Step, ...]:
    models = weekly_models()
    later = weekly.resting_on_past()
    return (
        Step("warehouse/loads", lambda work: require_fresh(work.run)),
        Step("ledger/history", lambda work: weekly.take_history(work.run, work.ledger)),
        *(_model_step(model) for model in models if model.relation not in later),
        Step("ledger/past", lambda work: weekly.take_past(work.run, work.ledger)),
        *(_model_step(model) for model in models if model.relation in later),
        Step("decisions/proposal", _propose),
        Step("ledger/frozen_cycle", lambda work: weekly.freeze_proposal(work.run, work.ledger)),
        _mail_step("notices/weekly_alerts"),
    )


def _model_step(model: Model) -> Step:
    def compute(work: Work) -> None:
        work.compute(work.run, work.ledger, model)
        if model.relation == BAD_ROW_SHARE:
            weekly.require_few_bad_rows(work.run)

    return Step(model.relation.replace(".", "/"), compute)


def _propose(work: Work) -> None:
    audits.require_sound(weekly.write_proposal(work.run, work.ledger), work.run)


def _weekly_implementation() -> tuple[Step, ...]:
    return (
        Step("enforcement/evidence", _look_up),
        Step(
            "enforcement/implementation",
            lambda work: weekly.implement_alerted(work.run, work.ledger),
        ),
        _mail_step("notices/post_implementation_mails"),
        Step(REPORT, _report),
    )


def _look_up(work: Work) -> None:
    weekly.require_fresh_evidence(work.run, work.ledger)
    weekly.look_up_evidence(work.run, work.ledger)
    weekly.require_unchanged(work.run, work.ledger)


def _report(work: Work) -> None:
    run = work.run
    write_report(work.ledger, run.settings, run.policy, run.period, run.now)


def _late_alert() -> tuple[Step, ...]:
    return (
        Step("late_orders/loads", lambda work: require_fresh(work.run)),
        Step(
            "late_orders/overdue_items",
            lambda work: late_orders.find_overdue(work.run, work.ledger),
        ),
        Step("late_orders/late_cancellations", _decide_late),
        Step(
            "late_orders/proposed_cancellations",
            lambda work: late_orders.propose(work.run, work.ledger),
        ),
        _mail_step("notices/late_alerts"),
        # After the mails: what it needs longer, or stops at, keeps no alert back.
        Step(STANDINGS, lambda work: standings.refresh(work.run, work.ledger)),
    )


def _decide_late(work: Work) -> None:
    late_orders.decide(work.run, work.ledger)
    late_orders.require_each_once(work.run)


def _late_cancellation() -> tuple[Step, ...]:
    return (
        Step("late_orders/outcomes", _settle_late),
        Step("late_orders/cancellations", lambda work: late_orders.cancel(work.run, work.ledger)),
        _mail_step("notices/late_cancellation_mails"),
    )


def _settle_late(work: Work) -> None:
    require_fresh(work.run)
    late_orders.settle(work.run, work.ledger)


def _claims() -> tuple[Step, ...]:
    return (
        Step(
            "notices/claim_mails",
            lambda work: mail.deliver(work.run, work.ledger, work.clock),
            holds_interrupts=False,
        ),
    )


def _mail_step(asset: str) -> Step:
    """Send the slot's mail; at an interrupt the outbox itself stops after the mails at hand."""
    return Step(
        asset,
        lambda work: mail.finish(work.run, work.ledger, work.clock),
        holds_interrupts=False,
    )


_STEPS: Mapping[Slot, Callable[[], tuple[Step, ...]]] = {
    Slot.WEEKLY_ALERT: _weekly_alert,
    Slot.WEEKLY_IMPLEMENTATION: _weekly_implementation,
    Slot.LATE_ALERT: _late_alert,
    Slot.LATE_CANCELLATION: _late_cancellation,
    Slot.CLAIMS: _claims,
}
