"""Frames into tables by COPY: what goes in comes out, and a refusal is told as any other."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger import made

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import database, schema
from vibes_pipeline.ledger.actions import actions_of
from vibes_pipeline.ledger.copying import MANY, copy_rows, count_anew
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.notices import plan_notices
from vibes_pipeline.ledger.proposals import record_proposed

COPIED = sa.Table(
    "copied",
    sa.MetaData(),
    sa.Column("place", sa.Integer),
    sa.Column("word", sa.Text),
    sa.Column("amount", sa.Numeric(14, 2)),
    sa.Column("at", schema.INSTANT),
    sa.Column("day", sa.Date),
    sa.Column("is_so", sa.Boolean),
    sa.Column("left_out", sa.Text, server_default="its default"),
    prefixes=["TEMPORARY"],
)
FRAME: dict[str, Any] = {
    "place": pl.Int32,
    "word": pl.String,
    "amount": pl.Decimal(14, 2),
    "at": pl.Datetime("us", "Africa/Lagos"),
    "day": pl.Date,
    "is_so": pl.Boolean,
}
# What CSV and COPY give a meaning to.
AWKWARD = [
    "",
    "\\.",
    "\n\\.\n",
    '"',
    '""',
    "a,b",
    "\\N",
    "NULL",
    " x ",
    "\r\n",
    "\\",
    "₦é\u202e",
    "\0",
]

words = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]))
instants = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(made.LAGOS))


@pytest.fixture(scope="module")
def connection(module_ledger_url: sa.URL) -> Any:
    engine = database.connect(module_ledger_url)
    with engine.connect() as connection:
        COPIED.create(connection)
        yield connection
    engine.dispose()


@given(
    st.lists(
        st.tuples(
            words | st.none(),
            st.decimals("-999999999999.99", "999999999999.99", places=2) | st.none(),
            instants | st.none(),
            st.dates(date(1970, 1, 1), date(2200, 1, 1)) | st.none(),
            st.booleans() | st.none(),
        )
    )
)
def test_every_value_comes_out_as_it_went_in(
    connection: sa.Connection, rows: list[tuple[Any, ...]]
) -> None:
    frame = pl.DataFrame([(n, *row) for n, row in enumerate(rows)], schema=FRAME, orient="row")
    connection.execute(sa.delete(COPIED))
    copy_rows(connection, COPIED, frame)
    found = connection.execute(sa.select(COPIED).order_by(COPIED.c.place)).fetchall()
    assert [tuple(row) for row in found] == [
        # PostgreSQL holds any text but a NUL.
        (n, word and word.replace("\0", "\ufffd"), *others, "its default")
        for n, (word, *others) in enumerate(rows)
    ]


def test_an_instant_without_a_zone_is_refused(connection: sa.Connection) -> None:
    with pytest.raises(TypeError, match="instants of copied without a zone: at"):
        copy_rows(connection, COPIED, pl.DataFrame({"at": [datetime(2026, 11, 9)]}))


def test_a_row_that_the_database_refuses_leaves_none(ledger: Ledger) -> None:
    shops = pl.DataFrame({"country": ["XX", "YY"], "seller_id": ["S-1", "S-1"]})
    refused = pytest.raises(sa.exc.IntegrityError, match="shops_country_fkey")
    with refused, ledger.engine.begin() as connection:
        copy_rows(connection, schema.shops, shops)
    assert made.rows(ledger, schema.shops.c.seller_id) == []


def test_a_server_that_goes_away_meanwhile_is_told_in_one_line(ledger: Ledger) -> None:
    shops = pl.DataFrame({"country": ["XX"], "seller_id": ["S-1"]})
    with ledger.engine.connect() as connection, ledger.engine.connect() as other:
        backend = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
        other.execute(sa.select(sa.func.pg_terminate_backend(backend, 10_000)))
        with pytest.raises(LedgerError, match="PostgreSQL went away: "):
            copy_rows(connection, schema.shops, shops)


def test_the_server_counts_anew_after_many_rows(ledger: Ledger) -> None:
    # Without, each of the thousand look-ups that follow may read the whole table.
    items = [f"I{n}" for n in range(MANY)]
    decisions = pl.DataFrame({"order_item_id": items}).with_columns(
        seller_id=pl.col("order_item_id"), amount=pl.lit(Decimal("3000.00")), reason=pl.lit("x")
    )
    actions = actions_of("returns_charge", decisions, made.terms())
    made.freeze_cycle(ledger, [])
    with ledger.writing(is_simulated=True, now=made.ALERT_AT) as connection:
        record_proposed(connection, actions, made.ALERT_AT, cause="tried")
        plan_notices(
            connection,
            country="NG",
            kind=NoticeKind.LATE_ALERT,
            period=made.CYCLE,
            actions=actions,
            now=made.ALERT_AT,
        )
        known = connection.execute(
            sa.text(
                "SELECT relname, reltuples::int FROM pg_class "
                "WHERE relname IN ('actions', 'action_events', 'notices', 'notice_actions')"
            )
        )
        tables = ("actions", "action_events", "notices", "notice_actions")
        assert dict(tuple(row) for row in known) == dict.fromkeys(tables, MANY)


def test_statistics_are_refreshed_by_who_owns_nothing_too(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    with ledger.engine.connect() as connection:
        # As deploy/roles.sql grants them to the role of the services.
        for statement in (
            "CREATE ROLE services",
            "GRANT USAGE ON SCHEMA ledger TO services",
            "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ledger TO services",
            "SET LOCAL ROLE services",
        ):
            connection.execute(sa.text(statement))
        count_anew(connection, schema.actions, schema.action_events)
        counted = connection.execute(
            sa.text(
                "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' "
                "AND relname IN ('actions', 'action_events')"
            )
        ).all()
        connection.rollback()
    size = float(len(made.a_handful()))
    assert sorted(counted) == [("action_events", size), ("actions", size)]
