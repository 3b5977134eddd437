"""Claims as lines of text for people, and as documents for tools.

Seller-supplied text is hostile: every such value is put on one line, without control characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, get_args

from vibes_pipeline.answers.claims.case import Action, Preview, Queued
from vibes_pipeline.answers.words import moment_in_words, wrapped
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.claims import ClaimField
from vibes_pipeline.rules import CHARGES

# A comment is shown whole up to here: a seller may write a book.
LONGEST_COMMENT = 4000
# What is shown as it stands; a comment may be long, and of attachments there may be many.
WRITTEN = [name for name in get_args(ClaimField) if name not in ("comment", "attachments")]


def in_brief(queued: Queued, policy: Policy) -> Iterator[str]:
    """A claim of the queue on a few lines."""
    waiting, claim, stated = queued.waiting, queued.waiting.claim, queued.stated
    waited = f"{counted(waiting.working_days, 'working day')} of {waiting.target_working_days}"
    yield (
        f"{clean(claim.claim_id)}  {claim.state}  {clean(claim.category or 'no category')}  "
        f"{waited}{', overdue' if waiting.is_overdue else ''}  "
        f"{policy.money(queued.at_stake)} at stake"
    )
    named = [
        f"{word} {clean(value)}"
        for word, value in (
            ("seller", claim.seller_id),
            ("shop", stated.shop_name if stated else None),
            ("order", claim.order_number),
            ("SKU", claim.sku),
            ("action", claim.action_reference),
        )
        if value is not None
    ]
    raised = "at an unknown time" if claim.raised_at is None else _at(claim.raised_at, policy)
    yield from wrapped(f"{', '.join([*named, 'raised ' + raised])}")
    if stated is None:
        yield "  the order warehouse does not hold it now"
    elif stated.comment:
        yield from wrapped(f"“{clean(stated.comment)}”")
    if attached := _attachments(queued):
        yield from wrapped(f"attached: {', '.join(attached)}")
    if queued.actions:
        yield from wrapped(f"about: {', '.join(_brief(a, policy) for a in queued.actions)}")
    if claim.recorded is not None:
        yield f"  {_recorded(queued, policy)}"


def in_full(queued: Queued, preview: Preview | None, policy: Policy) -> Iterator[str]:
    """One claim: what its seller wrote, and what upholding it would undo."""
    yield from in_brief(queued, policy)
    stated = queued.stated
    if stated is not None:
        yield ""
        yield "What the seller wrote"
        for name in WRITTEN:
            if (value := getattr(stated, name)) is not None:
                yield from wrapped(f"{name}: {clean(str(value))}")
        if stated.comment:
            yield from wrapped(f"comment: {clean(stated.comment, LONGEST_COMMENT)}")
    if preview is not None:
        yield ""
        yield from would_undo(preview, policy)


def would_undo(preview: Preview, policy: Policy) -> Iterator[str]:
    """What upholding would do, line by line."""
    yield "If it is upheld"
    if not preview.is_found:
        yield from wrapped(
            "it is about nothing that is found of its seller's: it would be shown as unmatched"
        )
    for excuse in preview.excuses:
        what = excuse.order_item_id and f"item {clean(excuse.order_item_id)}"
        what = what or f"order {clean(excuse.order_number or '')}"
        sku = f", SKU {clean(excuse.sku)}" if excuse.sku else ""
        yield from wrapped(f"excused: {', '.join(sorted(excuse.events))} of {what}{sku}")
    for action in preview.undone:
        yield f"  {action['becomes']}: {_brief(action, policy)}"
    for action in preview.staying:
        yield f"  stays, as it comes out the same without it: {_brief(action, policy)}"
    if not preview.undone:
        yield "  no action is undone"
    yield f"  {policy.money(preview.amount)} withdrawn or credited"


def document(queued: Queued, policy: Policy) -> dict[str, Any]:
    """A claim of the queue for tools: local instants with their offset, money as text."""
    waiting, claim, stated = queued.waiting, queued.waiting.claim, queued.stated
    return {
        "claim_id": claim.claim_id,
        "state": claim.state,
        "category": claim.category,
        "seller_id": claim.seller_id,
        "raised_at": _iso(claim.raised_at, policy),
        "taken_in_at": _iso(claim.taken_in_at, policy),
        "working_days_waited": waiting.working_days,
        "target_working_days": waiting.target_working_days,
        "is_overdue": waiting.is_overdue,
        "at_stake": str(queued.at_stake),
        **{name: _text(getattr(stated, name, None)) for name in (*WRITTEN, "comment")},
        "attachments": [*(stated.attachments or ())] if stated else [],
        "is_in_warehouse": stated is not None,
        "actions": [_action(a) for a in queued.actions],
        "recorded": None
        if claim.recorded is None
        else {
            "decision": claim.recorded,
            "decided_at": _iso(claim.recorded_at, policy),
            "decided_by": claim.recorded_by,
            "note": claim.note,
        },
    }


def preview_document(preview: Preview) -> dict[str, Any]:
    """What upholding would do, for tools."""
    return {
        "is_found": preview.is_found,
        "excuses": [
            {
                "order_item_id": e.order_item_id,
                "order_number": e.order_number,
                "sku": e.sku,
                "events": sorted(e.events),
            }
            for e in preview.excuses
        ],
        "undone": [_action(a) | {"becomes": a["becomes"]} for a in preview.undone],
        "staying": [_action(a) for a in preview.staying],
        "amount": str(preview.amount),
    }


def _attachments(queued: Queued) -> Sequence[str]:
    named = queued.stated.attachments if queued.stated else None
    return [clean(name) for name in named or () if name and name.strip()]


def _recorded(queued: Queued, policy: Policy) -> str:
    claim = queued.waiting.claim
    applied = "" if claim.recorded == claim.state else "; the next claims slot applies it"
    note = f" (“{clean(claim.note)}”)" if claim.note else ""
    when = "" if claim.recorded_at is None else f" at {_at(claim.recorded_at, policy)}"
    return f"{claim.recorded} by {clean(claim.recorded_by or '')}{when}{note}{applied}"


def _brief(action: Action, policy: Policy) -> str:
    amount = f" of {policy.money(action['amount'])}" if action["rule"] in CHARGES else ""
    return f"{action['reference']} {action['rule']}{amount} ({action['state']})"


def _action(action: Action) -> dict[str, Any]:
    return {
        "reference": action["reference"],
        "rule": action["rule"],
        "state": action["state"],
        "amount": _text(action["amount"]),
    }


def _at(instant: datetime, policy: Policy) -> str:
    return moment_in_words(instant, policy)


def _iso(instant: datetime | None, policy: Policy) -> str | None:
    return None if instant is None else instant.astimezone(policy.time_zone).isoformat()


def _text(value: object) -> str | None:
    return None if value is None else str(value)
