"""One action, from the row in the warehouse to the mail, the posting and the reversal (§14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from email.headerregistry import Address
from typing import Any
from uuid import UUID

from vibes_pipeline.answers.arithmetic import expression
from vibes_pipeline.answers.clauses import clause
from vibes_pipeline.answers.evidence import shown_now
from vibes_pipeline.answers.moment import Moment
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger import inquiry
from vibes_pipeline.ledger.actions import SHOWN_COLUMNS
from vibes_pipeline.notices.address import message_id, sender_address
from vibes_pipeline.policy import Policy
from vibes_pipeline.slots.claims.recompute import policy_decided_under


@dataclass(frozen=True)
class Explained:
    """An action as the ledger has it, the policy it was decided under, and its document.

    The document has `action`, `clause`, `facts`, `arithmetic`, `events`, `notices`, `postings`,
    `claims` and `now`; instants are ISO 8601 with their offset, money is text.
    """

    action: Mapping[str, Any]
    policy: Policy
    document: dict[str, Any]


def explain(moment: Moment, name: str) -> list[Explained]:
    """The actions of a reference, or of an action's, posting's, notice's or claim's id.

    `UsageError` when the ledger knows nothing of that name; none for a claim about no action.
    """
    ledger, present = moment.ledger, moment.policy
    with ledger.reading() as connection:
        ids = inquiry.named(connection, ledger.country, name)
        if ids is None:
            raise UsageError(
                f"the ledger knows no action, posting, notice or claim {name!r}; `vibes explain "
                "item ID` says why an item was not charged"
            )
        actions = inquiry.actions(connection, ids)
        policies = {
            version: policy_decided_under(connection, present, version)
            for version in {action["policy_version"] for action in actions}
        }
        told = {
            "events": inquiry.events(connection, ids),
            "notices": inquiry.notices(connection, ids),
            "postings": inquiry.posted(connection, ids),
            "claims": inquiry.claims(connection, ids),
        }
    now = shown_now(moment, actions)
    sender = sender_address(moment.settings.sender)
    explained = []
    for action in actions:
        number, policy = action["action_id"], policies[action["policy_version"]]
        rows = {part: [*by_action.get(number, ())] for part, by_action in told.items()}
        rows["notices"] = [_mail(notice, sender) for notice in rows["notices"]]
        document = {
            "action": {column: action[column] for column in SHOWN_COLUMNS},
            "clause": clause(action, policy),
            "facts": action["evidence"],
            "arithmetic": expression(action, policy),
            **rows,
            "now": now.get(number),
        }
        explained.append(Explained(action, policy, _plain(document, present)))
    return explained


def _mail(notice: Mapping[str, Any], sender: Address) -> dict[str, Any]:
    return {
        "kind": notice["kind"],
        "message_id": message_id(notice["notice_id"], sender),
        "status": notice["status"],
        "at": notice["at"],
    }


def _plain(value: Any, policy: Policy) -> Any:
    """What JSON holds: local instants with their offset, money and ids as text."""
    match value:
        case Mapping():
            return {key: _plain(part, policy) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part, policy) for part in value]
        case datetime():
            return value.astimezone(policy.time_zone).isoformat()
        case date():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
    return value
