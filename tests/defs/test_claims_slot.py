"""The claims slot in Dagster: what starts it, what it shows, and that every other begins with it (§2).

The sensor asks a real ledger and a real warehouse, as the daemon does; jobs run in this process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import sqlalchemy as sa
from cli import troubles
from defs import loaded
from defs.factory import Factory
from ledger import made
from notices.mail_server import serving
from patience import PATIENCE_SECONDS

from vibes_pipeline.calendar import Slot
from vibes_pipeline.dagster_host import in_process
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import runs, sensors
from vibes_pipeline.defs.jobs import JOBS
from vibes_pipeline.errors import StaleWarehouse
from vibes_pipeline.ledger import schema, views

STEP = "claims/settled_claims"
HOUR = timedelta(hours=1)


def ago(time: timedelta) -> str:
    """A local time so long before now, as marketplaces take it."""
    return (datetime.now(made.LAGOS) - time).replace(tzinfo=None).isoformat()


def claim(factory: Factory, claim_id: str = "C-1", **columns: object) -> dict[str, object]:
    """A complete claim about the returned item, raised a minute ago unless told otherwise."""
    (item,) = (r for r in factory.market.raw["order_items"] if r["order_item_id"] == "I-back")
    given = {
        "claim_id": claim_id,
        "category": "vibes_action",
        "seller_id": "S-returned",
        "order_number": item["order_number"],
        "comment": "It was not our fault.",
        "raised_at": ago(HOUR / 60),
    }
    factory.market.add("claims", claim_id, given | columns)
    row: dict[str, object] = factory.market.raw["claims"][-1]
    return row


def open_as(factory: Factory, *, is_simulated: bool) -> None:
    now = datetime.now(made.LAGOS) - 2 * HOUR
    with factory.ledger.writing(is_simulated=is_simulated, now=now):
        pass


def ask(factory: Factory) -> dg.RunRequest | dg.SkipReason:
    """One tick of the sensor over the warehouse as it now stands."""
    factory.market.write(factory.folder / "raw")
    resources = loaded.country(definitions)
    with dg.build_sensor_context(instance=factory.instance, resources=resources) as context:
        answer = sensors.new_claims(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def run_claims(factory: Factory) -> None:
    """The job that the sensor starts, live."""
    factory.market.write(factory.folder / "raw")
    in_process.run_slot(Slot.CLAIMS, datetime.now(made.LAGOS).date(), factory.instance)


def why_not(answer: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(answer, dg.SkipReason), "a run was requested"
    return answer.skip_message or ""


# --- the sensor -----------------------------------------------------------------------------------


def test_a_new_claim_and_a_decision_on_it_each_request_a_run_until_it_is_done(
    factory: Factory,
) -> None:
    open_as(factory, is_simulated=False)
    assert why_not(ask(factory)) == "No claim or decision waits."
    row = claim(factory)
    assert isinstance(ask(factory), dg.RunRequest)
    assert isinstance(ask(factory), dg.RunRequest), "asked again, nothing being done yet"
    run_claims(factory)
    assert why_not(ask(factory)) == "No claim or decision waits."

    row["decision"], row["decided_at"] = "rejected", ago(-HOUR)
    assert why_not(ask(factory)) == "No claim or decision waits.", "of the future"
    row["decided_at"] = ago(HOUR / 120)
    assert isinstance(ask(factory), dg.RunRequest)
    run_claims(factory)
    assert why_not(ask(factory)) == "No claim or decision waits."
    c = views.claim_states.c
    assert made.rows(factory.ledger, c.claim_id, c.state) == [("C-1", "rejected")]


def test_what_cannot_be_read_requests_one_run_that_tells_operators_and_goes_on(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_as(factory, is_simulated=False)
    row = claim(factory, decision="<b>Uphled</b>\u00a0", decided_at=ago(HOUR / 120))
    infinite = claim(factory, "C-odd", raised_at="1969-01-01T00:00")
    with serving() as post:
        monkeypatch.setenv("VIBES_SMTP_URL", post.url)
        monkeypatch.setenv("VIBES_MAIL_FROM", "vibes@mail.example")
        monkeypatch.setenv("VIBES_OPERATORS", "night@operators.example")
        assert isinstance(ask(factory), dg.RunRequest)
        run_claims(factory)
        assert why_not(ask(factory)) == "No claim or decision waits."
        run_claims(factory)
        (mail,) = post.mails_to("night@operators.example")
        assert "claim C-1 (seller S-returned)" in mail.get_content()
        check = factory.evaluations()["nothing_is_undecipherable"]
        assert (check.passed, check.blocking) == (False, False)
        assert check.severity is dg.AssetCheckSeverity.ERROR
        assert check.metadata["undecipherable"].value == 2
        assert "b Uphled /b" in (check.description or "")
        assert "raised_at is outside the years 1970 to 2200" in (check.description or "")
        row["decision"], infinite["raised_at"] = "upheld", ago(HOUR / 60)
        assert isinstance(ask(factory), dg.RunRequest)
        run_claims(factory)
        assert factory.evaluations()["nothing_is_undecipherable"].passed
        c = views.claim_states.c
        states = made.rows(factory.ledger, c.claim_id, c.state)
        assert sorted(states) == [("C-1", "upheld"), ("C-odd", "accepted")]


def data_version(factory: Factory) -> str | None:
    """By which Dagster knows whether what lies on the step is out of date."""
    event = factory.instance.get_latest_materialization_event(dg.AssetKey(STEP.split("/")))
    assert event is not None
    assert event.asset_materialization is not None
    return (event.asset_materialization.tags or {}).get("dagster/data_version")


def test_the_claims_are_out_of_date_only_once_something_was_settled(factory: Factory) -> None:
    open_as(factory, is_simulated=False)
    run_claims(factory)
    nothing = data_version(factory)
    run_claims(factory)
    assert data_version(factory) == nothing
    claim(factory)
    run_claims(factory)
    assert data_version(factory) != nothing


@pytest.mark.parametrize("is_simulated", [True, None], ids=["simulated", "not used yet"])
def test_over_a_ledger_that_is_not_live_nothing_is_requested(
    factory: Factory, is_simulated: bool | None
) -> None:
    if is_simulated:
        open_as(factory, is_simulated=True)
    claim(factory)
    mode = "simulated: " if is_simulated else "not used yet: "
    assert why_not(ask(factory)).startswith(f"The ledger of NG is {mode}")


# A run is queued only by the process of a code location, so here that status is merely looked for.
QUEUED = dg.DagsterRunStatus.QUEUED
assert QUEUED in runs.UNFINISHED


@pytest.mark.parametrize("status", [s for s in runs.UNFINISHED if s is not QUEUED])
def test_while_the_slot_runs_or_waits_no_second_one_is_requested(
    factory: Factory, status: dg.DagsterRunStatus
) -> None:
    open_as(factory, is_simulated=False)
    claim(factory)
    run_id = given_run(factory, status)
    is_running = status is dg.DagsterRunStatus.STARTED
    how = "is running" if is_running else "waits for its run"
    assert why_not(ask(factory)) == f"The claims slot {how}."
    factory.instance.delete_run(run_id)
    assert isinstance(ask(factory), dg.RunRequest)


def given_run(factory: Factory, status: dg.DagsterRunStatus) -> str:
    """A run of the claims job in that status; its id."""
    job = definitions.resolve_job_def("claims")
    return factory.instance.create_run_for_job(job, status=status).run_id


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
def test_a_run_that_is_over_hinders_no_other(factory: Factory, status: dg.DagsterRunStatus) -> None:
    open_as(factory, is_simulated=False)
    claim(factory)
    given_run(factory, status)
    assert isinstance(ask(factory), dg.RunRequest)


LOADER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE loading (row INTEGER)")
print("loading", flush=True)
sys.stdin.readline()
"""


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """Another process holds the file for writing."""
    with subprocess.Popen(
        [sys.executable, "-c", LOADER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as loader:
        assert loader.stdout is not None
        assert loader.stdout.readline() == "loading\n"
        yield
        loader.communicate("\n", timeout=PATIENCE_SECONDS)


def test_while_a_loader_holds_the_warehouse_the_tick_is_skipped_and_says_so(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_as(factory, is_simulated=False)
    claim(factory)
    parquet = factory.market.write(factory.folder / "raw")
    file = factory.folder / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA raw")
        for table in parquet.glob("*.parquet"):
            connection.execute(f"CREATE TABLE raw.{table.stem} AS FROM '{table}'")
    monkeypatch.setenv("VIBES_WAREHOUSE", str(file))
    monkeypatch.setattr(sensors, "SENSOR_PATIENCE_SECONDS", 0.2)
    with loading(file):
        assert "stayed locked by another process" in why_not(ask(factory))
    assert isinstance(ask(factory), dg.RunRequest)


# --- the job --------------------------------------------------------------------------------------


def test_the_job_takes_in_decides_and_writes(factory: Factory) -> None:
    factory.past_alert()
    claim(factory, raised_at="2026-11-19T10:00")
    claim(factory, "C-2", raised_at="2026-11-19T10:00", order_number="O-nowhere")
    claim(
        factory,
        "C-3",
        raised_at="2026-11-19T10:00",
        decision="upheld",
        decided_at="2026-11-19T11:30",
    )
    factory.run(Slot.CLAIMS, "2026-11-19T12:00")
    assert factory.materialized() == {STEP, "claims/claims", "notices/claim_mails"}
    checks = factory.evaluations()
    assert {name: check.passed for name, check in checks.items()} == {
        "decisions_are_applied_at_once": True,
        "nothing_is_undecipherable": True,
        "upheld_claims_are_matched": True,
    }
    shown = metadata(factory, STEP)
    assert (shown["claims"], shown["claims_accepted"], shown["claims_incomplete"]) == (4, 2, 1)
    assert (shown["claims_upheld"], shown["actions_undone"], shown["accounts_kept"]) == (1, 1, 0)
    shown = metadata(factory, "claims/claims")
    assert shown["by_state"] == {"accepted": 1, "incomplete": 1, "upheld": 1}
    assert shown["undecided"] == 2
    assert metadata(factory, "notices/claim_mails")["sent"] == 4
    states = made.states(factory.ledger)
    assert states["returns_charge", "I-back"] == "withdrawn"
    # Run again, it finds nothing to do.
    before = made.counts(factory.ledger)
    factory.run(Slot.CLAIMS, "2026-11-19T12:00")
    assert made.counts(factory.ledger) == before
    assert metadata(factory, STEP)["claims"] == 0


def metadata(factory: Factory, asset: str) -> dict[str, object]:
    """What the newest run shows of an asset."""
    key = dg.AssetKey(asset.split("/"))
    event = factory.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_a_decision_that_had_waited_too_long_is_warned_of_by_its_claim(factory: Factory) -> None:
    factory.past_alert()
    decided = {"raised_at": "2026-11-19T08:00", "decision": "rejected"}
    claim(factory, "C-waited", **decided, decided_at="2026-11-19T10:59:59")
    claim(factory, "C-at-once", **decided, decided_at="2026-11-19T11:00")
    factory.run(Slot.CLAIMS, "2026-11-19T12:00")
    check = factory.evaluations()["decisions_are_applied_at_once"]
    assert (check.passed, check.blocking) == (False, False)
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["decisions"].value == 1
    assert check.metadata["claims"].value == ["C-waited"]


def test_an_upheld_claim_about_nothing_is_warned_of(factory: Factory) -> None:
    factory.past_alert()
    lost = {"raised_at": "2026-11-19T11:00", "order_number": "O-nowhere"}
    claim(factory, "C-lost", **lost, decision="upheld", decided_at="2026-11-19T11:30")
    factory.run(Slot.CLAIMS, "2026-11-19T12:00")
    check = factory.evaluations()["upheld_claims_are_matched"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert (check.description or "").startswith("1 of 1 upheld claims are about nothing ")
    assert check.metadata["claims"].value == ["C-lost"]


# --- every slot begins with it --------------------------------------------------------------------


@pytest.mark.parametrize("slot", JOBS)
def test_nothing_else_of_a_job_is_done_before_the_claims_step(slot: Slot) -> None:
    job = definitions.resolve_job_def(JOBS[slot].name)
    layer = job.asset_layer
    selected = set(layer.selected_asset_keys) & set(layer.executable_asset_keys)
    step = dg.AssetKey(STEP.split("/"))
    assert step in selected
    graph = definitions.resolve_asset_graph()
    for key in selected - {step}:
        assert step in graph.get_ancestor_asset_keys(key), key.to_user_string()


def weekly_alert(factory: Factory) -> None:
    factory.alert()


def late_alert(factory: Factory) -> None:
    factory.run(Slot.LATE_ALERT, "2026-11-18T06:00", datetime(2026, 11, 18).date())


def late_cancellation(factory: Factory) -> None:
    factory.run(Slot.LATE_CANCELLATION, "2026-11-18T23:00", datetime(2026, 11, 18).date())


def test_an_implementation_settles_claims_first(factory: Factory) -> None:
    decided = {"raised_at": "2026-11-17T10:00", "decided_at": "2026-11-17T11:00"}
    claim(factory, **decided, decision="upheld")
    factory.implement()
    assert STEP in factory.materialized()
    c = views.claim_states.c
    assert made.rows(factory.ledger, c.claim_id, c.state) == [("C-1", "upheld")]


@pytest.mark.parametrize(
    "slot", [weekly_alert, late_alert, late_cancellation], ids=lambda slot: slot.__name__
)
def test_every_other_slot_settles_them_even_if_it_then_stops_for_a_stale_warehouse(
    factory: Factory, slot: Callable[[Factory], None]
) -> None:
    factory.market.loads = dict.fromkeys(("order_items", "sellers"), "Mon 00:00")
    decided = {"raised_at": "2026-11-17T10:00", "decided_at": "2026-11-17T11:00"}
    claim(factory, **decided, decision="upheld")
    with pytest.raises(StaleWarehouse):
        slot(factory)
    assert STEP in factory.materialized() <= {STEP, "ledger/history"}
    c = views.claim_states.c
    assert made.rows(factory.ledger, c.claim_id, c.state) == [("C-1", "upheld")]
    excused = made.rows(factory.ledger, sa.func.count(schema.excuses.c.event_id))
    assert excused == [(6,)]  # all events of the order, for the claim names no rule


def test_a_charge_decided_before_is_credited_by_a_slot_that_then_stops(factory: Factory) -> None:
    before = made.CYCLE - made.WEEK
    factory.market = troubles.market(before.isoformat())
    factory.past(Slot.WEEKLY_ALERT, "2026-11-11T07:00", before)
    factory.past(Slot.WEEKLY_IMPLEMENTATION, "2026-11-14T09:00", before)
    factory.market.loads = {"order_items": "Mon 00:00"}
    decided = {"raised_at": "2026-11-17T10:00", "decided_at": "2026-11-17T11:00"}
    claim(factory, **decided, decision="upheld")
    with pytest.raises(StaleWarehouse):
        factory.run(Slot.WEEKLY_ALERT, "2026-11-18T07:00")
    p = schema.postings.c
    credited = [(a, c) for a, c in made.rows(factory.ledger, p.amount, p.claim_id) if c]
    assert credited == [(Decimal(-1500), "C-1")]
