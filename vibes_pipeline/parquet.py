"""Parquet files by name: how DuckDB and Polars are told to read exactly these files.

Here belongs how a path is passed to a reader. A path is a name, never a pattern and never data. By
default the readers take `*`, `?` and `[` in it for wildcards, and a folder named `country=GH` for a
column that replaces the file's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl

WILDCARD = re.compile(r"[*?\[]")


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


def scan(file: Path) -> pl.LazyFrame:
    """A file's rows; Polars reads only the columns and rows that the query needs."""
    return pl.scan_parquet(file, glob=False, hive_partitioning=False)


def read(file: Path) -> pl.DataFrame:
    """A file's rows."""
    return scan(file).collect()
