"""What Dagster is told of the pipeline: nothing is added, lost or renamed unseen (Design §3)."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from defs import loaded, snapshot
from ledger import made

from vibes_pipeline.calendar import TIMED_SLOTS
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs.lineage import ON_CALL
from vibes_pipeline.defs.slot_assets import BY_ITSELF
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import load_policy
from vibes_pipeline.rules import Rule
from vibes_pipeline.slots import weekly

PROJECT = Path(__file__).resolve().parents[2]
SPECS = sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key)


def name_of(spec: dg.AssetSpec) -> str:
    return spec.key.to_user_string()


def test_the_workspace_loads(tmp_path: Path) -> None:
    validation = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "DAGSTER_HOME": str(tmp_path), "VIBES_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert validation.returncode == 0, validation.stdout + validation.stderr
    assert "All code locations passed validation" in validation.stdout + validation.stderr


def test_assets_checks_jobs_and_what_starts_them_are_those_of_the_snapshot() -> None:
    now = snapshot.describe(definitions).splitlines()
    before = snapshot.FILE.read_text(encoding="utf-8").splitlines()
    assert now == before, (
        "the definitions are not those of tests/defs/snapshot.txt; if that is meant, renew it with "
        "`.venv/bin/python tests/defs/snapshot.py` and look at the difference in git"
    )


def test_the_weekly_alert_makes_every_model_of_the_week() -> None:
    made_by_the_job = {
        ".".join(key.path)
        for key in definitions.resolve_job_def("weekly_alert").asset_layer.selected_asset_keys
    }
    assert {model.relation for model in weekly_models()} <= made_by_the_job


def test_every_asset_says_what_it_is_whose_it_is_and_where() -> None:
    for spec in SPECS:
        assert len(spec.description or "") > 20, name_of(spec)
        assert spec.owners, name_of(spec)
        assert all(owner.startswith("team:") for owner in spec.owners), name_of(spec)
        assert spec.group_name not in (None, "default"), name_of(spec)
        assert spec.kinds, name_of(spec)


def test_the_groups_come_in_the_order_of_the_flow() -> None:
    groups = {spec.key: spec.group_name or "" for spec in SPECS}
    backwards = [
        (name_of(spec), dep.asset_key.to_user_string())
        for spec in SPECS
        for dep in spec.deps
        if groups[dep.asset_key] > groups[spec.key]
    ]
    assert backwards == []


def test_a_description_begins_in_plain_words_and_ends_with_the_clauses_and_who_makes_it() -> None:
    for spec in SPECS:
        words, _, made = (spec.description or "").rpartition("\n\n")
        assert "§" not in words.partition("\n\n")[0], name_of(spec)
        assert made.startswith(("Made by the job", "Loaded by others")), name_of(spec)
    (charges,) = (s for s in SPECS if name_of(s) == "events/late_fulfilments")
    assert (charges.description or "").splitlines()[-3:] == [
        "Rulebook §6, §11.",
        "",
        "Made by the job `weekly_alert`, which does its slot as a whole: start the job, not the "
        "asset.",
    ]


def test_the_team_on_call_owns_every_job_and_of_the_assets_what_may_be_made_by_itself() -> None:
    jobs = [definitions.resolve_job_def(job.name) for job in definitions.jobs or []]
    assert all(ON_CALL in (job.owners or []) for job in jobs)
    assert {spec.key for spec in SPECS if ON_CALL in spec.owners} == set(BY_ITSELF)


@pytest.mark.parametrize("rule", weekly.WEEKLY_RULES)
def test_a_decision_quotes_the_words_of_its_rule(rule: str) -> None:
    (spec,) = (s for s in SPECS if name_of(s) == f"decisions/{rule}s")
    for reference in load_policy("ng").rules[Rule(rule)].references:
        assert reference.sentence in (spec.description or "")


def test_every_asset_that_can_be_made_is_made_by_a_job() -> None:
    made_by_jobs = {
        key
        for job in definitions.jobs or []
        for key in definitions.resolve_job_def(job.name).asset_layer.selected_asset_keys
    }
    graph = definitions.resolve_asset_graph()
    assert graph.materializable_asset_keys <= made_by_jobs


def test_only_the_entry_reads_the_environment_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is built of the environment's policy gets it handed in."""
    monkeypatch.setenv("VIBES_POLICY", str(tmp_path / "absent.yaml"))
    loaded.forget(monkeypatch)
    package = import_module("vibes_pipeline.defs")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)
    with pytest.raises(UsageError, match="there is no policy file"):
        import_module(loaded.DEFINITIONS)


def test_every_asset_of_a_slot_is_partitioned_by_its_period() -> None:
    partitioned = [s for s in SPECS if s.partitions_def is not None]
    assert partitioned
    for spec in partitioned:
        partitions = spec.partitions_def
        assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
        assert partitions.timezone == "Africa/Lagos"
        assert partitions.cron_schedule in ("0 0 * * 1", "0 0 * * *"), name_of(spec)


# --- schedules ------------------------------------------------------------------------------------

TICKS = [
    pytest.param("weekly_alert", "2026-11-18 07:00", "2026-11-09", id="Wednesday's alert"),
    pytest.param("weekly_implementation", "2026-11-21 09:00", "2026-11-09", id="Saturday"),
    pytest.param("weekly_alert", "2026-01-07 07:00", "2025-12-29", id="over the turn of the year"),
]


def tick(schedule: str, at: str) -> dg.RunRequest | dg.SkipReason:
    return loaded.tick(definitions, schedule, made.local(at))


@pytest.fixture
def ledger_of_environment(
    ledger: Ledger, ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Ledger:
    """The ledger that code which reads the environment finds."""
    monkeypatch.setenv("VIBES_HOME", str(tmp_path))
    monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))
    return ledger


def open_as(ledger: Ledger, *, is_simulated: bool) -> None:
    with ledger.writing(is_simulated=is_simulated, now=datetime(2026, 1, 1, tzinfo=UTC)):
        pass


@pytest.mark.parametrize(("schedule", "at", "period"), TICKS)
def test_a_schedule_requests_the_period_that_is_due(
    ledger_of_environment: Ledger, schedule: str, at: str, period: str
) -> None:
    # Over a ledger that is not used yet; what a live one has missed is tested with the sensors.
    requested = tick(schedule, at)
    assert isinstance(requested, dg.RunRequest)
    assert requested.partition_key == period


@pytest.mark.parametrize(
    ("schedule", "at"),
    [("late_alert", "2024-11-18 06:00"), ("late_cancellation", "2024-11-18 23:00")],
)
def test_a_day_that_is_over_is_not_made_up_for(
    ledger_of_environment: Ledger, schedule: str, at: str
) -> None:
    skipped = tick(schedule, at)
    assert isinstance(skipped, dg.SkipReason)
    assert " of 2024-11-18 is over since 2024-11-1" in (skipped.skip_message or "")


@pytest.mark.parametrize(
    ("schedule", "time"), [("late_alert", "06:00"), ("late_cancellation", "23:00")]
)
def test_a_late_schedule_requests_the_day_of_its_tick(
    ledger_of_environment: Ledger, schedule: str, time: str
) -> None:
    # A tick that is not over yet, whenever this runs.
    at = f"{datetime.now(made.LAGOS).date() + timedelta(days=1)} {time}"
    requested = tick(schedule, at)
    assert isinstance(requested, dg.RunRequest)
    assert requested.partition_key == at[:10]


@pytest.mark.parametrize(("schedule", "at", "period"), TICKS[:1])
def test_over_a_simulated_ledger_a_schedule_skips_and_says_why(
    ledger_of_environment: Ledger, schedule: str, at: str, period: str
) -> None:
    open_as(ledger_of_environment, is_simulated=True)
    skipped = tick(schedule, at)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message is not None
    assert skipped.skip_message.startswith("the ledger of NG is simulated: it takes only slots ")


def test_every_slot_with_a_time_of_its_own_has_a_schedule_that_runs_by_default() -> None:
    schedules = {
        s.name: s for s in definitions.schedules or [] if isinstance(s, dg.ScheduleDefinition)
    }
    times = load_policy("ng").slots.times_on(datetime.now(UTC).date())
    for slot in TIMED_SLOTS:
        schedule = schedules[slot.value.replace("-", "_")]
        assert schedule.cron_schedule == times.cron(slot)
        assert schedule.execution_timezone == "Africa/Lagos"
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
