"""How answers put instants into words, and words into lines."""

from __future__ import annotations

from datetime import datetime
from textwrap import wrap

from vibes_pipeline.policy import Policy

WIDTH = 100


def moment_in_words(instant: datetime, policy: Policy) -> str:
    """A local time, such as `Wed 2026-11-18 07:00`; with seconds where there are any."""
    local = instant.astimezone(policy.time_zone)
    is_even = not (local.second or local.microsecond)
    return f"{local:%a %Y-%m-%d} {f'{local:%H:%M}' if is_even else local.time().isoformat()}"


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """A long text as lines that a terminal shows whole."""
    return wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
