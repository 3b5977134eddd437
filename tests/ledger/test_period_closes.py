"""The close of a statement period: nothing is posted into it any more, and that can be proved."""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from documents import PROJECT
from ledger import made
from ledger.plain_sql import plain_url

from vibes_pipeline.calendar import monday_of
from vibes_pipeline.errors import LedgerError, UsageError, VibesError
from vibes_pipeline.ledger import closes, feeds, schema
from vibes_pipeline.ledger.ledger import Ledger

PERIOD, NEXT_PERIOD = made.CYCLE + made.WEEK, made.CYCLE + 2 * made.WEEK
REVERSED_AT = made.IMPLEMENT_AT + timedelta(days=3)
DOCS = PROJECT / "docs" / "finance.md"


@pytest.fixture
def posted(ledger: Ledger) -> Ledger:
    """A handful implemented, one charge reversed in the week after; that week is over, too."""
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.reverse(ledger, made.charge("S-1", "I1"), REVERSED_AT)
    made.move_time(ledger, made.IMPLEMENT_AT + 2 * made.WEEK)
    return ledger


def execute(ledger: Ledger, *statements: str) -> None:
    with ledger.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_a_close_keeps_the_totals_and_the_hash_and_is_verified(posted: Ledger) -> None:
    closed = [made.close(posted, period) for period in (PERIOD, NEXT_PERIOD)]
    assert [close.sums.postings for close in closed] == [3, 1]
    assert {row["rule"]: row["net"] for row in closed[0].sums.totals} == {
        "counterfeit_charge": Decimal("50000.00"),
        "out_of_stock_charge": Decimal("1234.50"),
        "returns_charge": Decimal("3000.00"),
    }
    assert closed[0].sums.sha256 != closed[1].sums.sha256
    assert all(now == close.sums for close, now in closes.verify_closes(posted))
    t, c = feeds.period_close_totals.c, feeds.charge_totals.c
    names = ("statement_period", "rule", "debits", "reversals", "net", "debit_postings")
    kept, summed = ([v[name] for name in names] for v in (t, c))
    assert sorted(made.rows(posted, *kept)) == sorted(made.rows(posted, *summed))
    assert [row[0] for row in made.rows(posted, feeds.period_closes.c.sha256)] == [
        close.sums.sha256 for close in closed
    ]


def test_a_week_without_a_posting_is_closed_too(posted: Ledger) -> None:
    made.move_time(posted, made.IMPLEMENT_AT + 3 * made.WEEK)
    close = made.close(posted, NEXT_PERIOD + made.WEEK)
    assert (close.sums.postings, close.sums.totals) == (0, [])
    assert close.sums.sha256 == hashlib.sha256().hexdigest()
    assert [now for _, now in closes.verify_closes(posted)] == [close.sums]


def test_a_period_is_closed_once(posted: Ledger) -> None:
    first = made.close(posted, PERIOD)
    made.move_time(posted, made.IMPLEMENT_AT + 4 * made.WEEK)
    again = made.close(posted, PERIOD)
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.closed_at, again.sums) == (first.closed_at, first.sums)
    assert made.rows(posted, sa.func.count(schema.period_closes.c.sha256)) == [(1,)]


def test_a_simulated_ledger_closes_as_of_its_newest_event(posted: Ledger) -> None:
    assert made.close(posted, PERIOD, datetime.now(UTC)).closed_at == made.IMPLEMENT_AT + (
        2 * made.WEEK
    )


def test_a_live_ledger_closes_by_the_wall_clock(ledger: Ledger) -> None:
    now = datetime.now(made.LAGOS)
    last_week = monday_of(now.date()) - made.WEEK
    with ledger.writing(is_simulated=False, now=now - 3 * made.WEEK):
        pass
    assert made.close(ledger, last_week, now).closed_at == now
    with pytest.raises(UsageError, match="is not over before"):
        made.close(ledger, monday_of(now.date()), now)


# --- what is refused ------------------------------------------------------------------------------

REFUSED: list[tuple[str, date, type[VibesError], str]] = [
    (
        "a week that goes on",
        NEXT_PERIOD + made.WEEK,
        UsageError,
        r"the statement period 2026-11-30 is not over before 2026-12-07 00:00, and of this "
        r"simulated ledger it is 2026-12-05 09:00; close it then",
    ),
    (
        "a week before the ledger",
        made.CYCLE - made.WEEK,
        UsageError,
        r"the statement period 2026-11-02 was over before this ledger's first slot, at "
        r"2026-11-18 07:00; name a later one",
    ),
    (
        "a rule that the policy has no accounts of",
        NEXT_PERIOD,
        LedgerError,
        r"no accounts are recorded of rejection_charge: .* records those of the policy",
    ),
]


def test_what_cannot_be_closed_is_refused_in_one_line(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"nothing was posted yet: the ledger's first slot"):
        made.close(ledger, PERIOD)
    later = made.charge_of_a_later_rule("S-1", "I8")
    made.freeze_cycle(ledger, [later])
    made.accept(ledger)
    made.implement_charge(ledger, later, made.IMPLEMENT_AT + made.WEEK)
    made.move_time(ledger, made.IMPLEMENT_AT + 2 * made.WEEK)
    for why, period, error, words in REFUSED:
        with pytest.raises(error, match=f"^{words}$"):
            made.close(ledger, period)
        assert made.rows(ledger, schema.period_closes.c.sha256) == [], why


def test_the_database_takes_no_posting_into_a_closed_period(posted: Ledger) -> None:
    made.close(posted, PERIOD)
    late = made.IMPLEMENT_AT + timedelta(hours=1)
    words = "statement period 2026-11-16 of NG is closed: nothing is posted into it any more"
    with pytest.raises(sa.exc.IntegrityError, match=words):
        made.reverse(
            posted, made.charge("S-2", "I3", rule="counterfeit_charge"), late, claim_id=None
        )
    assert [now for _, now in closes.verify_closes(posted)] == [
        close.sums for close, _ in closes.verify_closes(posted)
    ]
    with pytest.raises(LedgerError, match="time goes forward"):
        posted.require_not_before(late)


BAD_CLOSES: list[tuple[str, dict[str, Any], str]] = [
    ("of other postings", {"postings": 2}, "has 3 postings, not 2"),
    ("before its end", {"closed_at": "2026-11-22 23:59+01"}, "is_over"),
    ("with the end of another week", {"ends_at": "2026-11-16 00:00+01"}, "ends_with_its_week"),
    (
        "of no Monday",
        {"statement_period": "2026-11-17", "postings": 0, "ends_at": "2026-11-24 00:00+01"},
        "statement_period_check",
    ),
    ("without a hash", {"sha256": "none"}, "sha256_check"),
]


def test_the_database_refuses_a_close_that_is_none(posted: Ledger) -> None:
    row = {
        "country": "NG",
        "statement_period": "2026-11-16",
        "ends_at": "2026-11-23 00:00+01",
        "closed_at": "2026-11-24 00:00+01",
        "postings": 3,
        "sha256": "0" * 64,
    }
    for _, changes, words in BAD_CLOSES:
        with (
            posted.engine.connect() as connection,
            pytest.raises(sa.exc.IntegrityError, match=words),
        ):
            connection.execute(sa.insert(schema.period_closes), {**row, **changes})


# --- what has changed all the same ----------------------------------------------------------------

SWITCHED = "ALTER TABLE ledger.{0} {1} TRIGGER USER"
# A table, what is set in it and back, and where.
CHANGES = [
    ("postings", "amount = 2999", "amount = 3000", "kind = 'debit' AND amount IN (3000, 2999)"),
    (
        *("postings", "statement_period = '2026-11-23'", "statement_period = '2026-11-16'"),
        "kind = 'debit'",
    ),
    ("actions", "seller_id = 'S-2'", "seller_id = 'S-1'", "order_item_id = 'I2'"),
    ("charge_accounts", "income_account = '9999'", "income_account = '4510'", "rule LIKE 'out%'"),
    ("period_close_totals", "net = net + 1", "net = net - 1", "true"),
]


def test_a_change_behind_the_triggers_back_is_told(posted: Ledger) -> None:
    close = made.close(posted, PERIOD)
    for table, change, back, where in CHANGES:
        off, on = (SWITCHED.format(table, word) for word in ("DISABLE", "ENABLE"))
        for words, is_as_closed in ((change, False), (back, True)):
            execute(posted, off, f"UPDATE ledger.{table} SET {words} WHERE {where}", on)
            ((kept, now),) = closes.verify_closes(posted)
            assert (now == kept.sums) is is_as_closed, (table, words)
    assert now == close.sums


def test_an_auditor_gets_the_hash_with_the_query_of_the_docs(posted: Ledger) -> None:
    close = made.close(posted, PERIOD)
    (query,) = re.findall(r"^(COPY \(.*?\) TO STDOUT .*?);$", DOCS.read_text("utf-8"), re.M | re.S)
    copied = io.BytesIO()
    url = plain_url(posted.engine.url)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.copy_expert(query, copied)
    connection.close()
    assert copied.getvalue().count(b"\n") == 6
    assert hashlib.sha256(copied.getvalue()).hexdigest() == close.sums.sha256
