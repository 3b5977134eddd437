"""Nigeria's policy with further dated values, as a policy owner would add them."""

from __future__ import annotations

import re
from pathlib import Path

from vibes_pipeline.policy import Policy, loader
from vibes_pipeline.policy.loader import parse_policy

NG = Path(loader.__file__).with_name("ng.yaml").read_text(encoding="utf-8")
# The line after a parameter's values: blank, or a key that stands no deeper than the parameter.
_END = re.compile(r"\n(?=\n| {0,2}\S)")


def amended_text(*amendments: tuple[str, str, str]) -> str:
    """Each amendment is a parameter's key, a day, and the value that holds from it on."""
    text = NG
    for key, day, value in amendments:
        group, name = key.split(".")
        at = text.index(f"\n  {name}:\n", text.index(f"\n{group}:\n")) + 1
        end = _END.search(text, at)
        assert end is not None
        reference = f"{{document: Decision, sentence: {name} as of {day}}}"
        line = f"\n      - {{from: {day}, value: {value}, reference: {reference}}}"
        text = text[: end.start()] + line + text[end.start() :]
    return text


def amended_policy(*amendments: tuple[str, str, str]) -> Policy:
    return parse_policy(Path("amended.yaml"), amended_text(*amendments))
