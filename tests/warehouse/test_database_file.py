"""DuckDB files that cannot be read as the warehouse: each is one line with the way out."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pytest
from warehouse.parts import ids
from warehouse.warehouses import DUCKDB_FILE, build, failure

KILLED_LOADER = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO raw.sellers BY NAME SELECT 'S-3' AS seller_id")
os._exit(0)
"""


def kill_a_loader_of(path: Path) -> None:
    """A loader that ends without closing the file leaves its log beside it."""
    subprocess.run([sys.executable, "-c", KILLED_LOADER, str(path)], check=True)


def of_sqlite(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sellers (seller_id)")
    connection.close()


def encrypted(path: Path) -> None:
    path.unlink()
    with duckdb.connect() as connection:
        # What it is encrypted with does not matter here.
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{path}' AS e (ENCRYPTION_KEY 'a key')")
        connection.execute("CREATE SCHEMA e.raw")


def of_storage_version(number: int) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[12:20] = number.to_bytes(8, "little")
        path.write_bytes(content)
        # The header's checksum is what DuckDB expects there.
        (checksum,) = re.findall(r"computed checksum (\d+)", failure(path, "sellers"))
        content[:8] = int(checksum).to_bytes(8, "little")
        path.write_bytes(content)

    return rewrite


NO_DATABASE = (
    'IO Error: The file "{path}" exists, but it is not a valid DuckDB database file!; '
    "write it as DuckDB, or name another in VIBES_WAREHOUSE"
)
OF_VERSION = (
    "IO Error: Trying to read a database file with storage version number {number}, but we can only"
)

UNREADABLE: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), NO_DATABASE),
    "of SQLite": (of_sqlite, NO_DATABASE),
    "zeros": (lambda path: path.write_bytes(bytes(20_000)), NO_DATABASE),
    "encrypted": (
        encrypted,
        'Catalog Error: Cannot open encrypted database "{path}" without a key; no key is known '
        "here: write it unencrypted",
    ),
    "of a later DuckDB": (of_storage_version(200), OF_VERSION.format(number=200)),
    "of an early DuckDB": (of_storage_version(20), OF_VERSION.format(number=20)),
}


@pytest.mark.parametrize(("spoil", "told"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_is_not_for_us_is_told_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    spoil(path)
    expected = f"{path} cannot be read as a DuckDB file: {told.format(path=path)}"
    assert failure(path, "sellers").startswith(expected)


def test_a_file_of_another_version_is_to_be_written_as_this_one_reads_it(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    of_storage_version(200)(path)
    way_out = f"; write it as DuckDB {duckdb.__version__} reads it, or as Parquet"
    assert failure(path, "sellers").endswith(way_out)


def test_a_file_with_a_broken_block_is_named(tmp_path: Path) -> None:
    # Its header is whole: it breaks only once the rows are read.
    path = build(
        tmp_path,
        DUCKDB_FILE,
        "INSERT INTO raw.sellers BY NAME SELECT md5(range::VARCHAR) AS seller_id FROM range(99999)",
        "CHECKPOINT",
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = b"\x55" * 4096
    path.write_bytes(content)
    said = failure(path, "sellers")
    assert said.startswith(f"{path} cannot be read: Corrupt database file: ")
    assert said.endswith("; write it anew")


def other_file(path: Path) -> None:
    """A fresh warehouse is renamed over the file whose loader was killed."""
    fresh = path.with_name("fresh")
    fresh.mkdir()
    os.replace(build(fresh, DUCKDB_FILE, "DELETE FROM raw.products"), path)


def its_copy(path: Path) -> None:
    """A copy of the file, loaded, is renamed over it."""
    copy = path.with_name("copy.duckdb")
    shutil.copy(path, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("DELETE FROM raw.products")
    os.replace(copy, path)


@pytest.mark.parametrize("then", [lambda path: None, other_file, its_copy])
def test_a_log_beside_the_file_is_neither_left_out_nor_taken_in(
    tmp_path: Path, then: Callable[[Path], None]
) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    kill_a_loader_of(path)
    then(path)
    assert failure(path, "sellers") == (
        f"{path}.wal lies beside the warehouse: its loader was cut short, or has renamed a file "
        "into place and left the old one's log; let it open and close the file, or delete the log"
    )


def test_once_the_loader_has_closed_the_file_its_rows_are_there(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    kill_a_loader_of(path)
    duckdb.connect(str(path)).close()
    assert ids(path) == ["S-1", "S-2", "S-3"]


def test_an_empty_log_does_not_matter(tmp_path: Path) -> None:
    path = build(tmp_path, DUCKDB_FILE)
    path.with_name(f"{path.name}.wal").touch()
    assert ids(path) == ["S-1", "S-2"]


@pytest.mark.parametrize("name", ["h?.duckdb", "week [46].duckdb", "o'clock ₦.duckdb"])
def test_a_file_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    path = build(tmp_path, DUCKDB_FILE).rename(tmp_path / name)
    assert ids(path) == ["S-1", "S-2"]
