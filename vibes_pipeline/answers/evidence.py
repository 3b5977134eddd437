"""What the warehouse shows today of the event that an action rests on (Rulebook §2, §14).

The SQL is that of the slots that look evidence up again, asked about actions of any state. Claims
are left out: an excused event remains a fact of the warehouse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import polars as pl

from vibes_pipeline.answers.moment import Moment, write_ledger
from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.scratch import ASKED, ScratchEngine
from vibes_pipeline.ledger.as_of import Subject
from vibes_pipeline.ledger.history import EXCUSES
from vibes_pipeline.rules import CHARGES, LATE_RULES, Evidence
from vibes_pipeline.slots.run import NO_HORIZON

CHARGED, LATE = "enforcement.evidence", "late_orders.late_outcomes"
# Only the rows of the items that the actions name are read, for late orders too.
STAND_INS = {**ASKED, "warehouse.recent_order_items": ASKED["warehouse.stored_items"]}
# Of a late order: what has become of it since says whether it was left as it was.
OF_LATE_ORDERS = {
    "overdue": "shown",
    "cancelled": "shown",
    "not_due": "contradicted",
    "updated": "contradicted",
    "evidence_gone": "contradicted",
    "missing": "missing",
}


def shown_now(moment: Moment, actions: Sequence[Mapping[str, Any]]) -> Mapping[UUID, str]:
    """`shown`, `contradicted` or `missing` by action; none of actions that have no item."""
    of_items = [a for a in actions if a["rule"] in (*CHARGES, *LATE_RULES)]
    if not of_items:
        return {}
    run = moment.run(moment.next_cycle)
    engine = ScratchEngine.over(run.engine, STAND_INS)
    write_ledger(
        engine,
        {
            "open_charges": _frame(of_items, (Evidence.REASON, Evidence.QC_ID, Evidence.CASE_ID)),
            "open_late_cancellations": _frame(
                [a for a in of_items if a["rule"] in LATE_RULES],
                (Evidence.ENTERED_STATE, Evidence.ENTERED_AT),
            ),
            "excuses": pl.DataFrame(schema=dict(EXCUSES)),
        },
    )
    today = moment.policy.local_date(moment.at)
    parameters = {
        **run.parameters(first_cycle=moment.first_cycle, horizon=NO_HORIZON),
        **vars(Subject()),
        "of_charges": True,
        "cancels_at": moment.at,
        "day": today,
        "first_late_day": today,
    }
    for model in (*closure(ASKED.values()), *closure([CHARGED, LATE], made=STAND_INS)):
        engine.materialize(model, parameters)
    outcomes = {rule: dict(engine.read(rule).iter_rows()) for rule in (CHARGED, LATE)}
    return {
        a["action_id"]: outcomes[CHARGED][str(a["action_id"])]
        if a["rule"] in CHARGES
        else OF_LATE_ORDERS[outcomes[LATE][str(a["action_id"])]]
        for a in of_items
    }


def _frame(actions: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> pl.DataFrame:
    """Actions as the relations of open ones have them."""
    columns = ("action_id", "rule", "seller_id", "order_item_id")
    rows = [
        {name: str(a[name]) for name in columns} | {key: a["evidence"].get(key) for key in keys}
        for a in actions
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys((*columns, *keys), pl.String))
