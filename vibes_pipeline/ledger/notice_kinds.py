"""The kinds of notice: which there are, which are alerts, and which each slot sends (Rulebook §2).

A kind names the pair of templates in `email_templates/` that words it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from vibes_pipeline.calendar import Slot


class NoticeKind(StrEnum):
    """What a seller is written to about."""

    WEEKLY_ALERT = "weekly_alert"
    WEEKLY_IMPLEMENTATION = "weekly_implementation"
    LATE_ALERT = "late_alert"
    LATE_CANCELLATION = "late_cancellation"
    CLAIM_RECEIPT = "claim_receipt"
    CLAIM_OUTCOME = "claim_outcome"


# Those whose acceptance gives an action its notice.
ALERTS = frozenset({NoticeKind.WEEKLY_ALERT, NoticeKind.LATE_ALERT})

# The claims slot sends two kinds, as claims come and are decided.
KIND_OF_SLOT: Mapping[Slot, NoticeKind] = {
    Slot.WEEKLY_ALERT: NoticeKind.WEEKLY_ALERT,
    Slot.WEEKLY_IMPLEMENTATION: NoticeKind.WEEKLY_IMPLEMENTATION,
    Slot.LATE_ALERT: NoticeKind.LATE_ALERT,
    Slot.LATE_CANCELLATION: NoticeKind.LATE_CANCELLATION,
}
