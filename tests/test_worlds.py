"""Whole marketplaces replayed by the command, compared row by row with what they demand.

The worlds lie beside the project; what is expected of them was worked out by other code.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from cli.shell import Shell

SPANS = {"alpha": ("2026-08-31T00:00", "2026-10-10T09:00")}


@pytest.mark.parametrize("world", SPANS)
def test_a_world_s_replay_decides_exactly_what_is_expected(
    shared: Path, world: str, ledger_url: sa.URL, tmp_path: Path
) -> None:
    folder = shared / "worlds" / world
    if not folder.is_dir():
        pytest.skip(f"there is no world {world} in ../shared/worlds")
    shell = Shell(
        tmp_path,
        {
            "VIBES_HOME": str(tmp_path / "home"),
            "VIBES_WAREHOUSE": str(folder / "raw"),
            "VIBES_POSTGRES_URL": ledger_url.render_as_string(hide_password=False),
        },
    )
    start, end = SPANS[world]
    replayed = shell("replay", "--from", start, "--until", end)
    assert replayed.status == 0, replayed.err
    exported = shell("export", "actions", "--out", tmp_path / "actions.csv")
    assert exported.status == 0, exported.err

    expected = read(folder / "expected_actions.csv")
    decided = read(tmp_path / "actions.csv").select(expected.columns)
    assert decided.height == decided.unique().height
    missing, surplus = without(expected, decided), without(decided, expected)
    assert missing.is_empty(), f"expected, but not decided:\n{missing}"
    assert surplus.is_empty(), f"decided, but not expected:\n{surplus}"


def read(file: Path) -> pl.DataFrame:
    """Every cell as it is written."""
    return pl.read_csv(file, infer_schema=False)


def without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """The rows that the others do not have."""
    return rows.join(others, on=rows.columns, how="anti", nulls_equal=True)
