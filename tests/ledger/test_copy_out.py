"""Rows out of the database by COPY: exactly what it holds, in as many frames as there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import copy_out, frames
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import INSTANT, MONEY

LAGOS = pl.Datetime("us", "Africa/Lagos")
AT = datetime(2026, 11, 21, 9, 0, 0, 123_456, tzinfo=ZoneInfo("Africa/Lagos"))

HELD = [
    *("", " ", "NULL", "null", "nan", "t", "\\N", "\\.", "\\", "1", "2026-11-21", "a,b", '"', '""'),
    *(
        "'",
        "a\nb",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\t",
        "a%sb",
        "100%",
        ":name",
        "%(a)s",
        "₦ é 😀",
        None,
    ),
]


def values(rows: list[tuple[Any, ...]], **types: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """A query of these rows, in their order."""
    columns = [sa.column("nth", sa.Integer), *(sa.column(n, t) for n, t in types.items())]
    table = sa.values(*columns, name="given").data([(n, *row) for n, row in enumerate(rows)])
    named = (sa.cast(table.c[n], t).label(n) for n, t in types.items())
    return sa.select(*named).order_by(table.c.nth)


@pytest.mark.parametrize("batch_bytes", [1, copy_out.BATCH_BYTES])
def test_text_is_read_as_it_is_held_and_null_is_not_empty(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, batch_bytes: int
) -> None:
    monkeypatch.setattr(copy_out, "BATCH_BYTES", batch_bytes)
    alone = frames.read_frame(ledger, values([(text,) for text in HELD], text=sa.Text()))
    assert alone["text"].to_list() == HELD
    rows = [(text, "." if text is None else None, text) for text in HELD]
    several = values(rows, first=sa.Text(), second=sa.Text(), last=sa.Text())
    assert frames.read_frame(ledger, several).rows() == rows


def test_every_type_of_the_ledger_is_read_exactly(ledger: Ledger) -> None:
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "amount": MONEY,
        "posted_at": INSTANT,
        "cycle": sa.Date(),
        "band": sa.Integer(),
        "event_id": sa.BigInteger(),
        "is_open": sa.Boolean(),
        "action_id": sa.Uuid(),
    }
    full = (
        *(Decimal("-999999999999.99"), AT, date(2026, 11, 9), -(2**31), 2**63 - 1, True),
        UUID(int=7),
    )
    rows = [full, (Decimal("0.10"), None, None, None, None, False, None), (None,) * 7]
    with ledger.reading() as connection:
        read = frames.read(connection, values(rows, **types), LAGOS)
    assert read.rows() == [(*full[:-1], str(full[-1])), *rows[1:]]
    assert dict(read.schema) == {
        "amount": pl.Decimal(14, 2),
        "posted_at": LAGOS,
        "cycle": pl.Date,
        "band": pl.Int32,
        "event_id": pl.Int64,
        "is_open": pl.Boolean,
        "action_id": pl.String,
    }


def test_many_rows_come_in_many_frames_in_order(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_out, "BATCH_BYTES", 1_000)
    n = sa.func.generate_series(1, 1_000, type_=sa.Integer).column_valued("n")
    found: list[pl.DataFrame] = []
    with ledger.reading() as connection:
        frames.read_in_batches(connection, sa.select(n.label("n")), found.append)
    assert len(found) > 2
    assert pl.concat(found)["n"].to_list() == list(range(1, 1_001))


def test_an_error_of_who_takes_the_rows_is_raised_and_the_ledger_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_out, "BATCH_BYTES", 1)

    def refuse(frame: pl.DataFrame) -> None:
        raise ValueError("no room")

    n = sa.func.generate_series(1, 1_000, type_=sa.Integer).column_valued("n")
    with pytest.raises(ValueError, match="no room"), ledger.reading() as connection:
        frames.read_in_batches(connection, sa.select(n.label("n")), refuse)
    assert frames.read_frame(ledger, sa.select(sa.literal(1).label("one")))["one"].to_list() == [1]


def test_a_server_that_goes_away_meanwhile_is_told_in_one_line(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_out, "BATCH_BYTES", 1)
    n = sa.func.generate_series(1, 1_000_000, type_=sa.Integer).column_valued("n")

    def read() -> None:
        with ledger.reading() as connection:
            session = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
            end = sa.select(sa.func.pg_terminate_backend(session, 5_000))
            with ledger.engine.connect() as other:
                frames.read_in_batches(connection, sa.select(n.label("n")), once(other, end))

    with pytest.raises(LedgerError) as error:
        read()
    assert str(error.value).startswith("PostgreSQL went away: ")
    assert "\n" not in str(error.value)


def once(connection: sa.Connection, select: sa.Select[Any]) -> Callable[[pl.DataFrame], None]:
    """Asks a query when the first rows come."""
    asked: list[object] = []

    def ask(frame: pl.DataFrame) -> None:
        if not asked:
            asked.append(connection.execute(select).scalar())

    return ask
