"""The definitions as Dagster would load them on another day, or by another policy."""

from __future__ import annotations

import sys
from importlib import import_module

import dagster as dg
import pytest
from ledger import made

from vibes_pipeline.clock import WallClock

DEFINITIONS = "vibes_pipeline.definitions"


def turn_clock_to(at: str, patch: pytest.MonkeyPatch) -> None:
    """Let the wall clock show a local time."""
    patch.setattr(WallClock, "now", lambda _: made.local(at))


def definitions_at(at: str, patch: pytest.MonkeyPatch) -> dg.Definitions:
    """Load them anew at a local time; those that others have imported come back with the test."""
    turn_clock_to(at, patch)
    for name in [*sys.modules]:
        if name == DEFINITIONS or name.startswith("vibes_pipeline.defs"):
            patch.delitem(sys.modules, name)
    patch.delattr("vibes_pipeline.defs", raising=False)
    patch.delattr(DEFINITIONS, raising=False)
    definitions: dg.Definitions = import_module(DEFINITIONS).definitions
    return definitions
