"""Writing a whole order warehouse: a new DuckDB file or Parquet folder, put into place at once.

Here belongs how the file or folder is built, for the generator and the importers. What its rows
mean, and whether they are good, does not belong here. The pipeline itself only reads a warehouse.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from vibes_pipeline.errors import UsageError
from vibes_pipeline.files import replace_folder
from vibes_pipeline.warehouse.contract import CONTRACT

# The memory that DuckDB may use to write a warehouse; beyond it DuckDB spills to disk.
WRITER_MEMORY = "2GB"


@contextmanager
def new_warehouse(out: Path, *, overwrite: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an empty warehouse, which is put at `out` when the block ends without error.

    The connection holds schema `raw` with all tables of Rulebook §13 and `raw.loads`, typed and
    empty. `out` becomes a DuckDB file if its name ends in `.duckdb`, else a folder with one Parquet
    file per table. It is built beside `out` and renamed, so a reader sees the old warehouse or the
    new one (or, between the two renames of a folder, none). If the block fails, nothing new is
    left, and `out` is as it was.

    Raises UsageError if `out` exists and `overwrite` is false, or if `out` is no warehouse.
    """
    check_target(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch_name:
        scratch = Path(scratch_name)
        built = scratch / "warehouse.duckdb"
        with duckdb.connect(str(built)) as con:
            con.execute("SET memory_limit = $limit", {"limit": WRITER_MEMORY})
            con.execute("SET temp_directory = $folder", {"folder": str(scratch / "spill")})
            _create_tables(con)
            yield con
            if not _is_database(out):
                _write_parquet(con, scratch / "tables")
        if _is_database(out):
            _put_database(built, out)
        else:
            replace_folder(scratch / "tables", out, scratch / "replaced")


def count_rows(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of each table in `raw`, by table name."""
    return {name: len(con.table(f"raw.{name}")) for name in CONTRACT}


def _is_database(out: Path) -> bool:
    return out.suffix == ".duckdb"


def check_target(out: Path, *, overwrite: bool) -> None:
    """UsageError if a warehouse put at `out` would destroy what the user did not ask to replace."""
    if not out.exists():
        return
    if not overwrite:
        raise UsageError(
            f"{out} already exists; name another place or ask to overwrite it with --force"
        )
    if _is_database(out) != out.is_file():
        raise UsageError(f"{out}: a .duckdb name must be a file, any other a folder")
    ours = {f"{name}.parquet" for name in CONTRACT}
    strangers = [] if out.is_file() else sorted(p.name for p in out.iterdir() if p.name not in ours)
    if strangers:
        raise UsageError(
            f"{out} holds {strangers[0]}, which is no table of a warehouse; name another folder"
        )


def _create_tables(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE SCHEMA raw")
    for table, columns in ((t.name, t.columns) for t in CONTRACT.values()):
        typed = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
        con.execute(f"CREATE TABLE raw.{table} ({typed})")


def _write_parquet(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    folder.mkdir()
    for table in CONTRACT:
        con.table(f"raw.{table}").write_parquet(
            str(folder / f"{table}.parquet"), compression="zstd"
        )


def _put_database(built: Path, out: Path) -> None:
    # A log left by a writer of the old file must not be replayed onto the new one.
    out.with_name(f"{out.name}.wal").unlink(missing_ok=True)
    os.replace(built, out)
