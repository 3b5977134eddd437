"""Frames into the ledger's tables by COPY: all rows of a table in one statement.

Here belongs how a frame's values become a table's. Which rows are recorded is said in the modules
beside this one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import polars as pl
import polars.selectors as cs
import sqlalchemy as sa

from vibes_pipeline.ledger.database import COPIED
from vibes_pipeline.ledger.frames import IN_UTC

# The server refreshes its statistics by itself only now and then. From so many new rows on, plans
# made without them cost more than counting does.
MANY = 1_000


def copy_rows(connection: sa.Connection, table: sa.Table, rows: pl.DataFrame) -> None:
    """Append a frame's rows; its columns are the table's by name, those it lacks have defaults.

    They go in by the frame's first column: rows in the order of their ids touch each page of an
    index once.

    Amounts stay exact and instants keep their zone; `TypeError` for an instant without one. Raises
    what the database says of a row that it refuses; then no row is appended.
    """
    if naive := rows.select(cs.datetime(time_zone=None)).columns:
        raise TypeError(f"instants of {table.name} without a zone: {', '.join(naive)}")
    if rows.is_empty():
        return
    names = connection.dialect.identifier_preparer
    columns = ", ".join(names.format_column(table.c[name]) for name in rows.columns)
    text = BytesIO()
    storable(rows).sort(rows.columns[0], maintain_order=True).write_csv(text, include_header=False)
    text.seek(0)
    connection.exec_driver_sql(
        f"COPY {names.format_table(table)} ({columns}) FROM STDIN (FORMAT csv)",
        execution_options={COPIED: text},
    )


def storable(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as PostgreSQL can hold them: any text but a NUL."""
    return rows.with_columns(cs.string().str.replace_all("\0", "\ufffd", literal=True))


def instant(at: datetime | None) -> pl.Expr:
    """One instant for all rows, whatever zone it comes in."""
    return pl.lit(at and at.astimezone(UTC), dtype=IN_UTC)


def count_anew(connection: sa.Connection, *tables: sa.Table) -> None:
    """Let the server know how much the tables hold now, for the plans of what follows."""
    names = [table.name for table in tables]
    connection.execute(sa.select(sa.func.ledger.count_anew(*names)))
