"""Whole marketplaces replayed by the command, compared row by row with what they demand.

The worlds lie beside the project; what is expected of them was worked out by other code. The weekly
slots, and a claims slot at each moment a claim came up, are replayed over the whole span, the daily
ones, each day like the next, over a part of it.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from cli.shell import Shell

START = "2026-08-31T00:00"
WEEKLY = ("weekly-alert", "weekly-implementation")
WEEKLY_AND_CLAIMS = (*WEEKLY, "claims")
DAILY = ("late-alert", "late-cancellation")
LATE_RULES = ("late_pending_cancellation", "late_ready_to_ship_cancellation")


@pytest.mark.parametrize(
    ("world", "slots", "until"),
    [
        pytest.param("alpha", WEEKLY, "2026-10-10T09:00", id="alpha, its weekly slots"),
        pytest.param(
            "beta",
            WEEKLY_AND_CLAIMS,
            "2026-10-17T09:00",
            id="beta, its weekly and claims slots",
            marks=pytest.mark.slow,
        ),
        pytest.param("alpha", DAILY, "2026-09-09T23:00", id="alpha, ten days of its daily slots"),
    ],
)
def test_a_world_s_replay_decides_exactly_what_is_expected(
    shared: Path, tmp_path: Path, ledger_url: sa.URL, world: str, slots: tuple[str, ...], until: str
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
    only = [word for slot in slots for word in ("--slot", slot)]
    replayed = shell("replay", "--from", START, "--until", until, *only)
    assert replayed.status == 0, replayed.err
    exported = shell("export", "actions", "--out", tmp_path / "actions.csv")
    assert exported.status == 0, exported.err

    expected = read(folder / "expected_actions.csv").filter(
        pl.col("rule").is_in(LATE_RULES) == (slots is DAILY), pl.col("cycle") <= until[:10]
    )
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
