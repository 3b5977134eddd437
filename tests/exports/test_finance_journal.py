"""The journal: double entry that balances, ties to the totals, and stays as it was booked (§17)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger import made
from properties import courses

from vibes_pipeline.calendar import Days
from vibes_pipeline.errors import LedgerError
from vibes_pipeline.exports.files import write_rows
from vibes_pipeline.exports.tables import BY_STATEMENT_PERIOD, Source, open_table, read_table
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.accounts import record_first_accounts
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.rules import CHARGES

PERIOD, NEXT_PERIOD = made.CYCLE + made.WEEK, made.CYCLE + 2 * made.WEEK
HOSTILE = "=1+1"
RETURNS = made.ACCOUNTS["returns_charge"]
# Monday of the week after, and in UTC still Sunday.
AFTER_MIDNIGHT = made.local("2026-11-23 00:30")


@pytest.fixture
def source(ledger: Ledger, tmp_path: Path) -> Source:
    return Source(ledger, tmp_path, made.LAGOS)


@pytest.fixture
def after_a_cycle(source: Source) -> Source:
    """A handful implemented; one charge reversed half an hour into the week after."""
    made.freeze_cycle(source.ledger, [*made.a_handful(), made.charge(HOSTILE, "I9")])
    made.accept(source.ledger)
    made.implement_cycle(source.ledger)
    made.reverse(source.ledger, made.charge("S-1", "I1"), AFTER_MIDNIGHT)
    return source


def require_balance(source: Source) -> pl.DataFrame:
    """The journal, if it balances and ties to the totals."""
    lines = read_table("journal", source)
    key = ["statement_period", "reference", "posting_id", "currency"]
    sums = lines.group_by(key).agg(
        (pl.col("debit") - pl.col("credit")).sum().alias("balance"), pl.len().alias("lines")
    )
    assert set(sums["balance"]) <= {Decimal("0.00")}
    assert set(sums["lines"]) <= {2}
    receivable = pl.col("account") == made.ACCOUNTS["returns_charge"][0]
    by_rule = ["statement_period", "rule", "currency"]
    booked = (
        lines.filter(receivable)
        .group_by(by_rule)
        .agg(
            pl.col("debit").sum().cast(pl.Decimal(18, 2)).alias("debits"),
            (-pl.col("credit").sum()).cast(pl.Decimal(18, 2)).alias("reversals"),
            (pl.col("kind") == "debit").sum().cast(pl.Int64).alias("debit_postings"),
            (pl.col("kind") == "reversal").sum().cast(pl.Int64).alias("reversal_postings"),
        )
        .sort(by_rule)
    )
    totals = read_table("charge_totals", source).select(booked.columns)
    assert booked.rows() == totals.rows()
    return lines


def test_a_debit_is_receivable_against_income_a_reversal_the_other_way_round(
    after_a_cycle: Source,
) -> None:
    lines = require_balance(after_a_cycle)
    assert lines.columns == [
        *("date", "statement_period", "account", "debit", "credit", "currency"),
        *("reference", "seller_id", "rule", "kind", "posting_id"),
    ]
    of_one = lines.filter(pl.col("reference") == made.charge("S-1", "I1")["reference"])
    shown = of_one.select("date", "statement_period", "account", "debit", "credit", "kind").rows()
    nothing, amount = Decimal("0.00"), Decimal("3000.00")
    receivable, income = RETURNS
    debited, reversed_ = (date(2026, 11, 21), PERIOD), (date(2026, 11, 23), NEXT_PERIOD)
    assert shown == [
        (*debited, receivable, amount, nothing, "debit"),
        (*debited, income, nothing, amount, "debit"),
        (*reversed_, income, amount, nothing, "reversal"),
        (*reversed_, receivable, nothing, amount, "reversal"),
    ]
    assert lines.schema["debit"] == lines.schema["credit"] == pl.Decimal(14, 2)


def test_a_reversal_is_booked_on_the_accounts_of_its_debit_whatever_the_policy_says_by_then(
    source: Source,
) -> None:
    ledger, later = source.ledger, made.terms(made.NEXT_CYCLE)
    amended = {**made.ACCOUNTS, "returns_charge": ("1310", "4999")}
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
    made.accept(ledger)
    made.implement_cycle(ledger)
    before = read_table("journal", source)
    made.freeze_cycle(ledger, [made.charge("S-1", "I2", given=later)], cycle=made.NEXT_CYCLE)
    made.accept(ledger, made.ALERT_AT + made.WEEK)
    made.implement_cycle(ledger, made.NEXT_CYCLE, accounts=amended)
    made.reverse(ledger, made.charge("S-1", "I1"), made.IMPLEMENT_AT + 2 * made.WEEK)
    lines = require_balance(source)
    assert lines.head(2).equals(before), "what is booked stays as it was"
    assert lines["account"].to_list() == ["1310", RETURNS[1], "1310", "4999", RETURNS[1], "1310"]


def test_what_was_debited_before_accounts_were_recorded_bears_the_first_that_are(
    source: Source,
) -> None:
    ledger = source.ledger
    made.freeze_cycle(ledger, [charge := made.charge("S-1", "I1")])
    made.accept(ledger)
    made.implement_charge(ledger, charge)
    with pytest.raises(LedgerError) as error:
        read_table("journal", source)
    assert str(error.value) == (
        "no accounts are recorded of returns_charge: the next weekly implementation, or `vibes "
        "close` of a period, records those of the policy"
    )
    with ledger.writing(is_simulated=True, now=made.IMPLEMENT_AT) as connection:
        record_first_accounts(connection, "NG", made.ACCOUNTS, made.IMPLEMENT_AT)
    assert require_balance(source)["account"].to_list() == [*RETURNS]


@pytest.mark.parametrize(
    ("why", "since"),
    [
        ("at the instant of a debit", made.IMPLEMENT_AT),
        ("before a debit", made.IMPLEMENT_AT - timedelta(minutes=1)),
        ("before the accounts that are known", made.IMPLEMENT_AT - made.WEEK),
    ],
)
def test_the_database_refuses_accounts_that_would_change_what_is_booked(
    after_a_cycle: Source, why: str, since: Any
) -> None:
    row = {"rule": "returns_charge", "since": since}
    words = "INSERT INTO ledger.charge_accounts VALUES ('NG', :rule, :since, '1', '2')"
    with (
        after_a_cycle.ledger.engine.connect() as connection,
        pytest.raises(sa.exc.IntegrityError, match="is booked on others already"),
    ):
        connection.execute(sa.text(words), row)


# --- what is asked of finance's tables ------------------------------------------------------------

WEEK, NEXT_WEEK = Days(PERIOD, PERIOD + timedelta(6)), Days(NEXT_PERIOD, NEXT_PERIOD + timedelta(6))
ASKED: list[tuple[str, Mapping[str, Any], Sequence[int]]] = [
    ("all", {}, (5, 10, 5, 4, 4)),
    ("a week by its days", {"days": WEEK}, (4, 8, 4, 3, 3)),
    ("the same by its period", {"statement_period": PERIOD}, (4, 8, 4, 3, 3)),
    ("the week after", {"days": NEXT_WEEK}, (1, 2, 1, 1, 1)),
    (
        "a posting's own day",
        {"days": Days(date(2026, 11, 21), date(2026, 11, 21))},
        (4, 8, 0, 0, 0),
    ),
    ("a local day that is another in UTC", {"days": Days(date(2026, 11, 22))}, (1, 2, 1, 1, 1)),
    ("until", {"days": Days(None, date(2026, 11, 22))}, (4, 8, 4, 3, 3)),
    ("the first of days", {"days": Days(None, date(1, 1, 1))}, (0, 0, 0, 0, 0)),
    ("the last of days", {"days": Days(date(1, 1, 1), date(9999, 12, 31))}, (5, 10, 5, 4, 4)),
    ("a seller's", {"seller_id": "S-1"}, (3, 6, 3, 2, None)),
    ("a seller's of a week", {"seller_id": "S-1", "days": NEXT_WEEK}, (1, 2, 1, 1, None)),
    ("a seller without any", {"seller_id": "S-3"}, (0, 0, 0, 0, None)),
]


def test_finances_tables_keep_the_days_and_the_seller_asked_for(after_a_cycle: Source) -> None:
    for why, asked, rows in ASKED:
        source = replace(after_a_cycle, **asked)
        for table, expected in zip(BY_STATEMENT_PERIOD, rows, strict=False):
            if expected is not None:
                assert read_table(table, source).height == expected, (why, table)


def test_no_seller_s_text_is_a_formula_in_a_file_of_the_journal(
    after_a_cycle: Source, tmp_path: Path
) -> None:
    for ending in ("csv", "xlsx"):
        with open_table("journal", after_a_cycle) as rows:
            assert write_rows(rows, tmp_path / f"journal.{ending}", "journal") == 10
    with (tmp_path / "journal.csv").open(encoding="utf-8", newline="") as file:
        sellers = {row["seller_id"] for row in csv.DictReader(file)}
    assert sellers == {"S-1", "S-2", f"'{HOSTILE}"}
    sheet = openpyxl.load_workbook(tmp_path / "journal.xlsx").active
    assert sheet is not None
    header = [cell.value for cell in sheet[1]]
    assert header[-1] == "posting_id", "an id that only programs read is last"
    cells = [row[header.index("seller_id")] for row in sheet.iter_rows(min_row=2)]
    assert {(c.value, c.data_type) for c in cells} == {(s, "s") for s in ("S-1", "S-2", HOSTILE)}


# --- whatever is posted ---------------------------------------------------------------------------

# A charge's rule, its amount in kobo, and after how many hours it is reversed; None: it stands.
POSTED = st.tuples(
    st.sampled_from(CHARGES),
    st.integers(1, 10**13),
    st.none() | st.integers(1, 24 * 16),
)


@pytest.fixture(scope="module")
def shared_source(module_ledger_url: sa.URL, tmp_path_factory: Any) -> Iterator[Source]:
    """A ledger to which each course adds a cycle."""
    ledger = Ledger(database.connect(module_ledger_url), "NG")
    yield Source(ledger, tmp_path_factory.mktemp("lake"), made.LAGOS)
    ledger.close()


NTH = count()


@courses(8)
@given(posted=st.lists(POSTED, max_size=6), income=st.integers(5000, 5002))
def test_the_journal_of_whatever_is_posted_balances_and_ties(
    shared_source: Source, posted: list[tuple[str, int, int | None]], income: int
) -> None:
    ledger, nth = shared_source.ledger, next(NTH)
    # Three weeks, so that whatever is reversed late is still before the next course.
    cycle = made.CYCLE + 3 * nth * made.WEEK
    at = made.IMPLEMENT_AT + 3 * nth * made.WEEK
    before = read_table("journal", shared_source)
    charges = [
        (
            made.charge(
                f"S-{n % 2}",
                f"I{nth}-{n}",
                rule=rule,
                amount=str(Decimal(kobo) / 100),
                given=made.terms(cycle),
            ),
            hours,
        )
        for n, (rule, kobo, hours) in enumerate(posted)
    ]
    made.freeze_cycle(ledger, [charge for charge, _ in charges], cycle=cycle)
    made.accept(ledger, made.ALERT_AT + 3 * nth * made.WEEK)
    amended = {rule: (receivable, str(income)) for rule, (receivable, _) in made.ACCOUNTS.items()}
    made.implement_cycle(ledger, cycle, accounts=amended)
    reversed_ = sorted((hours, n) for n, (_, hours) in enumerate(charges) if hours is not None)
    for hours, n in reversed_:
        made.reverse(ledger, charges[n][0], at + timedelta(hours=hours), claim_id=None)
    lines = require_balance(shared_source)
    assert lines.height == before.height + 2 * (len(charges) + len(reversed_))
    assert lines.head(before.height).equals(before)
    assert set(lines.tail(-before.height)["account"]) <= {"1310", str(income)}
