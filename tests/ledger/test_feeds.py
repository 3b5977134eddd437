"""What finance and enforcement read: sums that tie, what is in force when, who may read what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from ledger import made

from vibes_pipeline.ledger import database, feeds, schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.rules import CHARGES

REVERSED_AT = made.IMPLEMENT_AT + timedelta(days=3)
VIEWS = [t for m in feeds.SCHEMAS.values() for t in m.tables.values()]
READERS = [("vibes_finance", "finance"), ("vibes_enforcement", "enforcement")]


@pytest.fixture(scope="module")
def after_a_cycle(module_ledger: Ledger) -> Ledger:
    """A handful implemented; one charge of it reversed in the week after. It is only read."""
    return implemented(module_ledger)


@pytest.fixture
def going_on(ledger: Ledger) -> Ledger:
    """The same for a test that goes on from there."""
    return implemented(ledger)


def implemented(ledger: Ledger) -> Ledger:
    made.freeze_cycle(ledger, made.a_handful(), names={"S-1": "Loom", "S-2": "Kettle"})
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.reverse(ledger, made.charge("S-1", "I1"), REVERSED_AT)
    return ledger


@pytest.fixture
def reader(after_a_cycle: Ledger, request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """A person who belongs to one of the reading roles and to nothing else."""
    with after_a_cycle.engine.connect() as connection:
        connection.execute(sa.text("CREATE ROLE analyst"))
        connection.execute(sa.text(f"GRANT {request.param} TO analyst"))
        connection.execute(sa.text("SET LOCAL ROLE analyst"))
        yield connection


def rows(ledger: Ledger, view: sa.Table, **only: Any) -> list[dict[str, Any]]:
    select = sa.select(view).where(*(view.c[name] == value for name, value in only.items()))
    with ledger.reading() as connection:
        return [dict(row) for row in connection.execute(select).mappings()]


# --- finance ------------------------------------------------------------------------------------


def test_a_statement_sums_a_sellers_postings_of_a_week_by_rule(after_a_cycle: Ledger) -> None:
    (first,) = rows(after_a_cycle, feeds.seller_statements, seller_id="S-2")
    assert first == {
        "statement_period": made.CYCLE + made.WEEK,
        "seller_id": "S-2",
        "shop_name": "Kettle",
        "currency": "NGN",
        "out_of_stock_charge": Decimal("0.00"),
        "late_fulfilment_charge": Decimal("0.00"),
        "returns_charge": Decimal("0.00"),
        "dropoff_qc_charge": Decimal("0.00"),
        "counterfeit_charge": Decimal("50000.00"),
        "debits": Decimal("50000.00"),
        "reversals": Decimal("0.00"),
        "net": Decimal("50000.00"),
        "postings": 1,
        "country": "NG",
    }


def test_a_reversal_is_in_the_statement_of_the_week_it_was_posted_in(after_a_cycle: Ledger) -> None:
    of = {
        s["statement_period"]: s
        for s in rows(after_a_cycle, feeds.seller_statements, seller_id="S-1")
    }
    debited, credited = (of[made.CYCLE + n * made.WEEK] for n in (1, 2))
    assert (debited["debits"], debited["reversals"]) == (Decimal("4234.50"), 0)
    assert (credited["debits"], credited["net"]) == (0, Decimal("-3000.00"))


def test_totals_are_by_rule_and_week(after_a_cycle: Ledger) -> None:
    shown = {
        (t["statement_period"], t["rule"]): (
            t["debits"],
            t["reversals"],
            t["net"],
            t["debit_postings"],
            t["reversal_postings"],
        )
        for t in rows(after_a_cycle, feeds.charge_totals)
    }
    posted, later = made.CYCLE + made.WEEK, made.CYCLE + 2 * made.WEEK
    assert shown == {
        (posted, "counterfeit_charge"): (50000, 0, 50000, 1, 0),
        (posted, "out_of_stock_charge"): (Decimal("1234.50"), 0, Decimal("1234.50"), 1, 0),
        (posted, "returns_charge"): (3000, 0, 3000, 1, 0),
        (later, "returns_charge"): (0, -3000, -3000, 0, 1),
    }


def test_a_statement_has_a_line_of_each_rule(after_a_cycle: Ledger) -> None:
    found = rows(after_a_cycle, feeds.seller_statement_lines, seller_id="S-1")
    posted, later = made.CYCLE + made.WEEK, made.CYCLE + 2 * made.WEEK
    assert {(r["statement_period"], r["rule"]): r for r in found} == {
        (period, rule): {
            "statement_period": period,
            "seller_id": "S-1",
            "shop_name": "Loom",
            "rule": rule,
            "currency": "NGN",
            "debits": Decimal(debits),
            "reversals": Decimal(reversals),
            "net": Decimal(debits) + Decimal(reversals),
            "debit_postings": int(debits != "0.00"),
            "reversal_postings": int(reversals != "0.00"),
            "country": "NG",
        }
        for period, rule, debits, reversals in (
            (posted, "out_of_stock_charge", "1234.50", "0.00"),
            (posted, "returns_charge", "3000.00", "0.00"),
            (later, "returns_charge", "0.00", "-3000.00"),
        )
    }


def test_a_rule_added_later_has_lines_and_is_in_the_sums_of_the_statement(ledger: Ledger) -> None:
    later = made.charge_of_a_later_rule("S-1", "I2")
    made.freeze_cycle(ledger, [made.charge("S-1", "I1"), later])
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.implement_charge(ledger, later)
    lines = rows(ledger, feeds.seller_statement_lines)
    assert {line["rule"]: line["debits"] for line in lines} == {
        "returns_charge": 3000,
        "rejection_charge": 40,
    }
    (statement,) = rows(ledger, feeds.seller_statements)
    assert (statement["returns_charge"], statement["debits"], statement["net"]) == (
        3000,
        3040,
        3040,
    )
    assert statement["postings"] == 2


def test_every_sum_ties_to_the_postings(after_a_cycle: Ledger) -> None:
    (posted,) = made.rows(after_a_cycle, sa.func.sum(schema.postings.c.amount))[0]
    statements = rows(after_a_cycle, feeds.seller_statements)
    totals = rows(after_a_cycle, feeds.charge_totals)
    lines = rows(after_a_cycle, feeds.seller_statement_lines)
    for summed in (statements, totals, lines):
        assert sum(s["net"] for s in summed) == posted
    for line in (*statements, *totals, *lines):
        assert line["debits"] + line["reversals"] == line["net"]
    for statement in statements:
        assert sum(statement[rule] for rule in CHARGES) == statement["debits"]


# --- enforcement ----------------------------------------------------------------------------------

REGULATIONS = (feeds.order_regulations_in_force, feeds.sales_regulations_in_force)


@pytest.mark.parametrize(
    ("why", "since", "is_in_force"),
    [
        ("at its implementation", timedelta(0), True),
        ("to its last moment", timedelta(days=7) - timedelta(microseconds=1), True),
        ("when its days are over", timedelta(days=7), False),
    ],
)
def test_a_regulation_is_in_force_for_its_days(
    going_on: Ledger, why: str, since: timedelta, is_in_force: bool
) -> None:
    made.move_time(going_on, made.IMPLEMENT_AT + since)
    for view in REGULATIONS:
        found = rows(going_on, view)
        assert bool(found) == is_in_force, view.name
        for row in found:
            assert row["in_force_from"] == made.IMPLEMENT_AT
            assert row["in_force_until"] == made.IMPLEMENT_AT + timedelta(days=7)


def test_the_days_are_those_it_was_decided_with(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.order_regulation("S-1", in_force_days=3)])
    made.accept(ledger)
    made.implement_cycle(ledger)
    (row,) = rows(ledger, feeds.order_regulations_in_force)
    assert row["in_force_until"] - row["in_force_from"] == timedelta(days=3)
    assert (row["daily_order_limit"], row["pending_to_shipped_limit"]) == (21, 42)


def test_an_order_regulation_ends_when_the_sellers_next_one_is_implemented(ledger: Ledger) -> None:
    given = made.terms(made.NEXT_CYCLE)
    long = made.order_regulation("S-1", in_force_days=30)
    made.freeze_cycle(ledger, [long, made.order_regulation("S-2", in_force_days=30)])
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.freeze_cycle(ledger, [made.order_regulation("S-1", given=given)], cycle=made.NEXT_CYCLE)
    made.accept(ledger, made.ALERT_AT + made.WEEK)
    assert {r["cycle"] for r in rows(ledger, feeds.order_regulations_in_force)} == {made.CYCLE}
    made.implement_cycle(ledger, made.NEXT_CYCLE)
    shown = {(r["seller_id"], r["cycle"]) for r in rows(ledger, feeds.order_regulations_in_force)}
    assert shown == {("S-1", made.NEXT_CYCLE), ("S-2", made.CYCLE)}


STRUCK = {
    feeds.order_regulations_in_force: made.order_regulation("S-1"),
    feeds.sales_regulations_in_force: made.sales_regulation("S-2", "SKU-A"),
    feeds.product_delistings: made.product_delisting("S-2", "SKU-A"),
    feeds.account_delistings: made.account_delisting("S-3"),
}


def test_what_is_reversed_is_not_in_force(going_on: Ledger) -> None:
    for number, (view, action) in enumerate(STRUCK.items(), 2):
        (row,) = rows(going_on, view)
        assert row["action_id"] == action["action_id"]
        assert row["reference"] == action["reference"]
        made.reverse(going_on, action, REVERSED_AT, claim_id=f"C-{number}")
        assert rows(going_on, view) == []


def test_a_delisting_outlives_every_week(going_on: Ledger) -> None:
    made.move_time(going_on, made.IMPLEMENT_AT + timedelta(days=700))
    assert [r["sku"] for r in rows(going_on, feeds.product_delistings)] == ["SKU-A"]
    assert [r["seller_id"] for r in rows(going_on, feeds.account_delistings)] == ["S-3"]


def test_what_is_only_alerted_is_not_in_force(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    for view in (*REGULATIONS, feeds.product_delistings, feeds.account_delistings):
        assert rows(ledger, view) == []


def test_on_a_live_ledger_it_is_now(ledger: Ledger) -> None:
    with ledger.writing(is_simulated=False, now=made.ALERT_AT) as connection:
        moment, now = connection.execute(sa.select(views.moments.c.at, sa.func.now())).one()
    assert moment == now


# --- who may read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("reader", "own"), READERS, indirect=["reader"], ids=dict(READERS))
def test_a_reader_reads_every_view_of_their_schema(reader: sa.Connection, own: str) -> None:
    for view in feeds.SCHEMAS[own].tables.values():
        reader.execute(sa.select(view)).fetchall()


@pytest.mark.parametrize(("reader", "own"), READERS, indirect=["reader"], ids=dict(READERS))
def test_a_reader_reads_nothing_else_and_makes_nothing(reader: sa.Connection, own: str) -> None:
    others = [t for t in VIEWS if t.schema != own]
    refused: list[sa.Executable] = [
        sa.select(t)
        for t in (*others, *schema.metadata.tables.values(), *views.metadata.tables.values())
    ]
    refused += [sa.text(f"CREATE TABLE {own}.mine (n INTEGER)")]
    for statement in refused:
        with (
            pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
            reader.begin_nested(),
        ):
            reader.execute(statement)


def test_the_roles_log_nobody_in(after_a_cycle: Ledger) -> None:
    select = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'vibes\\_%' AND NOT rolcanlogin"
    with after_a_cycle.engine.connect() as connection:
        found = connection.execute(sa.text(select)).scalars().all()
    assert set(found) == {*(role for role, _ in READERS), "vibes_operations"}


def test_a_user_who_may_make_no_roles_still_gets_the_views(
    empty_database: sa.URL, administration: sa.Engine
) -> None:
    with administration.connect() as connection:
        for words in ("DROP ROLE IF EXISTS plain_owner", "CREATE ROLE plain_owner LOGIN"):
            connection.execute(sa.text(words))
        connection.execute(
            sa.text(f"ALTER DATABASE {empty_database.database} OWNER TO plain_owner")
        )
    ledger = Ledger(database.connect(empty_database.set(username="plain_owner")), "NG")
    assert rows(ledger, feeds.charges) == []
    ledger.close()
    with administration.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {empty_database.database} WITH (FORCE)"))
        connection.execute(sa.text(f"CREATE DATABASE {empty_database.database}"))
        connection.execute(sa.text("DROP ROLE plain_owner"))


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.fullname)
def test_every_view_and_column_says_what_it_is(after_a_cycle: Ledger, view: sa.Table) -> None:
    inspector = sa.inspect(after_a_cycle.engine)
    assert inspector.get_table_comment(view.name, view.schema)["text"]
    for column in inspector.get_columns(view.name, view.schema):
        assert column["comment"], column["name"]


# --- reading never blocks -------------------------------------------------------------------------


def test_a_reader_who_stays_neither_blocks_a_week_nor_the_next_start(
    ledger: Ledger, ledger_url: sa.URL
) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    # Whatever would have to wait for the reader fails instead.
    hasty = ledger_url.update_query_dict({"options": "-c lock_timeout=2s"})
    with ledger.engine.connect() as reader:
        held = [len(reader.execute(sa.select(view)).fetchall()) for view in VIEWS]
        running = Ledger(database.connect(hasty), "NG")
        made.implement_cycle(running)
        given = made.terms(made.NEXT_CYCLE)
        made.freeze_cycle(running, [made.charge("S-1", "I9", given=given)], cycle=made.NEXT_CYCLE)
        made.accept(running, made.ALERT_AT + made.WEEK)
        made.implement_cycle(running, made.NEXT_CYCLE)
        seen = len(reader.execute(sa.select(feeds.charges)).fetchall())
        locks = (
            reader.execute(
                sa.text(
                    "SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'"
                )
            )
            .scalars()
            .all()
        )
    assert (sum(held[:3]), seen) == (0, 4)
    assert locks == ["AccessShareLock"]
    running.close()


def test_what_is_being_written_does_not_hold_a_reader_up(going_on: Ledger) -> None:
    given = made.terms(made.NEXT_CYCLE)
    later = made.IMPLEMENT_AT + made.WEEK
    with going_on.writing(is_simulated=True, now=later) as writing:
        action = made.charge("S-1", "I9", given=given)
        writing.execute(schema.actions.insert(), [dict(action)])
        with going_on.engine.connect() as reader:
            reader.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
            for view in VIEWS:
                reader.execute(sa.select(view)).fetchall()
