"""The harness: its words for times, and that its history is what the ledger gives."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from marketplace import HISTORY, NIGERIA, Marketplace, amended, instant

from vibes_pipeline.ledger import history
from vibes_pipeline.ledger.ledger import Ledger

MONDAY = date(2026, 11, 9)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Mon 00:00", "2026-11-09T00:00:00+01:00"),
        ("Sun 23:59:59.999999", "2026-11-15T23:59:59.999999+01:00"),
        ("Wed+1 07:00", "2026-11-18T07:00:00+01:00"),
        ("Fri-2 10:30", "2026-10-30T10:30:00+01:00"),
        ("2026-12-24T18:00", "2026-12-24T18:00:00+01:00"),
        ("2026-12-24", "2026-12-24T00:00:00+01:00"),
    ],
)
def test_words_name_a_local_instant(words: str, expected: str) -> None:
    assert instant(words, MONDAY).isoformat() == expected


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"raw\.sellers has no column is_express"):
        Marketplace().seller(is_express=True)


def test_an_amended_policy_differs_from_the_amendment_on(tmp_path: Path) -> None:
    policy = amended(tmp_path, ("counterfeit_charge.amount", "2026-11-11", "60000"))
    assert policy.counterfeit_charge.amount.on(date(2026, 11, 10)) == 50_000
    assert policy.counterfeit_charge.amount.on(date(2026, 11, 11)) == 60_000
    assert policy.version != NIGERIA.version


def test_history_is_given_with_the_columns_and_types_that_the_ledger_gives(ledger: Ledger) -> None:
    given = history.take(ledger).frames | history.past(ledger, history.Keys())
    taken = {name: dict(frame.schema) for name, frame in given.items()}
    assert taken == {name: dict(schema) for name, schema in HISTORY.items()}
