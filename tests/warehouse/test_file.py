"""The writer of whole warehouses: types, the two forms, and that nothing half-done is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from vibes_pipeline.errors import UsageError
from vibes_pipeline.warehouse.contract import CONTRACT
from vibes_pipeline.warehouse.file import count_rows, new_warehouse

FORMS = ["made.duckdb", "made"]
SPELLED_OUT: dict[str, str] = {}


def tables_at(out: Path) -> duckdb.DuckDBPyConnection:
    """A connection in which schema `raw` is the warehouse at `out`, whichever its form."""
    if out.is_file():
        return duckdb.connect(str(out), read_only=True)
    con = duckdb.connect()
    con.execute("CREATE SCHEMA raw")
    for table in CONTRACT:
        con.read_parquet(str(out / f"{table}.parquet")).create(f"raw.{table}")
    return con


def write_one_seller(
    out: Path, seller_id: str, *, overwrite: bool = False, then: str = "SELECT 1"
) -> None:
    with new_warehouse(out, overwrite=overwrite) as con:
        con.execute("INSERT INTO raw.sellers BY NAME SELECT $id AS seller_id", {"id": seller_id})
        con.execute(then).fetchall()


def the_sellers(out: Path) -> list[str]:
    with tables_at(out) as con:
        return [row[0] for row in con.execute("SELECT seller_id FROM raw.sellers").fetchall()]


@pytest.mark.parametrize("name", FORMS)
def test_every_column_has_the_rulebooks_type_in_both_forms(tmp_path: Path, name: str) -> None:
    with new_warehouse(tmp_path / name):
        pass
    with tables_at(tmp_path / name) as con:
        for table, columns in ((t.name, t.columns) for t in CONTRACT.values()):
            described = con.execute(f"DESCRIBE raw.{table}").fetchall()
            expected = [(name, SPELLED_OUT.get(type_, type_)) for name, type_ in columns.items()]
            assert [row[:2] for row in described] == expected, table


@pytest.mark.parametrize("name", FORMS)
def test_a_failure_leaves_the_old_warehouse_and_nothing_else(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    write_one_seller(out, "old")
    with pytest.raises(duckdb.CatalogException):
        write_one_seller(out, "new", overwrite=True, then="SELECT * FROM raw.no_such_table")
    assert the_sellers(out) == ["old"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_cannot_be_put_into_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "made", Path.rename
    write_one_seller(out, "old")

    def fails_for_the_new(self: Path, target: Path) -> Path:
        if self.name == "tables":
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new)
    with pytest.raises(OSError, match="the disk is gone"):
        write_one_seller(out, "new", overwrite=True)
    assert the_sellers(out) == ["old"]
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", FORMS)
def test_overwriting_replaces_the_whole_warehouse(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    write_one_seller(out, "old")
    write_one_seller(out, "new", overwrite=True)
    assert the_sellers(out) == ["new"]
    assert list(tmp_path.iterdir()) == [out]


def test_the_log_of_an_old_database_is_not_replayed_onto_the_new_one(tmp_path: Path) -> None:
    out = tmp_path / "made.duckdb"
    write_one_seller(out, "old")
    (tmp_path / "made.duckdb.wal").write_bytes(b"left by a writer that was killed")
    write_one_seller(out, "new", overwrite=True)
    assert the_sellers(out) == ["new"]


@pytest.mark.parametrize("name", FORMS)
def test_what_exists_is_not_overwritten_unasked(tmp_path: Path, name: str) -> None:
    write_one_seller(tmp_path / name, "old")
    with pytest.raises(UsageError, match=r"already exists; name another place or ask to overwrite"):
        write_one_seller(tmp_path / name, "new")


def test_a_folder_that_holds_anything_else_is_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "documents"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis.txt, which is no table of a warehouse"):
        write_one_seller(out, "new", overwrite=True)


@pytest.mark.parametrize(
    ("name", "make"),
    [("made.duckdb", Path.mkdir), ("made", Path.touch)],
    ids=["a folder named like a database", "a file where a folder should come"],
)
def test_the_form_in_place_must_be_the_one_the_name_tells(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    with pytest.raises(UsageError, match=r"a \.duckdb name must be a file, any other a folder"):
        write_one_seller(tmp_path / name, "new", overwrite=True)


def test_rows_are_counted_by_table(tmp_path: Path) -> None:
    with new_warehouse(tmp_path / "made") as con:
        con.execute("INSERT INTO raw.sellers BY NAME SELECT 'a' AS seller_id FROM range(3)")
        assert count_rows(con) == {table: 3 * (table == "sellers") for table in CONTRACT}
