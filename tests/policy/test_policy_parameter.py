"""Dated values: what holds on a day, and what an amendment leaves as it was."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from vibes_pipeline.calendar import Slot, Weekday, WeeklyTime
from vibes_pipeline.errors import PolicyError
from vibes_pipeline.policy import Parameter, Policy, load_policy, loader
from vibes_pipeline.policy.scalars import Whole

NG = Path(loader.__file__).with_name("ng.yaml").read_text(encoding="utf-8")


def hours(*spans: tuple[str, str | None, str]) -> Parameter[int]:
    values = [
        {"from": start, "value": value, "reference": {"document": "V", "sentence": "…"}}
        | ({"until": end} if end else {})
        for start, end, value in spans
    ]
    return Parameter[Whole].model_validate(
        {"description": "Hours of notice", "unit": "hours", "values": values}
    )


@pytest.mark.parametrize(
    ("day", "value", "reason"),
    [
        ("2016-01-01", 24, "the first day"),
        ("2019-12-31", 24, "the last day of the old value"),
        ("2020-01-01", 48, "the first day of the new value"),
        ("2030-01-01", 48, "long after"),
    ],
)
def test_a_value_holds_from_its_date_until_the_next_begins(
    day: str, value: int, reason: str
) -> None:
    parameter = hours(("2016-01-01", None, "24"), ("2020-01-01", None, "48"))
    assert parameter.on(date.fromisoformat(day)) == value, reason


def test_an_until_that_meets_the_next_from_is_the_same_as_none() -> None:
    spelled_out = hours(("2016-01-01", "2020-01-01", "24"), ("2020-01-01", None, "48"))
    left_out = hours(("2016-01-01", None, "24"), ("2020-01-01", None, "48"))
    assert list(spelled_out.stretches()) == list(left_out.stretches())


@pytest.mark.parametrize(
    ("day", "span"),
    [
        ("2015-12-31", "from 2016-01-01 until 2020-01-01"),
        ("2020-01-01", "from 2016-01-01 until 2020-01-01"),
    ],
)
def test_a_day_on_which_nothing_holds_is_an_error(day: str, span: str) -> None:
    parameter = hours(("2016-01-01", "2020-01-01", "24"))
    message = rf"no value on {day} for: Hours of notice \(its values hold {span}\); add a value"
    with pytest.raises(PolicyError, match=message):
        parameter.on(date.fromisoformat(day))


def test_a_day_before_an_open_value_is_an_error_that_names_its_start_only() -> None:
    with pytest.raises(PolicyError, match=r"\(its values hold from 2016-01-01\)"):
        hours(("2016-01-01", None, "24")).on(date(2015, 1, 1))


def test_a_policy_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_policy("ng").notice = None  # type: ignore[misc, assignment]


# --- an amended policy --------------------------------------------------------------------------


@pytest.fixture
def amended(tmp_path: Path) -> Policy:
    """Nigeria's policy with a lower amount and an earlier alert from 2027-01-04, a Monday."""
    amount = 'reference: {document: V, sentence: "Charge: N50,000 per counterfeit item."}\n'
    alert = '        value: {weekday: wednesday, time: "07:00"}\n'
    reference = "reference: {document: Decision, sentence: amended}"
    assert amount in NG
    assert alert in NG
    text = NG.replace(
        amount, f"{amount}      - from: 2027-01-04\n        value: 40000.50\n        {reference}\n"
    ).replace(
        alert,
        f"{alert}        {reference}\n      - from: 2027-01-04\n"
        '        value: {weekday: tuesday, time: "08:00"}\n',
    )
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path=path)


def test_an_amendment_keeps_the_old_value_before_its_date(amended: Policy) -> None:
    amount = amended.counterfeit_charge.amount
    assert amount.on(date(2027, 1, 3)) == Decimal("50000")
    assert amount.on(date(2027, 1, 4)) == Decimal("40000.50")


def test_the_reference_in_force_is_that_of_the_value_in_force(amended: Policy) -> None:
    dated = amended.counterfeit_charge.amount.dated_on(date(2027, 1, 4))
    assert [(r.document, r.sentence) for r in dated.references] == [("Decision", "amended")]


def test_an_amended_slot_time_holds_for_cycles_from_its_date_on(amended: Policy) -> None:
    assert amended.slots.times_on(date(2027, 1, 3)).weekly_alert == WeeklyTime(
        Weekday.WEDNESDAY, time(7)
    )
    assert amended.slots.times_on(date(2027, 1, 4)).cron(Slot.WEEKLY_ALERT) == "0 8 * * 2"
    due_at = amended.slot_calendar.due_at
    assert due_at(Slot.WEEKLY_ALERT, date(2026, 12, 28)).isoformat() == "2027-01-06T07:00:00+01:00"
    assert due_at(Slot.WEEKLY_ALERT, date(2027, 1, 4)).isoformat() == "2027-01-12T08:00:00+01:00"


def test_a_dated_value_is_chosen_by_the_local_date_of_an_instant() -> None:
    policy = load_policy("ng")
    assert policy.local_date(datetime(2026, 11, 8, 23, 0, tzinfo=UTC)) == date(2026, 11, 9)
    with pytest.raises(ValueError, match="has no time zone"):
        policy.local_date(datetime(2026, 11, 8, 23, 0))
