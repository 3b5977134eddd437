"""The weekly cycle, step by step: decide, freeze, look evidence up again, implement (Rulebook §2).

Each step is one function over a `SlotRun`; Dagster's assets call them, and so may a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import polars as pl

from vibes_pipeline.engine.models import Model, closure, load_models
from vibes_pipeline.engine.protocol import Engine, Parameters
from vibes_pipeline.engine.scratch import ASKED, ScratchEngine
from vibes_pipeline.engine.weekly import BAD_ROW_SHARE, decision, resting_on
from vibes_pipeline.errors import AuditFailed, TooManyBadRows
from vibes_pipeline.ledger import history
from vibes_pipeline.ledger.actions import Terms, actions_of
from vibes_pipeline.ledger.as_of import Subject
from vibes_pipeline.ledger.implementation import Implementation, implement
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.proposals import (
    FrozenCycle,
    changed_cycles,
    changed_in_words,
    freeze,
    frozen_cycle,
)
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.rules import WEEKLY_RULES
from vibes_pipeline.slots.evidence import by_outcome, require_evidence
from vibes_pipeline.slots.freshness import require_fresh
from vibes_pipeline.slots.run import NO_HORIZON, SlotRun

EVIDENCE = "enforcement.evidence"
PROPOSAL = "decisions.proposal"
FACTS = "ledger.facts"
FIRST_CYCLE = "first_cycle"
DIRECTORY = "warehouse.directory"
REVIEWS, REVIEWED = "decisions.account_reviews", "decisions.reviewed_counterfeits"
# What decisions are at hand about: they rest on what was decided about the same before.
EVENTS = (
    "events.out_of_stock_cancellations",
    "events.late_fulfilments",
    "events.quality_returns",
    "events.dropoff_qc_failures",
    "events.counterfeit_findings",
)
PRODUCT_METRICS = ("metrics.product_rejections", "metrics.product_returns")
ACCOUNT_DECISIONS = "warehouse.latest_account_decisions"
PAST_IS_OF = (*EVENTS, *PRODUCT_METRICS, ACCOUNT_DECISIONS)
EVERY = pl.lit(True)
# The relations that freezing a cycle reads.
FROZEN_FROM = (PROPOSAL, FACTS, BAD_ROW_SHARE, REVIEWS, REVIEWED, DIRECTORY)


def require_fresh_evidence(run: SlotRun, ledger: Ledger) -> bool:
    """Stop before anything is implemented unless the warehouse is fresh enough (§13).

    A slot whose effects are recorded is not asked again. False when the warehouse does not say how
    far it is complete.
    """
    return ledger.is_effected(run.slot, run.period) or require_fresh(run)


def take_history(run: SlotRun, ledger: Ledger) -> history.History:
    """Write a snapshot of the ledger beside the slot's partitions, where the models read it.

    The snapshot that a frozen cycle was decided on stays as it was.
    """
    taken = history.take(ledger)
    if frozen_cycle(ledger, run.period):
        return taken
    for name, frame in taken.frames.items():
        run.engine.write(f"ledger.{name}", frame)
    facts = pl.DataFrame(
        {"last_event": [taken.last_event], "first_cycle": [taken.first_cycle]},
        schema={"last_event": pl.Int64, "first_cycle": pl.Date},
    )
    run.engine.write(FACTS, facts)
    return taken


def take_past(run: SlotRun, ledger: Ledger) -> dict[str, pl.DataFrame]:
    """Write what the ledger holds about the events and products at hand, beside the history.

    The rows that a frozen cycle was decided on stay as they were: then there are none to write.
    Freezing refuses decisions when the ledger has changed since the history was taken.
    """
    if frozen_cycle(ledger, run.period):
        return {}
    taken = history.past(
        ledger,
        history.Keys(
            items=ids_at_hand(run.engine, "order_item_id", EVENTS),
            products=ids_at_hand(run.engine, "sku", PRODUCT_METRICS),
            sellers=ids_at_hand(run.engine, "seller_id", [ACCOUNT_DECISIONS]),
        ),
    )
    for name, frame in taken.items():
        run.engine.write(f"ledger.{name}", frame)
    return taken


@cache
def resting_on_past() -> frozenset[str]:
    """The models of the weekly alert that read what `take_past` writes."""
    return resting_on([f"ledger.{name}" for name in history.PAST])


def ids_at_hand(
    engine: Engine, column: str, relations: Iterable[str], where: pl.Expr = EVERY
) -> list[str]:
    """The ids that rows of relations made before have in a column, each once."""
    none = pl.LazyFrame(schema={column: pl.String})
    ids = [none, *(engine.scan(relation).filter(where).select(column) for relation in relations)]
    return pl.concat(ids).unique().collect()[column].drop_nulls().to_list()


def compute(run: SlotRun, ledger: Ledger, model: Model) -> pl.LazyFrame:
    """Run one model of the weekly alert over the history taken; return its rows, not read yet.

    A frozen cycle's partitions stay as they were when it was decided. A model that a later version
    of the program added has no partition there, so it has no rows.
    """
    if frozen_cycle(ledger, run.period):
        run.require_decided(PROPOSAL)
        if not run.engine.partition(model.relation).exists():
            return pl.LazyFrame(schema=dict.fromkeys(model.columns, pl.Null))
    else:
        run.engine.materialize(model, parameters_of(run))
    return run.engine.scan(model.relation)


def parameters_of(run: SlotRun) -> Parameters:
    """The slot's parameters; the ledger's first cycle comes from the history taken."""
    facts = run.engine.read(FACTS).row(0, named=True)
    return run.parameters(first_cycle=facts[FIRST_CYCLE])


def bad_row_share(run: SlotRun) -> tuple[int, int]:
    """How many order items the observed week has, and how many of them are bad."""
    rows, bad = run.engine.read(BAD_ROW_SHARE).row(0)
    return rows, bad


def require_few_bad_rows(run: SlotRun) -> None:
    """`TooManyBadRows` when the share of bad rows is above the policy's limit (Rulebook §13)."""
    rows, bad = bad_row_share(run)
    limit = run.policy.warehouse.bad_row_limit_pct.on(run.period)
    if 100 * bad > limit * rows:
        raise TooManyBadRows(
            f"{bad} of the {rows} order items of the week of {run.period} are bad, more than "
            f"{short(limit)}%: mend the warehouse (`vibes export quarantine` lists them), "
            "or set warehouse.bad_row_limit_pct in a policy of your own"
        )


def write_proposal(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    """Gather every rule's decisions as actions (the ledger's columns; evidence as JSON)."""
    if frozen_cycle(ledger, run.period):
        return read_proposal(run)
    run.engine.release()
    terms = _terms(run)
    proposal = pl.concat(
        actions_of(rule, run.engine.read(decision(rule).relation), terms) for rule in WEEKLY_RULES
    ).with_columns(pl.col("event_at").dt.convert_time_zone(run.policy.time_zone.key))
    run.engine.write(PROPOSAL, proposal)
    return proposal


def read_proposal(run: SlotRun) -> pl.DataFrame:
    """The proposal as it was written."""
    return run.engine.read(PROPOSAL)


def freeze_proposal(run: SlotRun, ledger: Ledger) -> FrozenCycle:
    """Record the decisions as the cycle's frozen proposal and plan its alerts; once, ever."""
    if before := frozen_cycle(ledger, run.period):
        return before
    require_few_bad_rows(run)
    facts = run.engine.read(FACTS).row(0, named=True)
    return freeze(
        ledger,
        read_proposal(run),
        run.engine.read(REVIEWS),
        run.engine.read(REVIEWED),
        run.engine.evaluate(load_models()[DIRECTORY], run.view).select("seller_id", "shop_name"),
        _terms(run),
        policy_content=run.policy.text,
        seen_event=facts["last_event"],
        due_at=run.due_at,
        now=run.now,
        is_simulated=run.is_simulated,
    )


def look_up_evidence(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    """What has become of each open charge's evidence (action_id, outcome), one row per charge."""
    engine = ScratchEngine.over(run.engine, ASKED)
    models = (*closure(ASKED.values()), *closure([EVIDENCE], made=ASKED))
    needed = {r.removeprefix("ledger.") for model in models for r in model.depends_on}
    for name, frame in history.take(ledger, only=needed).frames.items():
        engine.write(f"ledger.{name}", frame)
    asked = {**vars(Subject()), "of_charges": True}
    for model in models:
        engine.materialize(model, {**run.parameters(horizon=NO_HORIZON), **asked})
    evidence = engine.read(EVIDENCE)
    run.engine.write(EVIDENCE, evidence)
    return evidence


def require_unchanged(run: SlotRun, ledger: Ledger) -> None:
    """`AuditFailed` unless every proposal to be implemented has the hash it was frozen with."""
    if changed := changed_cycles(ledger, run.period):
        raise AuditFailed(changed_in_words(changed))


def implement_alerted(run: SlotRun, ledger: Ledger) -> Implementation:
    """Implement the actions alerted in time, except those whose evidence is gone or missing.

    `TooMuchMissingEvidence` before anything is done when so much evidence is missing that the
    load must have failed.
    """
    evidence = run.engine.read(EVIDENCE)
    require_evidence(run, ledger, evidence)
    return implement(
        ledger,
        run.period,
        by_outcome(evidence),
        accounts=run.policy.accounts_on(run.policy.local_date(run.now)),
        patience_slots=run.policy.warehouse.evidence_patience_slots.on(run.period),
        time_zone=run.policy.time_zone,
        due_at=run.due_at,
        now=run.now,
        is_simulated=run.is_simulated,
    )


def _terms(run: SlotRun) -> Terms:
    return Terms(
        country=run.policy.country,
        cycle=run.period,
        currency=run.policy.currency,
        policy_version=run.policy.version,
        notice_hours=run.policy.notice.notice_hours.on(run.period),
    )
