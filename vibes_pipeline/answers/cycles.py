"""Why a seller or a product is regulated in one cycle, or not (Rulebook §14).

A decided cycle is answered from the partitions that it was decided on, under its own policy; one
that is not decided from the warehouse as it stands. The codes come from `sql/answers/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from vibes_pipeline.answers.arithmetic import rate
from vibes_pipeline.answers.moment import Moment, write_ledger
from vibes_pipeline.answers.words import moment_in_words
from vibes_pipeline.calendar import Slot
from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger.as_of import LedgerThen, Subject
from vibes_pipeline.ledger.proposals import FrozenCycle, frozen_cycle
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.slots.claims.recompute import policy_decided_under
from vibes_pipeline.slots.run import SlotRun

SELLER, PRODUCT = "order_regulation", "sales_regulation"
# Columns of an answer that are no facts.
TOLD = ("seller_id", "sku", "code", "reference", "faults")
NOT_IN_ITS_HISTORY = ("cycle_actions", "product_delistings")
Row = Mapping[str, Any]


def explain_seller(moment: Moment, seller: str, cycle: date) -> dict[str, Any]:
    """`rule`, `code`, `action` (its reference), `facts` and `text` of a seller's order regulation.

    `UsageError` for a cycle before the ledger's first, one that has not begun, or one whose
    partitions were removed because of their age.
    """
    return _explained(moment, SELLER, Subject(seller=seller), cycle)


def explain_product(moment: Moment, product: str, cycle: date) -> dict[str, Any]:
    """The same of a product's sales regulation."""
    return _explained(moment, PRODUCT, Subject(product=product), cycle)


def _explained(moment: Moment, rule: str, asked: Subject, cycle: date) -> dict[str, Any]:
    _require_time(moment, cycle)
    frozen = frozen_cycle(moment.ledger, cycle)
    relation = f"answers.{rule}s"
    policy = moment.policy
    if frozen is None:
        rows = moment.answer(relation, asked, cycle=cycle)
    else:
        with moment.ledger.reading() as connection:
            policy = policy_decided_under(connection, policy, frozen.policy_version)
        rows = _decided(moment, relation, asked, frozen, policy)
    row = rows.row(0, named=True)
    words = _of_seller if rule == SELLER else _of_product
    return {
        "rule": rule,
        "code": row["code"],
        "action": row["reference"],
        "facts": {name: _plain(value) for name, value in row.items() if name not in TOLD},
        "text": _in_words(moment, row, cycle) or words(row, policy, cycle),
    }


def _require_time(moment: Moment, cycle: date) -> None:
    if cycle < moment.first_cycle:
        raise UsageError(
            f"cycle {cycle} is before this ledger's first cycle, {moment.first_cycle}: nothing was "
            "decided of it"
        )
    if cycle > moment.policy.local_date(moment.at):
        raise UsageError(f"the week of {cycle} has not begun; name a cycle no later than today")


def _decided(
    moment: Moment, relation: str, asked: Subject, frozen: FrozenCycle, policy: Policy
) -> pl.DataFrame:
    """The answer as the cycle's own alert would have given it."""
    run = SlotRun.begin(
        Slot.WEEKLY_ALERT,
        frozen.cycle,
        policy,
        moment.settings,
        now=frozen.frozen_at,
        is_simulated=True,
    )
    kept = {model.relation for model in weekly_models()}
    models = closure([relation], made=kept)
    for needed in kept & {name for model in models for name in model.upstream}:
        run.require_decided(needed)
    engine = ScratchEngine.over(run.engine)
    # The history that the cycle was decided on has delistings only of products with an event.
    then = LedgerThen(moment.ledger.country, frozen.frozen_at, asked)
    write_ledger(engine, then.read(moment.ledger, NOT_IN_ITS_HISTORY, frozen.cycle))
    for model in models:
        engine.materialize(model, {**run.parameters(), **vars(asked)})
    return engine.read(relation)


def _in_words(moment: Moment, row: Row, cycle: date) -> str | None:
    """What is said alike of sellers and products; None where the rule has words of its own."""
    match row["code"]:
        case "acted":
            return f"{row['reference']} of cycle {cycle}"
        case "unknown":
            return "the warehouse does not know it"
        case "set_aside":
            return f"its row is set aside: {clean(row['faults'])}"
        case "awaits_cycle":
            alert = moment_in_words(moment.alert_of(cycle), moment.policy)
            return f"as it stands it will be regulated; the cycle's alert is due {alert}"
    return None


def _of_seller(row: Row, policy: Policy, cycle: date) -> str:
    match row["code"]:
        case "no_activity":
            return "nothing was shipped in the week, and nothing cancelled that counts"
        case "account_delisted":
            return "the account is delisted: it gets no further order regulation"
        case "exempt":
            return "exempt: a vendor on Jumia Express"
    counts = row["cancelled_items"], row["cancelled_items"] + row["shipped_items"]
    return f"cancellation rate {rate(*counts)}: band {row['band']}, which has no limit"


def _of_product(row: Row, policy: Policy, cycle: date) -> str:
    if row["code"] == "delisted":
        return "delisted, by itself or with its account: it gets no further regulation"
    sales = policy.sales_regulation
    if row["code"] == "no_event":
        days, weeks = sales.rejection_window_days.on(cycle), sales.return_lag_weeks.on(cycle)
        return (
            f"no rejection in the {counted(days, 'day')} that end with the week, no quality return "
            f"{counted(weeks, 'week')} before it"
        )
    grounds = [
        f"{ground} rate {rate(row[of], row[f'{ground}_base_items'])}, must be over "
        f"{short(row[f'{ground}_over_pct'])}%, {counted(row[who], 'customer')}"
        for ground, of, who in (
            ("rejection", "rejected_items", "rejecting_customers"),
            ("return", "returned_items", "returning_customers"),
        )
        if row[of]
    ]
    return f"{'; '.join(grounds)}; at least {counted(row['minimum_customers'], 'customer')} needed"


def _plain(value: Any) -> Any:
    return short(value) if isinstance(value, Decimal) else value
