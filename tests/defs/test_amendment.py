"""What Dagster is told follows the day at hand, and a run shows the policy that it went by."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
from cli import troubles
from defs.factory import Factory
from defs.loaded import definitions_at, tick, turn_clock_to
from policy.amendments import amended_text

from vibes_pipeline.policy import load_policy

# The weekly alert of the cycle 2027-06-07 is due in the week of 2027-06-14.
AMENDMENTS = [
    ("slots.weekly_alert", "2027-06-07", '{weekday: tuesday, time: "08:00"}'),
    ("slots.late_alert", "2027-06-07", '{time: "06:45"}'),
    ("warehouse.max_staleness_minutes", "2027-06-07", "45"),
    ("claims.decision_waits_at_most_hours", "2027-06-07", "3"),
    ("notice.notice_hours", "2027-06-07", "60"),
]


@pytest.fixture
def amended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment's policy is amended from 2027-06-07 on, a Monday."""
    file = tmp_path / "amended.yaml"
    file.write_text(amended_text(*AMENDMENTS), encoding="utf-8")
    monkeypatch.setenv("VIBES_POLICY", str(file))
    return monkeypatch


# --- schedules ------------------------------------------------------------------------------------

TICKS = [
    ("late_alert", "2027-06-06 06:00", "2027-06-06"),
    ("late_alert", "2027-06-06 06:45", "late-alert of 2027-06-06 is due 2027-06-06 06:00."),
    ("late_alert", "2027-06-07 06:00", "late-alert of 2027-06-07 is due 2027-06-07 06:45."),
    ("late_alert", "2027-06-07 06:45", "2027-06-07"),
    ("weekly_alert", "2027-06-08 08:00", "weekly-alert of 2027-05-31 is due 2027-06-09 07:00."),
    ("weekly_alert", "2027-06-09 07:00", "2027-05-31"),
    ("weekly_alert", "2027-06-15 08:00", "2027-06-07"),
    ("weekly_alert", "2027-06-16 07:00", "weekly-alert of 2027-06-07 is due 2027-06-15 08:00."),
]


def test_across_an_amendment_each_slot_runs_once_at_its_time_without_a_reload(
    amended: pytest.MonkeyPatch, factory: Factory
) -> None:
    definitions = definitions_at("2026-11-26 12:00", amended)
    outcomes = []
    for schedule, at, _ in TICKS:
        turn_clock_to(at, amended)
        outcome = tick(definitions, schedule, datetime.fromisoformat(f"{at}+01:00"))
        if isinstance(outcome, dg.SkipReason):
            words = outcome.skip_message or ""
            assert words.startswith("The policy has moved this slot: the ")
            outcomes.append(
                (schedule, at, words.removeprefix("The policy has moved this slot: the "))
            )
        else:
            assert isinstance(outcome, dg.RunRequest)
            outcomes.append((schedule, at, outcome.partition_key))
    assert outcomes == TICKS


def crons(definitions: dg.Definitions) -> dict[str, object]:
    schedules = [s for s in definitions.schedules or [] if isinstance(s, dg.ScheduleDefinition)]
    return {s.name: s.cron_schedule for s in schedules}


# --- freshness and texts --------------------------------------------------------------------------


def told(definitions: dg.Definitions) -> dict[str, object]:
    """What of the amended values Dagster is told, by where it stands."""
    specs = {s.key.to_user_string(): s for s in definitions.resolve_all_asset_specs()}
    alert, late_alert = specs["notices/weekly_alerts"], specs["notices/late_alerts"]
    policies = [spec.freshness_policy for spec in (alert, late_alert)]
    assert all(isinstance(policy, dg.FreshnessPolicy) for policy in policies)
    said = {
        "hours of notice": specs["enforcement/implementation"],
        "staleness": specs["late_orders/loads"],
    }
    check = next(
        definitions.resolve_asset_graph().get_check_spec(key)
        for key in definitions.resolve_asset_graph().asset_check_keys
        if key.name == "decisions_are_applied_at_once"
    )
    return {
        "schedules": (crons(definitions)["weekly_alert"], crons(definitions)["late_alert"]),
        "freshness": tuple(getattr(policy, "deadline_cron", None) for policy in policies),
        "waits": "longer than 3 hour" in (check.description or ""),
        "notice": "accepted 60 hours before" in (said["hours of notice"].description or ""),
        "staleness": "within 45 minutes" in (said["staleness"].description or ""),
        "words of the alert": "weekly_alert as of 2027-06-07" in (alert.description or ""),
        "words of the late alert": "late_alert as of 2027-06-07" in (late_alert.description or ""),
    }


BEFORE = {
    "schedules": (["0 7 * * 3", "0 8 * * 2"], ["0 6 * * *", "45 6 * * *"]),
    "freshness": ("30 7 * * 3", "30 6 * * *"),
    "waits": False,
    "notice": False,
    "staleness": False,
    "words of the alert": False,
    "words of the late alert": False,
}
ON_THE_DAY = BEFORE | {
    "schedules": (["0 7 * * 3", "0 8 * * 2"], "45 6 * * *"),
    "freshness": ("30 7 * * 3", "15 7 * * *"),
    "waits": True,
    "staleness": True,
    "words of the late alert": True,
}
AFTERWARDS = ON_THE_DAY | {
    "schedules": ("0 8 * * 2", "45 6 * * *"),
    "freshness": ("30 8 * * 2", "15 7 * * *"),
    "notice": True,
    "words of the alert": True,
}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("2026-11-26 12:00", BEFORE, id="months before"),
        pytest.param("2027-06-06 23:59", BEFORE, id="the minute before"),
        pytest.param("2027-06-07 00:00", ON_THE_DAY, id="the day: cycles before it go by the old"),
        pytest.param("2027-06-14 00:00", AFTERWARDS, id="its first cycle's slots are next"),
    ],
)
def test_schedules_freshness_and_texts_are_those_of_the_day_of_loading(
    amended: pytest.MonkeyPatch, at: str, expected: dict[str, object]
) -> None:
    assert told(definitions_at(at, amended)) == expected


# --- a run's own policy ---------------------------------------------------------------------------


def test_a_run_shows_the_version_and_the_values_of_the_policy_it_went_by(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The location was loaded with the packaged policy; the run finds one amended before its cycle.
    file = tmp_path / "amended.yaml"
    file.write_text(
        amended_text(("out_of_stock_charge.cap", "2026-11-02", "2345.60")), encoding="utf-8"
    )
    monkeypatch.setenv("VIBES_POLICY", str(file))
    factory.alert(troubles.ALERT_AT)
    shown = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for entry in factory.log()
        if (event := entry.dagster_event) and event.is_step_materialization and event.asset_key
    }
    version = load_policy(path=file).short_version
    assert version != load_policy("ng").short_version
    versions = {m["policy_version"].value for m in shown.values() if "policy_version" in m}
    assert versions == {version}
    charges = shown["decisions/out_of_stock_charges"]["policy_in_force"].value
    assert isinstance(charges, dict)
    caps = {row["rule"]: row["cap"] for row in charges["policy.commission_charges"]}
    assert caps == {"out_of_stock_charge": "2345.60", "late_fulfilment_charge": "2500.00"}
