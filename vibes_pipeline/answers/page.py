"""An explained action as lines of text, for people who decide claims.

Seller-supplied text is hostile: every such value is put on one line, without control characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from vibes_pipeline.answers.actions import Explained
from vibes_pipeline.answers.arithmetic import written_out
from vibes_pipeline.answers.words import moment_in_words, wrapped
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.policy import Policy

SUBJECTS = {
    "seller_id": "seller",
    "order_number": "order",
    "order_item_id": "item",
    "sku": "SKU",
    "cycle": "cycle",
}
NOW = {
    "shown": "the warehouse shows the event still",
    "contradicted": "the warehouse shows the item, but the event is no longer true of it",
    "missing": "the row that the event rests on is not in the warehouse, or is set aside",
}


def lines(explained: Explained) -> Iterator[str]:
    """What is known of the action, part by part."""
    document, policy = explained.document, explained.policy
    action = document["action"]
    yield f"{action['reference']}  {document['clause']['title']}  {action['state']}"
    named = [f"{word} {clean(action[c])}" for c, word in SUBJECTS.items() if action[c] is not None]
    yield f"  {', '.join(named)}"
    yield ""
    yield "Why"
    yield from wrapped(f"“{document['clause']['words']}”")
    yield from (f"  {line}" for line in written_out(explained.action, policy))
    yield ""
    yield "Policy values that decided it"
    for value in document["clause"]["values"]:
        given = clean(_value(value["value"]))
        yield f"  {value['key']} = {given} ({value['unit']}), since {value['from']}"
        for reference in value["references"]:
            yield from wrapped(f"{reference['document']}: {reference['sentence']}", "      ")
    yield ""
    yield "Facts, as they were frozen"
    if explained.action["event_at"] is not None:
        yield f"  event_at: {moment_in_words(explained.action['event_at'], policy)}"
    for name, value in sorted(document["facts"].items()):
        yield f"  {name}: {_fact(value, policy)}"
    yield from _table("Events", [_event(row, policy) for row in document["events"]])
    yield from _table("Mails", [_mail(row, policy) for row in document["notices"]])
    yield from _table("Postings", [_posting(row, policy) for row in document["postings"]])
    yield from _table("Claims", [_claim(row, policy) for row in document["claims"]])
    if document["now"] is not None:
        yield ""
        yield "Now"
        yield f"  {document['now']}: {NOW[document['now']]}"


def _table(title: str, rows: list[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from (f"  {row}" for row in rows or ["none"])


def _event(row: Mapping[str, Any], policy: Policy) -> str:
    return f"{_at(row['at'], policy)}  {row['state']:<12} {clean(row['cause'])}"


def _mail(row: Mapping[str, Any], policy: Policy) -> str:
    return f"{_at(row['at'], policy)}  {row['status']:<12} {row['kind']}  {row['message_id']}"


def _posting(row: Mapping[str, Any], policy: Policy) -> str:
    claim = f", claim {clean(row['claim_id'])}" if row["claim_id"] is not None else ""
    amount = policy.money(Decimal(row["amount"]))
    return (
        f"{_at(row['posted_at'], policy)}  {row['kind']:<12} {amount}, "
        f"statement of {row['statement_period']}{claim}"
    )


def _claim(row: Mapping[str, Any], policy: Policy) -> str:
    when = "" if row["raised_at"] is None else f", raised {_at(row['raised_at'], policy)}"
    decided = f", decided {_at(row['decided_at'], policy)}" if row["decided_at"] else ""
    category = clean(row["category"] or "no category")
    return f"{clean(row['claim_id'])}: {category}, {row['state']}{when}{decided}"


def _at(instant: str, policy: Policy) -> str:
    return moment_in_words(datetime.fromisoformat(instant), policy)


def _fact(value: Any, policy: Policy) -> str:
    """A frozen value; an instant is shown as a local time."""
    if isinstance(value, str) and "T" in value:
        try:
            return _at(value, policy)
        except ValueError:
            pass
    return "none" if value is None else clean(str(value))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
