"""The states of actions and of notices, and the sets of them that rules speak of (§1, §2, §12).

Here belong the words alone. When a state is entered is in `proposals`, `implementation`, `claims`
and `notices`; the constraints that hold the same words are in `migrations`.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Of an action, in the order in which it may enter them."""

    PROPOSED = "proposed"
    ALERTED = "alerted"
    IMPLEMENTED = "implemented"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REVERSED = "reversed"


# Not implemented yet, and may still be.
OPEN = (State.PROPOSED, State.ALERTED)
STANDING = (*OPEN, State.IMPLEMENTED)
# Cancelled, by a claim or for another cause: before implementation, or after it.
CANCELLED = (State.WITHDRAWN, State.REVERSED)


class Status(StrEnum):
    """Of a notice: the outcome of its last attempt, `queued` before the first."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNDELIVERABLE = "undeliverable"
    UNKNOWN = "unknown"
    STORED = "stored"


# Refused for good, or without an address to try: until the one in the warehouse is mended.
REFUSED = (Status.FAILED, Status.UNDELIVERABLE)
# No server has accepted it.
NOT_SENT = tuple(status for status in Status if status is not Status.SENT)
