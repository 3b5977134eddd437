"""Rows of a query by PostgreSQL's COPY, in frames of some ten thousand rows.

Here belongs how rows leave the database: fast, exact, and never all in memory at once. Which types
their columns have says `frames`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import polars as pl
import psycopg2
import pyarrow.csv as pa_csv
import sqlalchemy as sa

from vibes_pipeline.ledger.database import failure

# A wide row has some 300 bytes.
BATCH_BYTES = 4 << 20
PARSING = pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)


def copy_out(
    connection: sa.Connection,
    select: sa.Select[Any],
    types: Mapping[str, pl.DataType | type[pl.DataType]],
    do: Callable[[pl.DataFrame], object],
) -> None:
    """Run `do` with all rows of a query, in order, some thousand at a time; never with none.

    `do` runs in another thread while the next rows are read, one call at a time; its error ends
    the query and is raised. Raises `LedgerError` when the server goes away.
    """
    with ThreadPoolExecutor(max_workers=1) as worker:
        rows = _Rows(types, do, worker)
        copy_lines(connection, select, rows.write)
        rows.end()


def copy_lines(
    connection: sa.Connection, select: sa.Select[Any], write: Callable[[bytes], object]
) -> None:
    """Run `write` with each row of a query, in order, as the line of CSV that PostgreSQL makes.

    One call a row (PostgreSQL's protocol, CopyData).
    Raises `LedgerError` when the server goes away.
    """
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        statement = b"COPY (" + _statement(connection, cursor, select) + COPIED
        try:
            cursor.copy_expert(statement, SimpleNamespace(write=write))
        except psycopg2.Error as error:
            # The session is in the middle of a statement: nothing else can be asked in it.
            connection.invalidate()
            raise failure(error, is_gone=bool(driver.closed)) or error from error
        except BaseException:
            connection.invalidate()
            raise


COPIED = b") TO STDOUT (FORMAT csv)"


class _Rows:
    """Lines gathered to frames, which another thread takes."""

    def __init__(
        self,
        types: Mapping[str, pl.DataType | type[pl.DataType]],
        do: Callable[[pl.DataFrame], object],
        worker: ThreadPoolExecutor,
    ) -> None:
        # The oldest level has the types of text that a parser makes.
        oldest = pl.CompatLevel.oldest()
        self._schema = pl.DataFrame(schema=types).to_arrow(compat_level=oldest).schema
        self._do = do
        self._worker = worker
        self._rows: list[bytes] = []
        self._bytes = 0
        self._at_work: Future[object] | None = None

    def write(self, row: bytes) -> None:
        self._rows.append(row)
        self._bytes += len(row)
        if self._bytes >= BATCH_BYTES:
            self._wait()
            self._at_work = self._worker.submit(self._hand_over, b"".join(self._rows))
            self._rows, self._bytes = [], 0

    def end(self) -> None:
        """Hand over the last rows; a query of few rows needs no other thread."""
        self._wait()
        if self._rows:
            self._hand_over(b"".join(self._rows))

    def _wait(self) -> None:
        if self._at_work is not None:
            self._at_work.result()

    def _hand_over(self, rows: bytes) -> None:
        """Empty text is quoted by COPY, and NULL is nothing at all: the parser tells them apart."""
        parsed = pa_csv.read_csv(
            io.BytesIO(rows),
            read_options=pa_csv.ReadOptions(
                column_names=self._schema.names, block_size=len(rows) + 1
            ),
            parse_options=PARSING,
            convert_options=pa_csv.ConvertOptions(
                column_types=self._schema,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        frame = pl.from_arrow(parsed)
        assert isinstance(frame, pl.DataFrame)
        self._do(frame)


def _statement(connection: sa.Connection, cursor: Any, select: sa.Select[Any]) -> bytes:
    """The query with its values as the driver quotes them: COPY takes no parameters."""
    compiled = select.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    statement: bytes = cursor.mogrify(str(compiled), compiled.params)
    return statement
