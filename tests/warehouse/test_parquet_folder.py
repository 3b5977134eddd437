"""Folders of Parquet as Spark, Delta, Hudi, pandas and others leave them: the rows, or the fault."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from warehouse.parts import ids, rows, write_part
from warehouse.warehouses import failure

from vibes_pipeline.warehouse.source import Warehouse

# --- which files are a table's ------------------------------------------------------------------

JUNK = "what another programme keeps here"

# A layout: its files, each with the seller in it, and the sellers that must be read. A file without
# a seller holds no Parquet.
LAYOUTS: Mapping[str, tuple[Mapping[str, str | None], list[str]]] = {
    "Spark: a folder named like a file": (
        {
            "sellers.parquet/part-00000-4f1c.snappy.parquet": "a",
            "sellers.parquet/part-00001-4f1c.snappy.parquet": "b",
            "sellers.parquet/.part-00000-4f1c.snappy.parquet.crc": None,
            "sellers.parquet/_SUCCESS": None,
        },
        ["a", "b"],
    ),
    "Spark: what a job that was killed leaves": (
        {
            "sellers/part-0.parquet": "a",
            "sellers/_temporary/0/task_1/part-1.parquet": "unfinished",
        },
        ["a"],
    ),
    "Delta: checkpoints of its log": (
        {
            "sellers/part-0.parquet": "a",
            "sellers/_delta_log/00000000000000000010.checkpoint.parquet": "log",
            "sellers/_delta_log/00000000000000000010.json": None,
        },
        ["a"],
    ),
    "Hudi: metadata": (
        {"sellers/2026/11/x_1.parquet": "a", "sellers/.hoodie/metadata/files/y.parquet": "log"},
        ["a"],
    ),
    "a part that is still being copied": (
        {"sellers/part-0.parquet": "a", "sellers/.part-1.parquet": "half", "sellers/b.tmp": None},
        ["a"],
    ),
    "parts in folders of a partition": (
        {"sellers/country=GH/part-0.parquet": "a", "sellers/country=NG/part-0.parquet": "b"},
        ["a", "b"],
    ),
    "no table but the sellers is looked at": (
        {"sellers.parquet": "a", "products/part-0.parquet": "not a product"},
        ["a"],
    ),
}


@pytest.mark.parametrize(("files", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_tables_parts_are_found(
    tmp_path: Path, files: Mapping[str, str | None], expected: list[str]
) -> None:
    for name, seller in files.items():
        if seller is None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(JUNK)
        else:
            write_part(tmp_path / name, seller)
    assert ids(tmp_path) == expected


@pytest.mark.parametrize("place", ["seller_id=other/raw", "raw"])
@pytest.mark.parametrize("part", ["sellers.parquet", "sellers/seller_id=other/part-0.parquet"])
def test_no_column_is_taken_from_the_path(tmp_path: Path, place: str, part: str) -> None:
    write_part(tmp_path / place / part, "mine")
    assert ids(tmp_path / place) == ["mine"]


@pytest.mark.parametrize(
    ("place", "neighbour"),
    [
        ("h?", "h1"),
        ("a*b", "aXb"),
        ("week [46]", "week 4"),
        ("**", "deep"),
        ("o'clock", "o"),
        (" ₦ ümlaut {a,b} ", "a"),
    ],
)
def test_a_path_is_a_name_and_not_a_pattern(tmp_path: Path, place: str, neighbour: str) -> None:
    for name in (place, neighbour):
        write_part(tmp_path / name / "sellers" / "one.parquet", name)
        write_part(tmp_path / name / "sellers" / f"[{name}].parquet", f"{name}, too")
    assert ids(tmp_path / place) == [place, f"{place}, too"]


def test_hundreds_of_parts_are_one_relation(tmp_path: Path) -> None:
    write_part(tmp_path / "sellers" / "part-0.parquet", "a")
    for number in range(1, 300):
        os.link(
            tmp_path / "sellers" / "part-0.parquet", tmp_path / "sellers" / f"part-{number}.parquet"
        )
    with (
        duckdb.connect() as connection,
        Warehouse(tmp_path).mounted(connection, ["sellers"]),
    ):
        ((view,),) = connection.execute(
            "SELECT sql FROM duckdb_views() WHERE view_name = 'sellers'"
        ).fetchall()
        assert connection.execute("SELECT count(*) FROM raw.sellers").fetchall() == [(300,)]
    assert view.count("read_parquet") == 1


# --- parts that are not like the others -----------------------------------------------------------

A_MOMENT = "TIMESTAMPTZ '2026-01-02 03:04:05.006+00'"

READ: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "untyped nulls": ("* REPLACE (NULL AS shop_name, NULL AS onboarded_at)", (None, None, None)),
    "nulls typed as integers": (
        "* REPLACE (NULL::INTEGER AS shop_name, NULL::INTEGER AS onboarded_at, "
        "NULL::INTEGER AS is_jumia_express)",
        (None, None, None),
    ),
    "another order of columns": (
        "onboarded_at, is_jumia_express, country, email, 'shop' AS shop_name, seller_id",
        ("shop", None, None),
    ),
    "further columns": ("*, 1 AS further, 'x' AS more", (None, None, None)),
    "values": (
        f"* REPLACE ('shop' AS shop_name, true AS is_jumia_express, {A_MOMENT} AS onboarded_at)",
        ("shop", True, "2026-01-02 03:04:05.006+00"),
    ),
}


@pytest.mark.parametrize("odd_one", ["first", "last"])
@pytest.mark.parametrize(("selected", "expected"), READ.values(), ids=READ.keys())
def test_a_part_that_can_be_read_exactly_is_read(
    tmp_path: Path, selected: str, expected: tuple[object, ...], odd_one: str
) -> None:
    write_part(tmp_path / "sellers" / "middle.parquet", "usual")
    write_part(tmp_path / "sellers" / f"{odd_one}.parquet", "odd", selected)
    found = rows(tmp_path, "seller_id, shop_name, is_jumia_express, onboarded_at::VARCHAR")
    assert found == [("odd", *expected), ("usual", None, None, None)]


INSTANT = "TIMESTAMP WITH TIME ZONE"

REFUSED: Mapping[str, tuple[str, str]] = {
    "a column is missing": (
        "* EXCLUDE shop_name",
        "raw.sellers in {part} has no column shop_name VARCHAR",
    ),
    "integers where text must be": (
        "* REPLACE (7::INTEGER AS shop_name)",
        "raw.sellers.shop_name in {part} is INTEGER; it must be VARCHAR",
    ),
    "times without a zone": (
        "* REPLACE (TIMESTAMP '2026-01-02 03:04:05' AS onboarded_at)",
        f"raw.sellers.onboarded_at in {{part}} is TIMESTAMP; it must be {INSTANT}",
    ),
    "nanoseconds without a zone": (
        "* REPLACE (TIMESTAMP_NS '2026-01-02 03:04:05' AS onboarded_at)",
        f"raw.sellers.onboarded_at in {{part}} is TIMESTAMP_NS; it must be {INSTANT}",
    ),
    "bytes for text": (
        "* REPLACE ('x'::BLOB AS country)",
        "raw.sellers.country in {part} is BLOB; it must be VARCHAR",
    ),
}


@pytest.mark.parametrize("odd_one", ["first", "last"])
@pytest.mark.parametrize(("selected", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_part_that_cannot_be_read_exactly_is_named_with_its_column(
    tmp_path: Path, selected: str, told: str, odd_one: str
) -> None:
    part = tmp_path / "sellers" / f"{odd_one}.parquet"
    write_part(tmp_path / "sellers" / "middle.parquet", "usual")
    write_part(part, "odd", selected)
    assert failure(tmp_path, "sellers") == told.format(part=part)


# --- what cannot be read --------------------------------------------------------------------------


def test_a_table_that_is_there_twice_is_named_with_both_places(tmp_path: Path) -> None:
    write_part(tmp_path / "sellers.parquet", "new")
    write_part(tmp_path / "sellers" / "part-0.parquet", "old")
    assert failure(tmp_path, "sellers") == (
        f"raw.sellers is there twice, as {tmp_path}/sellers.parquet and as {tmp_path}/sellers; "
        "remove the one that is old"
    )


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


SPOILT: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (
        cut_short,
        "No magic bytes found at end of file '{part}'; write it anew",
    ),
    "empty": (
        lambda file: file.write_bytes(b""),
        "File '{part}' too small to be a Parquet file; write it anew",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), SPOILT.values(), ids=SPOILT.keys())
def test_a_part_that_is_no_parquet_file_is_named(
    tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    for name in ("first", "last"):
        write_part(tmp_path / "sellers" / f"{name}.parquet", name)
    part = tmp_path / "sellers" / "last.parquet"
    spoil(part)
    cause = f"Invalid Input Error: {told.format(part=part)}"
    assert failure(tmp_path, "sellers") == f"raw.sellers in {tmp_path} cannot be read: {cause}"


@pytest.mark.parametrize("broken", [slice(2000, 9000), slice(4, 40)], ids=["page", "page header"])
def test_a_part_that_is_broken_inside_is_named(tmp_path: Path, broken: slice) -> None:
    # Its footer is whole: it breaks only once the rows are read.
    for name in ("first", "last"):
        long = "(SELECT string_agg(range::VARCHAR) FROM range(9999))"
        write_part(tmp_path / "sellers" / f"{name}.parquet", name, f"* REPLACE ({long} AS email)")
    part = tmp_path / "sellers" / "last.parquet"
    content = bytearray(part.read_bytes())
    content[broken] = b"\x55" * len(content[broken])
    part.write_bytes(content)
    said = failure(tmp_path, "sellers")
    assert said.startswith(f"{part} cannot be read: ")
    assert said.endswith("; write it anew")


def test_a_link_to_nowhere_is_no_absent_table(tmp_path: Path) -> None:
    write_part(tmp_path / "sellers.parquet", "a")
    (tmp_path / "claims.parquet").symlink_to(tmp_path / "gone.parquet")
    assert failure(tmp_path, "sellers").startswith(
        f"{tmp_path}/claims.parquet cannot be read: No such file"
    )


@contextmanager
def nobody() -> Iterator[None]:
    """A user without rights of its own, where the tests' own has all."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("closed", ["raw", "raw/sellers", "raw/sellers/more"])
def test_a_folder_without_rights_is_named(closed: str) -> None:
    with TemporaryDirectory() as home:
        write_part(Path(home, "raw/sellers/more/part-0.parquet"), "a")
        Path(home).chmod(0o755)
        Path(home, closed).chmod(0)
        try:
            with nobody():
                said = failure(Path(home, "raw"), "sellers")
        finally:
            Path(home, closed).chmod(0o755)
    assert said.startswith(f"{home}/{closed}")
    assert said.endswith(
        "cannot be read: Permission denied; let the user that this runs as read it"
    )


def test_a_pipe_is_no_warehouse(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert failure(tmp_path / "pipe", "sellers") == (
        f"{tmp_path}/pipe is neither a file nor a folder; set VIBES_WAREHOUSE to a DuckDB file or "
        "a folder of Parquet"
    )
