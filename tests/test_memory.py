"""What DuckDB may hold, where the rest goes, and what a killed process leaves there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vibes_pipeline.errors import VibesError
from vibes_pipeline.memory import Memory
from vibes_pipeline.slots.faults import told_in_one_line

ROWS = 2_000_000
TABLE = f"CREATE TABLE words AS SELECT md5(range::VARCHAR) AS word FROM range({ROWS})"
GROUPED = "SELECT count(*) FROM (SELECT word, count(*) FROM words GROUP BY word)"


def test_what_does_not_fit_is_held_in_a_folder_of_its_own_and_goes_with_the_database(
    tmp_path: Path,
) -> None:
    spill = tmp_path / "home" / "spill"
    with Memory("40MB", spill).database() as connection:
        connection.execute("SET threads = 1")
        connection.execute(TABLE)
        assert list(spill.iterdir()), "nothing was spilled: the limit is too high to prove anything"
        assert connection.execute(GROUPED).fetchone() == (ROWS,)
    assert list(spill.iterdir()) == []


def test_a_part_of_the_machine_is_less_than_all_of_it(tmp_path: Path) -> None:
    with Memory("60%", tmp_path).database() as connection:
        row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    assert row[0].endswith("iB")


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_stays(
    tmp_path: Path,
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, used, other = (tmp_path / name for name in (f"{dead.pid}-1", f"{os.getpid()}-0", "notes"))
    for folder in (left, used, other):
        folder.mkdir()
        (folder / "duckdb_temp_storage_DEFAULT-0.tmp").touch()
    Memory("1GB", tmp_path).database().close()
    assert sorted(tmp_path.iterdir()) == sorted([used, other])


def test_a_slot_without_enough_memory_ends_in_one_line_with_the_way_out(tmp_path: Path) -> None:
    with Memory("20MB", tmp_path).database() as connection:
        connection.execute("SET max_temp_directory_size = '1MB'")
        way_out = "raise VIBES_MEMORY or make room, and run the slot again"
        with pytest.raises(VibesError, match=way_out), told_in_one_line():
            connection.execute(TABLE)
