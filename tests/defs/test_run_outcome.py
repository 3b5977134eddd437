"""What terminals are told of a run: who started it, what it did, why it failed."""

from __future__ import annotations

import re

import dagster as dg
import duckdb
from cli import troubles
from defs.factory import Factory

from vibes_pipeline.calendar import Slot
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs.run_outcome import how_it_ended


def newest(instance: dg.DagsterInstance) -> dg.RunRecord:
    return instance.get_run_records(limit=1)[0]


def told(instance: dg.DagsterInstance) -> str:
    """How the newest run ended, without its seconds."""
    return re.sub(r"\d+\.\d s", "S", how_it_ended(instance, newest(instance)))


def test_a_slot_s_run_is_of_the_code_location_says_its_slot_and_instant_and_what_it_did(
    factory: Factory,
) -> None:
    actions, sellers = sum(troubles.ACTIONS.values()), troubles.SELLERS
    factory.alert()
    run = newest(factory.instance).dagster_run
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "vibes-ng"
    assert {name: text for name, text in run.tags.items() if name.startswith("vibes/")} == {
        "vibes/slot": "weekly-alert",
        "vibes/period": troubles.CYCLE,
        "vibes/as_of": "2026-11-18 07:00:00",
    }
    assert told(factory.instance) == f"done in S: {actions} actions, {sellers} alerts sent"
    charges = dg.AssetKey(["decisions", "out_of_stock_charges"])
    event = factory.instance.get_latest_materialization_event(charges)
    assert event is not None
    assert event.asset_materialization is not None
    computed_by = event.asset_materialization.metadata["computed_by"].value
    assert str(computed_by).startswith(f"DuckDB {duckdb.__version__}")
    factory.implement()
    assert told(factory.instance) == (
        f"done in S: {actions} actions implemented, {sellers} mails sent"
    )
    factory.run(Slot.CLAIMS, "2026-11-22T08:00")
    assert newest(factory.instance).dagster_run.tags["vibes/period"] == "2026-11-22"
    assert told(factory.instance) == "done in S: nothing was to be done"


def test_a_run_whose_process_died_is_told_of_on_one_line_without_an_address() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(definitions.resolve_job_def("claims"))
        instance.report_run_failed(run, "gone while writing to a@shop.example\nand more \x1b[31m")
        assert told(instance) == "failed after S: gone while writing to (address)"
