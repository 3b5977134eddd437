"""The instant that an answer is of."""

from __future__ import annotations

from datetime import datetime

from vibes_pipeline.calendar import parse_local
from vibes_pipeline.clock import WallClock
from vibes_pipeline.ledger.as_of import present
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy


def asked_instant(text: str | None, ledger: Ledger, policy: Policy) -> datetime:
    """A local time, or without one what time it is for the ledger; local.

    That is the wall clock's for a live ledger, the instant of its newest slot for a simulated one.
    `UsageError` for a text that is no time.
    """
    if text is not None:
        return parse_local(text, policy.time_zone)
    return (present(ledger) or WallClock().now()).astimezone(policy.time_zone)
