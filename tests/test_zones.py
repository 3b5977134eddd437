"""One time zone database for Python, and no slot where an engine's own differs from it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vibes_pipeline import zones
from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import TimeZoneError
from vibes_pipeline.policy import loader
from vibes_pipeline.policy.loader import load_policy, parse_policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.run import SlotRun

NG = Path(loader.__file__).with_name("ng.yaml").read_text(encoding="utf-8")


def zone_file(name: str) -> bytes:
    return files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def doctored(named: str, with_rules_of: str, folder: Path) -> ZoneInfo:
    """A zone whose offsets Python takes from another one's file; the engines go by the name."""
    file = folder / "zone"
    file.write_bytes(zone_file(with_rules_of))
    with file.open("rb") as opened:
        return ZoneInfo.from_file(opened, key=named)


def test_the_pinned_wheel_wins_over_the_machines_files(tmp_path: Path) -> None:
    (tmp_path / "Africa").mkdir()
    (tmp_path / "Africa" / "Lagos").write_bytes(zone_file("Asia/Tokyo"))
    asked = "from zoneinfo import ZoneInfo; from datetime import *; import vibes_pipeline; "
    asked += "print(datetime(2026, 11, 18, tzinfo=ZoneInfo('Africa/Lagos')).utcoffset())"
    said = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONTZPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "1:00:00\n"


def test_the_engines_agree_with_the_calendar_of_nigeria_in_all_listed_years() -> None:
    zones.require_agreement(load_policy("ng").calendar)


@pytest.mark.parametrize("engine", zones.ENGINES)
def test_an_engine_that_differs_is_named_with_the_zone_and_the_first_day(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # São Tomé kept the hour of Lagos in 2018 alone; the engines know that Abidjan never did.
    zone = doctored("Africa/Abidjan", "Africa/Sao_Tome", tmp_path)
    monkeypatch.setattr(zones, "ENGINES", {engine: zones.ENGINES[engine]})
    zones._require_agreement(zone, date(2016, 1, 1), date(2017, 12, 31))
    with pytest.raises(TimeZoneError) as caught:
        zones._require_agreement(zone, date(2016, 1, 1), date(2018, 12, 31))
    assert str(caught.value) == (
        f"{engine} knows another Africa/Abidjan than the calendar: on 2018-01-01 at 02:00:00 it is "
        "+00:00 from UTC there, +01:00 by the package tzdata; install versions of both that agree"
    )


def test_a_difference_of_minutes_on_a_single_day_is_seen(tmp_path: Path) -> None:
    # Monrovia moved its clocks by 44 minutes and a half on 1972-01-07, to Abidjan's time.
    zone = doctored("Africa/Abidjan", "Africa/Monrovia", tmp_path)
    zones._require_agreement(zone, date(1972, 1, 7), date(1973, 12, 31))
    with pytest.raises(TimeZoneError, match=r"on 1972-01-06 at 00:00:00 it is \+00:00 .* -00:44"):
        zones._require_agreement(zone, date(1972, 1, 6), date(1973, 12, 31))


def test_no_slot_begins_in_a_zone_that_an_engine_does_not_know(tmp_path: Path) -> None:
    policy = parse_policy(Path("policy.yaml"), NG.replace("Africa/Lagos", "Factory", 1))
    with pytest.raises(TimeZoneError, match="Polars knows no time zone Factory; name another one"):
        SlotRun.begin(
            Slot.CLAIMS,
            date(2026, 11, 18),
            policy,
            Settings.from_environment({"VIBES_HOME": str(tmp_path)}),
            now=datetime(2026, 11, 18, 12, tzinfo=UTC),
            is_simulated=True,
        )
