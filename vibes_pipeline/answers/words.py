"""How answers put instants into words."""

from __future__ import annotations

from datetime import datetime

from vibes_pipeline.policy import Policy


def moment_in_words(instant: datetime, policy: Policy) -> str:
    """A local time, such as `Wed 2026-11-18 07:00`; with seconds where there are any."""
    local = instant.astimezone(policy.time_zone)
    is_even = not (local.second or local.microsecond)
    return f"{local:%a %Y-%m-%d} {f'{local:%H:%M}' if is_even else local.time().isoformat()}"
