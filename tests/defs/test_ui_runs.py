"""Runs as the UI starts them, of assets selected in the graph: a whole slot, or refused (§2).

The location's own executor runs them. A run that is refused ends before its first step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg
import pytest
from cli import troubles
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from defs.factory import Factory
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.defs.slot_assets import (
    CLAIMS_STEP,
    OF_SLOT,
    PARTITION_TAG,
    RANGE_TAGS,
    wanted_of,
)
from vibes_pipeline.errors import VibesError

CYCLE = {PARTITION_TAG: troubles.CYCLE}
ALERT = OF_SLOT[Slot.WEEKLY_ALERT]
IMPLEMENTATION = OF_SLOT[Slot.WEEKLY_IMPLEMENTATION]
GRAPH = definitions.resolve_job_def("__ASSET_JOB")


def keys(*names: str) -> frozenset[dg.AssetKey]:
    return frozenset(dg.AssetKey(name.split("/")) for name in names)


def launch(
    factory: Factory,
    selected: Collection[dg.AssetKey],
    at: str = troubles.ALERT_AT,
    tags: Mapping[str, str] = CYCLE,
) -> dg.DagsterRun:
    """Materialize assets as the UI does: a run of its own, by the executor of the location."""
    factory.market.write(factory.folder / "raw")
    subset = GRAPH.get_subset(asset_selection=set(selected))
    run = factory.instance.create_run_for_job(
        subset,
        run_config={"resources": {"vibes": {"config": {"at": at}}}},
        asset_selection=frozenset(selected),
        tags=dict(tags),
    )
    execute_run(InMemoryJob(subset), run, factory.instance)
    ended = factory.instance.get_run_by_id(run.run_id)
    assert ended is not None
    return ended


def events(factory: Factory, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    """The newest run's events of a kind."""
    found = (entry.dagster_event for entry in factory.log())
    return [event for event in found if event is not None and event.event_type is kind]


def test_a_whole_slot_selected_in_the_graph_is_one_run_of_one_instant(factory: Factory) -> None:
    assert launch(factory, ALERT).status is dg.DagsterRunStatus.SUCCESS
    assert len(events(factory, dg.DagsterEventType.RESOURCE_INIT_SUCCESS)) == 1, (
        "one instant, and one lock from the first step to the last"
    )
    assert set(made.states(factory.ledger).values()) == {"alerted"}
    tags = factory.instance.get_runs(limit=1)[0].tags
    assert (tags["vibes/slot"], tags["vibes/period"]) == ("weekly-alert", troubles.CYCLE)
    # What only shows what was done may be made again by itself.
    factory.past_implementation()
    before = made.counts(factory.ledger)
    shown = keys("finance/charges", "reports/week")
    again = launch(factory, shown, troubles.IMPLEMENTATION_AT)
    assert again.status is dg.DagsterRunStatus.SUCCESS
    assert factory.materialized() == {"finance/charges", "reports/week"}
    assert made.counts(factory.ledger) == before


WHOLE = "a slot is done as a whole, and this run is of {} of the {} assets of {}: start the job "
TWO = "a run does one slot, and these assets are of {} and {}: start the jobs {} and {}, one after"
ONE_PERIOD = "a run does one period of weekly-alert: start the job weekly_alert with one partition"

REFUSED = [
    pytest.param(
        keys("notices/weekly_alerts"),
        *(CYCLE, WHOLE.format(1, len(ALERT), "weekly-alert")),
        id="alerts before the cycle is frozen",
    ),
    pytest.param(
        ALERT - keys("notices/weekly_alerts"),
        *(CYCLE, WHOLE.format(len(ALERT) - 1, len(ALERT), "weekly-alert")),
        id="all but the alerts",
    ),
    pytest.param(
        keys("enforcement/implementation"),
        *(CYCLE, WHOLE.format(1, len(IMPLEMENTATION), "weekly-implementation")),
        id="an implementation without its evidence",
    ),
    pytest.param(
        keys("late_orders/cancellations", "notices/late_cancellation_mails"),
        {PARTITION_TAG: "2026-11-18"},
        "a slot is done as a whole, and this run is of 2 of the 4 assets of late-cancellation: ",
        id="cancellations of yesterday's outcomes",
    ),
    pytest.param(
        ALERT | IMPLEMENTATION,
        CYCLE,
        TWO.format(
            "weekly-alert", "weekly-implementation", "weekly_alert", "weekly_implementation"
        ),
        id="both weekly slots",
    ),
    pytest.param(
        ALERT | keys("claims/claims"),
        CYCLE,
        TWO.format("weekly-alert", "claims", "weekly_alert", "claims"),
        id="a weekly slot and all claims",
    ),
    pytest.param(
        ALERT,
        dict(zip(RANGE_TAGS, ("2026-11-02", "2026-11-09"), strict=True)),
        ONE_PERIOD,
        id="two cycles",
    ),
    pytest.param(
        keys("notices/outbox"),
        {},
        "it is 2026-11-18 07:00:00, and the ledger of NG has an event of 2026-11-19 08:00:00 ",
        id="mail back in time",
    ),
]


@pytest.mark.parametrize(("selected", "tags", "begins"), REFUSED)
def test_what_is_not_one_slot_is_refused_in_one_line_before_anything_is_done(
    factory: Factory,
    selected: frozenset[dg.AssetKey],
    tags: Mapping[str, str],
    begins: str,
) -> None:
    if "has an event of" in begins:
        made.open_ledger(factory.ledger, "2026-11-19 08:00", is_simulated=True)
    before = made.counts(factory.ledger)
    assert launch(factory, selected, tags=tags).status is dg.DagsterRunStatus.FAILURE
    refused = why(factory)
    assert refused.startswith(begins)
    assert "\n" not in refused
    assert not events(factory, dg.DagsterEventType.STEP_START)
    assert made.counts(factory.ledger) == before


def test_a_later_cycle_started_in_the_ui_waits_for_the_oldest_missing(factory: Factory) -> None:
    made.open_ledger(factory.ledger, "2026-11-11 06:00", is_simulated=True)
    assert launch(factory, ALERT).status is dg.DagsterRunStatus.FAILURE
    assert why(factory).startswith(
        "weekly-alert of 2026-11-09 waits for weekly-alert of 2026-11-02, which was due 2026-11-11 "
    )


def test_steps_run_again_from_a_failure_are_no_whole_slot() -> None:
    run = dg.DagsterRun(
        job_name=JOBS[Slot.WEEKLY_ALERT].name,
        tags=CYCLE,
        step_keys_to_execute=["ledger__frozen_cycle", "notices__weekly_alerts"],
    )
    with pytest.raises(VibesError, match="this run is of 2 of the "):
        wanted_of(run)


def test_the_claims_step_and_their_mails_may_be_made_by_themselves(factory: Factory) -> None:
    for selected in ({CLAIMS_STEP}, keys("notices/claim_mails"), keys("notices/outbox")):
        run = launch(factory, selected, tags={})
        assert run.status is dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize("slot", JOBS)
def test_a_slot_s_assets_are_those_of_its_job(slot: Slot) -> None:
    layer = definitions.resolve_job_def(JOBS[slot].name).asset_layer
    assert layer.selected_asset_keys & layer.executable_asset_keys == OF_SLOT[slot]


def why(factory: Factory) -> str:
    """The cause of the newest run's failure, as operators are told it."""
    (failure,) = events(factory, dg.DagsterEventType.RUN_FAILURE)
    data = failure.job_failure_data
    assert data.error is not None
    causes = [data.error]
    while causes[-1].cause:
        causes.append(causes[-1].cause)
    return causes[-1].message.partition(": ")[2].strip()
