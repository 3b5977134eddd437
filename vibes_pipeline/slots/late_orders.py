"""Late orders, step by step: find what is overdue, propose, settle at night (Rulebook §9).

Each step is one function over a `SlotRun` of a day; Dagster's assets call them, and so may a test.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from vibes_pipeline.calendar import Slot, monday_of
from vibes_pipeline.engine.models import Model, closure, load_models
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.errors import AuditFailed
from vibes_pipeline.ledger import late_orders as ledger_late_orders
from vibes_pipeline.ledger.actions import Terms, actions_of
from vibes_pipeline.ledger.frames import read_frame
from vibes_pipeline.ledger.history import select_excuses
from vibes_pipeline.ledger.late_orders import LateDay, SlotTime
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.listing import listed
from vibes_pipeline.rules import LATE_RULES
from vibes_pipeline.slots.evidence import by_outcome, require_evidence
from vibes_pipeline.slots.run import SlotRun

RECENT = "warehouse.recent_order_items"
# A late slot judges only the items that it may be about.
STAND_INS = {"warehouse.stored_items": RECENT}
OVERDUE = "late_orders.overdue_items"
DECISIONS = {rule: f"late_orders.{rule}s" for rule in LATE_RULES}
OUTCOMES = "late_orders.late_outcomes"
OPEN_ACTIONS = "ledger.open_late_cancellations"
ACTIONS = "ledger.late_cancellations"


def find_overdue(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    """The items that will be overdue at the day's cancellation unless updated, one row each."""
    overdue = _found(run, ledger, OVERDUE)
    run.engine.write(OVERDUE, overdue)
    return overdue


def decide(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    """The day's late actions of both rules, new ones and those kept from earlier days."""
    engine = run.engine
    items = engine.read(OVERDUE)["order_item_id"].unique().to_list()
    known = ledger_late_orders.late_cancellations(ledger, items)
    engine.write(ACTIONS, known)
    decisions = []
    for rule in LATE_RULES:
        engine.materialize(load_models()[DECISIONS[rule]], {})
        decided = engine.read(DECISIONS[rule])
        decisions.append(decided.select(pl.lit(rule).alias("rule"), pl.all()))
    return pl.concat(decisions)


def decided_twice(run: SlotRun) -> list[str]:
    """Items that would be cancelled under both rules, or twice under one: there must be none."""
    decided = pl.concat([run.engine.read(r).select("order_item_id") for r in DECISIONS.values()])
    twice = decided.filter(decided.is_duplicated())["order_item_id"]
    return twice.unique().sort().to_list()


def twice_in_words(items: list[str]) -> str:
    """What is wrong with items that would be cancelled twice, and the way out."""
    return (
        f"{len(items)} items would be cancelled more than once ({listed(items)}); nobody is "
        "alerted until the warehouse or the rule is mended"
    )


def require_each_once(run: SlotRun) -> None:
    """`AuditFailed` when an item would be cancelled twice."""
    if items := decided_twice(run):
        raise AuditFailed(twice_in_words(items))


def propose(run: SlotRun, ledger: Ledger) -> LateDay:
    """Record the day's actions and plan its alerts; once."""
    engine = run.engine
    known = engine.read(ACTIONS)
    new, kept = [], []
    for rule in LATE_RULES:
        decided = engine.read(DECISIONS[rule])
        is_new = decided.filter(~pl.col("is_kept")).drop("is_kept")
        new.append(actions_of(rule, is_new, _terms(run)))
        kept.append(
            decided.filter("is_kept")
            .join(known.filter(pl.col("rule") == rule), on="order_item_id")
            .select("seller_id", "action_id")
        )
    return ledger_late_orders.propose(
        ledger,
        pl.concat(new),
        pl.concat(kept),
        _terms(run),
        _slot_time(run),
        policy_content=run.policy.text,
        pointless_at=_cancels_at(run) - timedelta(hours=_terms(run).notice_hours),
    )


def settle(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    """What has become of each open late action (action_id, outcome): still overdue, or why not."""
    outcomes = _found(run, ledger, OUTCOMES)
    run.engine.write(OUTCOMES, outcomes)
    return outcomes


def cancel(run: SlotRun, ledger: Ledger) -> LateDay:
    """Cancel what is still overdue, withdraw what is not, let missing evidence wait; once.

    `TooMuchMissingEvidence` before anything is done when so many items are missing that the load
    must have failed.
    """
    outcomes = run.engine.read(OUTCOMES)
    require_evidence(run, ledger, outcomes)
    return ledger_late_orders.cancel(
        ledger,
        by_outcome(outcomes),
        _slot_time(run),
        patience_slots=run.policy.warehouse.evidence_patience_slots.on(run.period),
    )


def _found(run: SlotRun, ledger: Ledger, relation: str) -> pl.DataFrame:
    """The rows of a model of late orders, which reads only the recent order items (§9)."""
    engine = ScratchEngine.over(run.engine, stand_ins=STAND_INS)
    opened = ledger_late_orders.open_late_cancellations(ledger)
    engine.write(OPEN_ACTIONS, opened)
    engine.write("ledger.excuses", read_frame(ledger, select_excuses(ledger.country)))
    parameters = _parameters(run, ledger, opened)
    for model in models_of(relation):
        engine.materialize(model, parameters)
    return engine.read(relation)


def models_of(*relations: str) -> list[Model]:
    """All models of the relations, each once; the recent items first, which stand in for others."""
    recent = closure([RECENT])
    models = closure(relations, made=STAND_INS)
    return [*recent, *(model for model in models if model not in recent)]


def _parameters(run: SlotRun, ledger: Ledger, opened: pl.DataFrame) -> Parameters:
    day = run.period
    monday = monday_of(day)
    # One day more finds an item whose time was corrected by a few hours.
    since = min(
        [_looks_back_to(run), *(_instant(at) - timedelta(days=1) for at in opened["entered_at"])]
    )
    return {
        **run.view,
        "day": day,
        "week_start": run.day_start(monday),
        "week_end": run.day_start(monday + timedelta(weeks=1)),
        "since": since,
        "horizon": since,
        "cancels_at": _cancels_at(run),
        "first_late_day": ledger_late_orders.first_late_day(ledger) or day,
    }


def _looks_back_to(run: SlotRun) -> datetime:
    """The earliest time at which an item entered a state whose deadline is in the lookback days."""
    days = run.policy.late_orders.late_lookback_days.on(run.period)
    return run.earliest_entry(run.period - timedelta(days=days))


def _cancels_at(run: SlotRun) -> datetime:
    """The day's late cancellation."""
    return run.policy.slot_calendar.due_at(Slot.LATE_CANCELLATION, run.period)


def _slot_time(run: SlotRun) -> SlotTime:
    return SlotTime(run.period, run.due_at, run.now, run.is_simulated)


def _terms(run: SlotRun) -> Terms:
    return Terms(
        country=run.policy.country,
        cycle=run.period,
        currency=run.policy.currency,
        policy_version=run.policy.version,
        notice_hours=run.policy.notice.late_notice_hours.on(run.period),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
