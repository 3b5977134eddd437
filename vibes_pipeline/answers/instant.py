"""The instant that an answer is of."""

from __future__ import annotations

from datetime import datetime

from vibes_pipeline.calendar import parse_local
from vibes_pipeline.clock import WallClock
from vibes_pipeline.ledger.as_of import present
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.recorded import newest_at
from vibes_pipeline.policy import Policy


def asked_instant(text: str | None, ledger: Ledger, policy: Policy) -> datetime:
    """A local time, or without one what time it is for the ledger; local.

    That is the wall clock's for a live ledger, the instant of its newest slot for a simulated one.
    `UsageError` for a text that is no time.
    """
    if text is not None:
        return parse_local(text, policy.time_zone)
    return (present(ledger) or WallClock().now()).astimezone(policy.time_zone)


def latest_instant(ledger: Ledger, policy: Policy) -> datetime:
    """What time it is for those who decide: now; for a simulated ledger that of its newest event.

    A decision that was recorded last is seen, whether a slot has applied it or not.
    """
    newest = (ledger.newest_event_at(), newest_at(ledger))
    now = asked_instant(None, ledger, policy)
    return max([now, *(at.astimezone(policy.time_zone) for at in newest if at is not None)])
