"""A wall clock that went back: nothing is requested, and each tick says why (Rulebook §2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from defs import loaded
from defs.factory import Factory
from ledger import made
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import TIMED_SLOTS, Slot
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import sensors
from vibes_pipeline.defs.jobs import JOBS


@pytest.fixture
def ahead(factory: Factory) -> datetime:
    """The instant of an event that the clock has yet to pass; live for three weeks."""
    at = datetime.now(UTC) + timedelta(weeks=2)
    opened_at = at - timedelta(weeks=5)
    with factory.ledger.writing(is_simulated=False, now=opened_at) as connection:
        made.claim(connection, "C-1", "S-1", at)
    return at


def is_told(skipped: object, ahead: datetime) -> bool:
    assert isinstance(skipped, dg.SkipReason)
    newest = f"{ahead.astimezone(made.LAGOS):%Y-%m-%d %H:%M:%S}"
    return f"the ledger of NG has an event of {newest} already" in (skipped.skip_message or "")


@pytest.mark.parametrize("sensor", sensors.SENSORS[:3], ids=lambda sensor: sensor.name)
def test_no_sensor_requests_a_run(
    factory: Factory, ahead: datetime, sensor: dg.SensorDefinition
) -> None:
    factory.market.write(factory.folder / "raw")
    context = dg.build_sensor_context(
        instance=factory.instance, resources=loaded.country(definitions)
    )
    assert is_told(sensor(context), ahead)


@pytest.mark.parametrize("slot", TIMED_SLOTS)
def test_no_schedule_does(factory: Factory, ahead: datetime, slot: Slot) -> None:
    now = datetime.now(UTC)
    (due, *_) = NIGERIA.slot_calendar.due_between(now, now + timedelta(days=8), (slot,))
    assert is_told(loaded.tick(definitions, JOBS[slot].name, due.due_at), ahead)
