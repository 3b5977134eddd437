"""The definitions as Dagster would load them on another day, or by another policy."""

from __future__ import annotations

import sys
from datetime import datetime
from importlib import import_module

import dagster as dg
import pytest
from ledger import made

from vibes_pipeline.clock import WallClock

DEFINITIONS = "vibes_pipeline.definitions"


def tick(definitions: dg.Definitions, schedule: str, at: datetime) -> dg.RunRequest | dg.SkipReason:
    """What a schedule answers at a time of its cron line."""
    context = dg.build_schedule_context(scheduled_execution_time=at, resources=country(definitions))
    outcome = definitions.resolve_schedule_def(schedule)(context)
    assert isinstance(outcome, dg.RunRequest | dg.SkipReason)
    return outcome


def country(definitions: dg.Definitions) -> dict[str, object]:
    """The resource of sensors and schedules, which Dagster hands them at each tick."""
    return {"country": (definitions.resources or {})["country"]}


def turn_clock_to(at: str, patch: pytest.MonkeyPatch) -> None:
    """Let the wall clock show a local time."""
    patch.setattr(WallClock, "now", lambda _: made.local(at))


def definitions_at(at: str, patch: pytest.MonkeyPatch) -> dg.Definitions:
    """Load them anew at a local time."""
    turn_clock_to(at, patch)
    forget(patch)
    definitions: dg.Definitions = import_module(DEFINITIONS).definitions
    return definitions


def forget(patch: pytest.MonkeyPatch) -> None:
    """Let the modules be imported anew; those that others have imported come back with the test."""
    for name in [*sys.modules]:
        if name == DEFINITIONS or name.startswith("vibes_pipeline.defs"):
            patch.delitem(sys.modules, name)
    patch.delattr("vibes_pipeline.defs", raising=False)
    patch.delattr(DEFINITIONS, raising=False)
