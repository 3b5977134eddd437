"""Dagster's own command `dg` finds the definitions by what `pyproject.toml` tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vibes_pipeline.definitions import definitions

PROJECT = Path(__file__).resolve().parents[2]
DG = Path(sys.executable).with_name("dg")
pytestmark = pytest.mark.skipif(
    not DG.exists(), reason="dagster-dg-cli is not installed: `make setup` installs it"
)


def dg(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in the project's folder, with an empty home."""
    return subprocess.run(
        [DG, *arguments],
        cwd=PROJECT,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PROJECT),
            "HOME": str(home),
            "DAGSTER_HOME": str(home),
            "VIBES_HOME": str(home),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_dg_finds_the_definitions_sound(tmp_path: Path) -> None:
    checked = dg(tmp_path, "check", "defs")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "All definitions loaded successfully" in checked.stdout + checked.stderr


def test_dg_lists_every_asset(tmp_path: Path) -> None:
    listed = dg(tmp_path, "list", "defs", "--json")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    keys = {asset["asset_key"] for asset in json.loads(listed.stdout)["assets"]}
    assert keys == {s.key.to_user_string() for s in definitions.resolve_all_asset_specs()}
