"""Whether a delivery is fast enough for its alerts to be accepted in time (Rulebook §2).

Here belongs the warning, while something can still be done. What becomes of an alert that is
accepted too late is the ledger's matter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

# A rate is taken from the last so many seconds, and told of for the first time after them.
MEASURED_SECONDS = 30.0


@dataclass
class Watch:
    """Looks at how many mails are left and by when the last of them will be sent; warns once."""

    limit: datetime | None

    def __post_init__(self) -> None:
        self._since: tuple[float, int] | None = None

    def warning(self, left: int, now: datetime) -> str | None:
        """What to tell, if at the present rate not all are sent by the limit; None otherwise."""
        if self.limit is None or not left:
            return None
        if self._since is None:
            self._since = (time.monotonic(), left)
        began_at, left_then = self._since
        seconds, sent = time.monotonic() - began_at, left_then - left
        if seconds < MEASURED_SECONDS:
            return None
        self._since = (time.monotonic(), left)
        if now >= self.limit or (sent > 0 and now + left * _apart(seconds, sent) <= self.limit):
            return None
        limit, self.limit = self.limit, None
        last_at = f"goes out about {now + left * _apart(seconds, sent):%H:%M}" if sent else "waits"
        return (
            f"at {sent / seconds:.3g} mails a second the last of {left:,} {last_at}, and to give "
            f"its notice an alert must be accepted by {limit:%H:%M}: see to the relay, or raise "
            "VIBES_SMTP_RATE or VIBES_SMTP_CONNECTIONS and run the slot again; what is accepted "
            "later waits for a later implementation"
        )


def _apart(seconds: float, sent: int) -> timedelta:
    return timedelta(seconds=seconds / sent)
