"""Why something waits, and what people are told of each cause (Rulebook §17)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why something waits; in the order in which people are told."""

    SLOTS_LATE = "slots_late"
    CLAIMS_OVER_TARGET = "claims_over_target"
    CLAIMS_WITHIN_TARGET = "claims_within_target"
    ACCOUNT_REVIEWS = "account_reviews"
    UNDECIPHERABLE = "undecipherable"
    UNMATCHED_CLAIMS = "unmatched_claims"
    MISSING_EVIDENCE = "missing_evidence"
    COUNTERFEITS_NOT_NOTIFIED = "counterfeits_not_notified"
    NOTICES_WITHOUT_ADDRESS = "notices_without_address"
    NOTICES_REFUSED = "notices_refused"
    NOTICES_UNKNOWN = "notices_unknown"
    NOTICES_STORED = "notices_stored"
    NOTICES_DEFERRED = "notices_deferred"
    COUNTERFEITS_HELD = "counterfeits_held"
    OLDER_OPEN_ITEMS = "older_open_items"
    BAD_ROWS = "bad_rows"


@dataclass(frozen=True)
class Told:
    """What people are told of a cause: what waits, and the command that shows it or ends it.

    `one` and `several` follow a count.
    """

    one: str
    several: str
    look_at: str
    is_for_a_person: bool = True


CLAIMS, REVIEWS = "vibes claims", "vibes reviews"
NOTICES = "vibes export notices --out notices.csv"
TOLD: Mapping[Cause, Told] = {
    Cause.SLOTS_LATE: Told("slot due and not done", "slots due and not done", "vibes run SLOT"),
    Cause.CLAIMS_OVER_TARGET: Told(
        "claim undecided for longer than the target",
        "claims undecided for longer than the target",
        CLAIMS,
    ),
    Cause.CLAIMS_WITHIN_TARGET: Told(
        "claim undecided, within the target", "claims undecided, within the target", CLAIMS
    ),
    Cause.ACCOUNT_REVIEWS: Told(
        "seller listed for a review of their account",
        "sellers listed for a review of their account",
        REVIEWS,
    ),
    Cause.UNDECIPHERABLE: Told(
        "claim or decision that cannot be read",
        "claims and decisions that cannot be read",
        "vibes sql \"FROM ledger.undecipherable_states WHERE state <> 'corrected'\"",
    ),
    Cause.UNMATCHED_CLAIMS: Told(
        "claim upheld about nothing that was found",
        "claims upheld about nothing that was found",
        'vibes sql "FROM ledger.claim_states WHERE NOT is_matched"',
    ),
    Cause.MISSING_EVIDENCE: Told(
        "action that awaits its evidence",
        "actions that await their evidence",
        'vibes sql "FROM ledger.awaiting_evidence"',
    ),
    Cause.COUNTERFEITS_NOT_NOTIFIED: Told(
        "counterfeit that is never charged, for its seller was not notified",
        "counterfeits that are never charged, for their seller was not notified",
        "vibes report",
    ),
    Cause.NOTICES_WITHOUT_ADDRESS: Told(
        "notice without a usable address: mend it in the warehouse",
        "notices without a usable address: mend it in the warehouse",
        NOTICES,
    ),
    Cause.NOTICES_REFUSED: Told(
        "notice refused for good: mend the address in the warehouse",
        "notices refused for good: mend the address in the warehouse",
        NOTICES,
    ),
    Cause.NOTICES_UNKNOWN: Told(
        "notice whose answer was lost twice: ask the relay's log",
        "notices whose answer was lost twice: ask the relay's log",
        "vibes mail resend --status unknown",
    ),
    Cause.NOTICES_STORED: Told(
        "notice in the mail folder: set VIBES_SMTP_URL to send it",
        "notices in the mail folder: set VIBES_SMTP_URL to send them",
        "vibes mail resend --status stored",
    ),
    Cause.NOTICES_DEFERRED: Told(
        "notice on its way: tried again by itself",
        "notices on their way: tried again by themselves",
        NOTICES,
        is_for_a_person=False,
    ),
    Cause.COUNTERFEITS_HELD: Told(
        "counterfeit on hold until its claim is decided",
        "counterfeits on hold until their claim is decided",
        "vibes export held_counterfeit_cases --out held.csv",
        is_for_a_person=False,
    ),
    Cause.OLDER_OPEN_ITEMS: Told(
        "item open for longer than late orders look back",
        "items open for longer than late orders look back",
        "vibes report",
        is_for_a_person=False,
    ),
    Cause.BAD_ROWS: Told(
        "row of the warehouse set aside as bad",
        "rows of the warehouse set aside as bad",
        "vibes export quarantine --out bad.csv",
        is_for_a_person=False,
    ),
}
