"""A ledger with rows in every table, and a desk that tries what the database lets through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psycopg2
import psycopg2.extensions
import pytest
import sqlalchemy as sa
from ledger import made
from ledger.plain_sql import Connection, Desk, plain_url

from vibes_pipeline.keys import Key
from vibes_pipeline.ledger import (
    address_keys,
    claims,
    database,
    operators,
    recorded,
    standings,
    undecipherable,
)
from vibes_pipeline.ledger.claims import Excuse
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.operators import Kind, OperatorsMail
from vibes_pipeline.ledger.recorded import Decision
from vibes_pipeline.ledger.undecipherable import Undecipherable


@pytest.fixture(scope="module")
def filled_ledger(module_ledger_url: sa.URL) -> str:
    """The address of a ledger with rows in every table, one cycle done."""
    ledger = Ledger(database.connect(module_ledger_url), "NG")
    reviews = pl.DataFrame(
        {"seller_id": ["S-1"], "quality_returns": [1], "dropoff_failures": [0], "counterfeits": [0]}
    )
    counterfeits = pl.DataFrame({"seller_id": ["S-1"], "order_item_id": ["I1"]})
    made.freeze_cycle(
        ledger,
        made.a_handful(),
        reviews=reviews,
        reviewed_counterfeits=counterfeits,
        names={"S-1": "Loom"},
    )
    made.accept(ledger)
    missing = made.charge("S-1", "I2", rule="out_of_stock_charge")
    made.implement_cycle(ledger, missing=[missing["action_id"]])
    with ledger.writing(is_simulated=True, now=made.IMPLEMENT_AT) as connection:
        made.claim(connection, "C-open", "S-1", made.IMPLEMENT_AT)
        made.upheld_claim(connection, "C-1", "S-1", made.IMPLEMENT_AT)
        excuse = Excuse("S-1", ["return"], order_item_id="I1")
        claims.record_excuses(connection, "NG", "C-1", [excuse])
    value = Undecipherable("hash", "claims", "C-1", "S-1", "decided_at is null", "upheld")
    undecipherable.record_seen(ledger, [value], is_simulated=True, now=made.IMPLEMENT_AT)
    address_keys.accept(ledger, Key(Path("key"), bytes(32)), made.IMPLEMENT_AT)
    delist = Decision("delist", "Ada", seller_id="S-1")
    recorded.record(ledger, delist, made.IMPLEMENT_AT, made.LAGOS)
    standings.record_standings(ledger, made.standings("S-1"), made.IMPLEMENT_AT)
    to_operators = OperatorsMail(
        Kind.MORNING, "2026-11-21", {}, made.IMPLEMENT_AT, made.IMPLEMENT_AT + made.WEEK, "", ""
    )
    operators.plan(ledger, to_operators, ["hash"])
    counterfeit = made.charge("S-2", "I3", rule="counterfeit_charge")
    made.reverse(ledger, counterfeit, made.IMPLEMENT_AT + made.WEEK, claim_id=None)
    made.move_time(ledger, made.IMPLEMENT_AT + 2 * made.WEEK)
    made.close(ledger, made.CYCLE + 2 * made.WEEK)
    assert all(made.counts(ledger).values())
    ledger.close()
    return plain_url(module_ledger_url)


@pytest.fixture
def raw(filled_ledger: str) -> Iterator[Connection]:
    """A connection whose work is rolled back after the test."""
    connection = psycopg2.connect(filled_ledger)
    yield connection
    connection.rollback()
    connection.close()


@pytest.fixture
def desk(raw: Connection) -> Desk:
    return Desk(raw)
