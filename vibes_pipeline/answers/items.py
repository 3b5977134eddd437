"""Why each charge rule did or did not strike an item (Rulebook §14).

`answers.item_charges` gives the codes; here they become records and words for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from vibes_pipeline.answers.moment import Moment
from vibes_pipeline.answers.words import moment_in_words
from vibes_pipeline.files import put_into_place
from vibes_pipeline.ledger.as_of import Subject
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.policy.rules import CommissionCharge
from vibes_pipeline.rules import CHARGES

ANSWER = "answers.item_charges"
ORDER = {rule: place for place, rule in enumerate(CHARGES)}
Row = Mapping[str, Any]

NO_EVENT = {
    "out_of_stock_charge": "not cancelled as out of stock",
    "returns_charge": "not returned for quality",
    "dropoff_qc_charge": "no failed check at drop-off",
    "counterfeit_charge": "no proven counterfeit case",
}
IN_FAMILY = {
    "out_of_stock_charge": "the late charge that stands leaves no difference",
    "late_fulfilment_charge": "an out-of-stock charge was, or is to be, made on the item",
}


def explain_item(moment: Moment, item: str) -> dict[str, Any]:
    """One item, known or not: `order_item_id` and `rules`, one record per charge rule.

    A record has `rule`, `code`, `action` (its reference), `claim`, `cycle` and `text`.
    """
    ((_, rules),) = _answers(moment, Subject(item=item))
    return {"order_item_id": item, "rules": rules}


def write_all(moment: Moment, file: Path) -> int:
    """One line of JSON per item known at the instant, in the order of their ids; their number."""
    items = 0
    with put_into_place(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        for item, rules in _answers(moment, Subject()):
            json.dump({"order_item_id": item, "rules": rules}, out, ensure_ascii=True, default=str)
            out.write("\n")
            items += 1
    return items


def _answers(moment: Moment, asked: Subject) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    rows = moment.answer(ANSWER, asked).iter_rows(named=True)
    ordered = sorted(rows, key=lambda row: (row["order_item_id"], ORDER[row["rule"]]))
    for item, of_item in groupby(ordered, key=lambda row: row["order_item_id"]):
        yield item, [_record(moment, row) for row in of_item]


def _record(moment: Moment, row: Row) -> dict[str, Any]:
    cycle: date | None = row["cycle"]
    return {
        "rule": row["rule"],
        "code": row["code"],
        "action": row["reference"],
        "claim": row["claim_id"],
        "cycle": cycle and cycle.isoformat(),
        "text": _in_words(moment, row),
    }


def _in_words(moment: Moment, row: Row) -> str:
    """Why, for people who decide claims; one line, with seller-supplied text made harmless."""
    policy, rule = moment.policy, row["rule"]

    def at(column: str) -> str:
        instant: datetime = row[column]
        return moment_in_words(instant, policy)

    match row["code"]:
        case "acted":
            return f"{row['reference']} of cycle {row['cycle']}"
        case "unknown":
            return f"the warehouse knows no such item at {moment_in_words(moment.at, policy)}"
        case "set_aside":
            return f"its row is set aside: {clean(row['faults'])}"
        case "no_event":
            return NO_EVENT[rule]
        case "cancelled_in_time":
            return f"cancelled at {at('cancelled_at')}, before its deadline{_deadline(row, at)}"
        case "in_time":
            return f"ready to ship at {at('ready_from')}, by its deadline{_deadline(row, at)}"
        case "not_due":
            return f"its deadline{_deadline(row, at)} is not reached yet"
        case "excused":
            return f"claim {clean(row['claim_id'])}, upheld, excuses the event of {at('event_at')}"
        case "new_seller":
            charge: CommissionCharge = getattr(policy, rule)
            days = charge.exempt_first_days.on(policy.local_date(row["event_at"]))
            return f"{at('event_at')} is within the seller's first {days} days"
        case "before_first_cycle":
            return f"its week is before this ledger's first cycle, {moment.first_cycle}"
        case "not_notified":
            return f"proven at {at('event_at')}, but its seller was never notified"
        case "evidence_open":
            if row["evidence_closes_at"] is None:
                return "the end of the seller's time for evidence is not known"
            return f"the seller may bring evidence until {at('evidence_closes_at')}"
        case "held":
            return f"claim {clean(row['claim_id'])} is complete and undecided"
        case "in_family":
            return IN_FAMILY[rule]
        case "no_amount":
            return f"the amount would be {policy.money(0 * row['amount'])}"
        case "too_late":
            days = policy.late_data.late_arrival_days.on(moment.next_cycle)
            return (
                f"the event of {at('event_at')} came to light more than {days} days after its "
                f"week: cycle {moment.next_cycle} does not take it in"
            )
        case "awaits_cycle":
            alert = moment_in_words(moment.alert_of(row["cycle"]), policy)
            return (
                f"{policy.money(row['amount'])} for the event of {at('event_at')} in cycle "
                f"{row['cycle']}, whose alert is due {alert}"
            )
        case code:
            raise AssertionError(f"no words for the code {code}")


def _deadline(row: Row, at: Any) -> str:
    """A deadline beyond the listed years has no instant."""
    return f" {at('deadline_at')}" if row["deadline_at"] is not None else ""
