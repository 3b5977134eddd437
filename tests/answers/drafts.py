"""Draft policies that simulations try, and the settings of a home over a warehouse."""

from __future__ import annotations

from pathlib import Path

from policy.amendments import NG

from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.loader import parse_policy
from vibes_pipeline.settings import Settings


def draft(*changes: tuple[str, str], name: str = "draft.yaml") -> Policy:
    """Nigeria's policy with words of its text replaced, each of which stands there once or more."""
    text = NG
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return parse_policy(Path(name), text)


# The out-of-stock cap, the second band, a return's charge.
AMENDED = draft(
    ("value: 2500", "value: 2000"),
    ("daily_share_pct: 75", "daily_share_pct: 60"),
    ('value: 1500\n          reference: {document: V, sentence: "Wrong item N1,500 Fulfilled an item different from what was ordered."}',
     'value: 2000\n          reference: {document: V, sentence: "Wrong item N1,500 Fulfilled an item different from what was ordered."}'),
)  # fmt: skip


def settings_of(home: Path, warehouse: Path) -> Settings:
    return Settings.from_environment({"VIBES_HOME": str(home), "VIBES_WAREHOUSE": str(warehouse)})
