"""Parquet files by name: how DuckDB and Polars are told to read exactly these files.

Here belongs how a path is passed to a reader, and which files of a folder are its parts. A path is
a name, never a pattern and never data. By default the readers take `*`, `?` and `[` in it for
wildcards, and a folder named `country=GH` for a column that replaces the file's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import polars.selectors as cs

ZONED = cs.datetime(time_zone="*")
WILDCARD = re.compile(r"[*?\[]")
# How the names of other files in a folder of parts begin, such as those of Spark, Delta and Hudi.
NOT_A_PART = ("_", ".")


def parts(path: Path) -> list[Path]:
    """The Parquet files that hold the rows of a path: the file itself, or those below the folder.

    Raises `OSError` for a folder that cannot be looked through.
    """
    if not path.is_dir():
        return [path]
    found = []
    for folder, names, files in os.walk(path, onerror=_raise, followlinks=True):
        names[:] = [name for name in names if not name.startswith(NOT_A_PART)]
        found += [
            Path(folder, name)
            for name in files
            if name.endswith(".parquet") and not name.startswith(NOT_A_PART)
        ]
    return sorted(found)


def sql_text(text: Path | str) -> str:
    """A path or another text as an SQL string: DuckDB takes no parameters where files are named."""
    return "'" + str(text).replace("'", "''") + "'"


def sql_paths(paths: Iterable[Path]) -> str:
    """A list of paths in SQL; each matches only the file of that name."""
    return f"[{', '.join(sql_text(without_wildcards(path)) for path in paths)}]"


def sql_rows(files: Iterable[Path]) -> str:
    """The rows of Parquet files of one schema, as a relation in DuckDB's SQL."""
    return f"read_parquet({sql_paths(files)}, hive_partitioning = false)"


def without_wildcards(path: Path) -> str:
    """A pattern that matches only the path itself."""
    return WILDCARD.sub(lambda found: f"[{found[0]}]", str(path))


def scan(path: Path) -> pl.LazyFrame:
    """The rows of a file or folder; Polars reads only the columns and rows that the query needs."""
    rows = pl.scan_parquet(parts(path), glob=False, hive_partitioning=False)
    # A cluster may mark instants with its session's zone; ours are in UTC.
    return rows.with_columns(ZONED.dt.convert_time_zone("UTC")) if path.is_dir() else rows


def read(path: Path) -> pl.DataFrame:
    """The rows of a file or folder."""
    return scan(path).collect()


def _raise(error: OSError) -> None:
    raise error
