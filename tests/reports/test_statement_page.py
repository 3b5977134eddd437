"""A seller's statement: its balances tie to the postings, and its page shows hostile text as text."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ledger import made
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import EVERY_DAY, Days
from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports.tables import Source, read_table
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.reports.statement import Statement, read_statement, write_statement

HOSTILE = "<script>alert(1)</script>\u202e=1+1"
AS_OF = made.IMPLEMENT_AT + 3 * made.WEEK
REVERSED_AT = made.local("2026-12-01 00:30")
NOVEMBER = Days(date(2026, 11, 1), date(2026, 11, 30))


@pytest.fixture
def posted(ledger: Ledger) -> Ledger:
    """Two charges of a seller in November; one of them reversed in December, local time."""
    charges = [
        made.charge(HOSTILE, "I1", sku=HOSTILE, order_number=HOSTILE),
        made.charge(HOSTILE, "I2", rule="out_of_stock_charge", amount="1234.50"),
        made.charge("S-2", "I3"),
    ]
    made.freeze_cycle(ledger, charges, names={HOSTILE: HOSTILE})
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.reverse(ledger, charges[0], REVERSED_AT)
    return ledger


def statement(ledger: Ledger, days: Days = EVERY_DAY, seller: str = HOSTILE) -> Statement:
    return read_statement(ledger, Path(), NIGERIA, seller, days, AS_OF)


def test_the_balance_goes_from_opening_to_closing_line_by_line(posted: Ledger) -> None:
    whole = statement(posted)
    assert whole.days == Days(date(2026, 11, 21), date(2026, 12, 12))
    assert [(line.posting["kind"], line.balance) for line in whole.lines] == [
        ("debit", Decimal("1234.50")),
        ("debit", Decimal("4234.50")),
        ("reversal", Decimal("1234.50")),
    ]
    assert [line.debited_on for line in whole.lines] == [None, None, date(2026, 11, 21)]
    assert (whole.opening, whole.closing) == (Decimal(0), Decimal("1234.50"))
    mine = Source(posted, Path(), made.LAGOS, seller_id=HOSTILE)
    assert read_table("charges", mine)["amount"].sum() == whole.closing


def test_what_closes_one_month_opens_the_next(posted: Ledger) -> None:
    november, december = (
        statement(posted, days) for days in (NOVEMBER, Days(date(2026, 12, 1), None))
    )
    assert november.closing == december.opening == Decimal("4234.50")
    assert (len(november.lines), len(december.lines)) == (2, 1)
    assert december.by_rule[0].reversals == Decimal("-3000.00")
    assert (december.debits, december.closing) == (Decimal(0), Decimal("1234.50"))
    assert [rule.rule for rule in november.by_rule] == ["out_of_stock_charge", "returns_charge"]


def test_days_before_anything_was_posted_have_a_page_too(posted: Ledger, tmp_path: Path) -> None:
    empty = statement(posted, Days(date(2026, 10, 1), date(2026, 10, 31)))
    assert (empty.opening, empty.closing, list(empty.lines)) == (Decimal(0), Decimal(0), [])
    write_statement(empty, tmp_path / "empty.html")
    page = (tmp_path / "empty.html").read_text(encoding="utf-8")
    assert "Nothing was charged or reversed on these days." in page
    assert "By rule" not in page


def test_a_seller_who_owes_in_two_currencies_is_refused_a_page(posted: Ledger) -> None:
    later = {"given": made.terms(made.NEXT_CYCLE, currency="USD")}
    made.freeze_cycle(
        posted, [made.charge("S-2", "I9", **later)], cycle=made.NEXT_CYCLE, currency="USD"
    )
    made.accept(posted, made.ALERT_AT + made.WEEK)
    made.implement_cycle(posted, made.NEXT_CYCLE, now=REVERSED_AT + timedelta(days=1))
    with pytest.raises(
        UsageError, match=r"^USD beside NGN: a statement is of one currency; `vibes"
    ):
        statement(posted, seller="S-2")


def test_the_page_shows_a_sellers_text_as_text_and_loads_nothing(
    posted: Ledger, tmp_path: Path
) -> None:
    write_statement(statement(posted), tmp_path / "statement.html")
    page = (tmp_path / "statement.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;") >= 4
    assert "http" not in page.replace("http-equiv", "")
    assert "S-2" not in page, "another seller's"
    assert ">₦4,234.50<" in page
    assert "A simulated ledger." in page
    assert "@media print" in page
