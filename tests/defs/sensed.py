"""What sensors look at: a ledger with the past of its slots, an instance of Dagster with its runs.

Sensors and schedules read the wall clock: pasts are relative to the present.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from defs import loaded, origins
from rules.marketplace import NIGERIA, Marketplace

from vibes_pipeline.calendar import Slot
from vibes_pipeline.dagster_host import in_process
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import operators, sensors
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots.catch_up import PUNCTUAL

CALENDAR = NIGERIA.slot_calendar
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
WEEKLY = (Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION)
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
OPERATORS = ("night@operators.example", "day@operators.example")
_numbers = itertools.count()


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Daemon:
    """What the daemon has: a ledger, the past of its slots, an instance, sensors to evaluate."""

    ledger: Ledger
    folder: Path
    instance: dg.DagsterInstance
    market: Marketplace = field(default_factory=Marketplace)

    def open(self, opened_at: datetime, *, is_simulated: bool = False) -> None:
        with self.ledger.writing(is_simulated=is_simulated, now=opened_at):
            pass

    def finish(self, slot: Slot, period: date) -> None:
        """As if the slot had run when it was due."""
        due_at = CALENDAR.due_at(slot, period)
        with self.ledger.writing(is_simulated=False, now=due_at) as connection:
            self.ledger.record_effects(connection, slot, period, due_at, due_at)
        self.ledger.record_finished(slot, period, due_at)

    def evaluate(self, sensor: dg.SensorDefinition, cursor: str | None = None) -> Any:
        context = dg.build_sensor_context(
            instance=self.instance, cursor=cursor, resources=loaded.country(definitions)
        )
        return sensor(context)

    def requested(self) -> list[tuple[str | None, str | None]]:
        """Job and partition of what `catch_up` asks for now."""
        outcome = self.evaluate(sensors.catch_up)
        if isinstance(outcome, dg.SkipReason):
            return []
        return [(r.job_name, r.partition_key) for r in outcome.run_requests or []]

    def weekly(self) -> list[tuple[str | None, str | None]]:
        """Of these the weekly slots."""
        return [(job, period) for job, period in self.requested() if "weekly" in str(job)]

    def ran(
        self,
        slot: Slot,
        period: date,
        status: dg.DagsterRunStatus,
        ended_ago: timedelta = timedelta(),
    ) -> dg.DagsterRun:
        """A run of the slot, as Dagster's storage would have it."""
        run = dg.DagsterRun(
            job_name=JOBS[slot].name,
            run_id=f"00000000-0000-4000-8000-{next(_numbers):012}",
            status=dg.DagsterRunStatus.STARTED if status in FINISHED else status,
            tags={"dagster/partition": period.isoformat()},
            remote_job_origin=origins.of_job(JOBS[slot].name),
        )
        self.instance.add_run(run)
        if status in FINISHED:
            kind = dg.DagsterEventType(f"PIPELINE_{status.value}")
            ended = dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name)
            self.instance.report_dagster_event(
                ended, run.run_id, timestamp=(now() - ended_ago).timestamp()
            )
        return run

    def fail(self) -> VibesError:
        """Run the weekly alert that is due, which must fail; its error."""
        with pytest.raises(VibesError) as failed:
            self.run(Slot.WEEKLY_ALERT)
        return failed.value

    def run(self, slot: Slot) -> None:
        """The slot that was due last, over the marketplace as it stands."""
        self.market.write(self.folder / "raw")
        in_process.run_slot(slot, CALENDAR.period_of(slot, now()), self.instance)

    def deliver(self) -> None:
        """The job that `undelivered_notices` asks for."""
        self.market.write(self.folder / "raw")
        assert (
            definitions.resolve_job_def("notice_delivery")
            .execute_in_process(instance=self.instance)
            .success
        )

    def tell(self) -> Any:
        """Evaluate `failed_runs` for the newest run."""
        run = self.instance.get_runs(limit=1)[0]
        (failure,) = [
            entry.get_dagster_event()
            for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        ]
        context = dg.build_run_status_sensor_context(
            "failed_runs",
            dagster_event=failure,
            dagster_instance=self.instance,
            dagster_run=run,
            resources=loaded.country(definitions),
        ).for_run_failure()
        return operators.failed_runs(context)


def missed_weekly_slots(
    count: int, by_their_schedules_ago: timedelta = PUNCTUAL
) -> list[tuple[Slot, date]]:
    """The weekly slots that were due last, oldest first; by default none its schedule may run."""
    until = now() - by_their_schedules_ago
    due = CALENDAR.due_between(now() - 3 * WEEK, until, WEEKLY)
    return [(d.slot, d.period) for d in due[-count:]]


def named(slot: Slot, period: date) -> tuple[str, str]:
    return JOBS[slot].name, period.isoformat()


def open_before(daemon: Daemon, slot: Slot, period: date) -> None:
    daemon.open(CALENDAR.due_at(slot, period) - timedelta(minutes=1))
