"""Nigeria's policy says what the source texts and the rulebook's Decisions say, and cites them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date
from enum import IntEnum
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from vibes_pipeline.calendar import Slot
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.policy.model import parameters, references
from vibes_pipeline.policy.parameter import DECISION
from vibes_pipeline.rules import Rule

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
SOURCES = {
    "V": SHARED / "seeds" / "004_9c5a027be541b84c.txt",
    "R": SHARED / "seeds" / "000_b93426ea5849a718.txt",
}
A_DAY = date(2026, 11, 9)


@cache
def ng() -> Policy:
    return load_policy("ng")


def cases() -> list[list[str]]:
    path = ROOT / "tests" / "cases" / "ng_policy.yaml"
    rows: list[list[str]] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return rows


def part_of(value: object, part: str) -> object:
    for step in filter(None, part.split(".")):
        if isinstance(value, Mapping):
            value = value[step]
        elif isinstance(value, tuple):
            value = value[int(step)]
        else:
            value = getattr(value, step)
    return value


def as_text(value: object) -> str:
    if isinstance(value, Mapping | tuple):
        return ", ".join(as_text(item) for item in value)
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, BaseModel):
        return " ".join(f"{name}={flag}" for name, flag in value)
    return str(value)


def squeeze(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("key", "part", "value", "document", "sentence"),
    cases(),
    ids=[f"{key}:{part} as {document}" for key, part, _, document, _ in cases()],
)
def test_a_number_is_that_of_its_source(
    key: str, part: str, value: str, document: str, sentence: str
) -> None:
    dated = dict(parameters(ng()))[key].dated_on(A_DAY)
    assert as_text(part_of(dated.value, part)) == value
    cited = {(r.document, squeeze(r.sentence)) for r in dated.references}
    if document == DECISION:
        assert DECISION in {document for document, _ in cited}
    else:
        assert (document, sentence) in cited


def test_no_parameter_is_without_a_case() -> None:
    assert {key for key, _ in parameters(ng())} == {row[0] for row in cases()}


def test_all_values_hold_from_the_first_year_whose_holidays_are_listed() -> None:
    assert {p.valid_from for _, p in parameters(ng())} == {date(2016, 1, 1)}
    assert ng().calendar.first_day == date(2016, 1, 1)


@pytest.mark.parametrize("document", SOURCES)
def test_every_quoted_sentence_occurs_in_its_source_text(document: str) -> None:
    if not SOURCES[document].exists():
        pytest.skip("the source texts are not beside the project")
    text = squeeze(SOURCES[document].read_text(encoding="utf-8"))
    quoted = [r for _, r in references(ng()) if r.document == document]
    assert quoted
    assert [r.sentence for r in quoted if squeeze(r.sentence) not in text] == []


def test_the_public_holidays_are_the_listed_ones() -> None:
    path = SHARED / "data" / "ng_public_holidays.csv"
    if not path.exists():
        pytest.skip("the list of public holidays is not beside the project")
    with path.open(encoding="utf-8", newline="") as file:
        listed = {date.fromisoformat(row["date"]): row["name"] for row in csv.DictReader(file)}
    assert ng().fulfilment.public_holidays.names == listed


def test_it_is_nigeria_s() -> None:
    policy = ng()
    assert (policy.country, policy.currency, policy.currency_symbol) == ("NG", "NGN", "₦")
    assert policy.time_zone.key == "Africa/Lagos"


@pytest.mark.parametrize(
    ("rule", "exemptions"),
    [
        ("order_regulation", "Exemptions: Vendors on Jumia Express."),
        ("out_of_stock_charge", "Exemptions: New Vendors(First 30 days)."),
        ("late_fulfilment_charge", "Exemptions: New Vendors(First 30 days)."),
        ("returns_charge", "Exemptions: No exemptions."),
        ("dropoff_qc_charge", "Exemptions: No exemptions."),
        ("counterfeit_charge", "Exemptions: No exemptions."),
        ("sales_regulation", "Exemptions: No exemptions."),
        ("product_delisting", "Exemptions: No exemptions."),
        ("account_delisting", "Exemptions: No exemptions."),
        ("late_pending_cancellation", "Exemptions: No exemptions."),
        ("late_ready_to_ship_cancellation", "Exemptions: No exemptions."),
    ],
)
def test_each_rule_has_a_title_words_of_the_programme_and_its_exemptions(
    rule: str, exemptions: str
) -> None:
    text = ng().rules[Rule(rule)]
    assert text.title
    assert {r.document for r in text.references} == {"V"}
    assert text.exemptions is not None
    assert text.exemptions.sentence == exemptions


def test_the_words_of_a_rule_join_its_sentences() -> None:
    assert ng().rules[Rule.LATE_PENDING_CANCELLATION].words == (
        "Orders will be cancelled if not updated from Pending to Ready to Ship in 24 hours. "
        "Saturdays included in timelines."
    )


def test_the_calendar_of_the_policy_knows_its_holidays_and_weekdays() -> None:
    calendar = ng().calendar
    assert not calendar.is_fulfilment_day(date(2026, 10, 1)), "National Day"
    assert calendar.is_fulfilment_day(date(2026, 11, 7)), "a Saturday"
    assert not calendar.is_working_day(date(2026, 11, 7)), "a Saturday"
    assert calendar.last_day == date(2027, 12, 31)


def test_the_slots_of_the_observed_week_of_2026_11_09() -> None:
    slots = ng().slot_calendar
    assert slots.due_at(Slot.WEEKLY_ALERT, A_DAY).isoformat() == "2026-11-18T07:00:00+01:00"
    implementation = slots.due_at(Slot.WEEKLY_IMPLEMENTATION, A_DAY)
    assert implementation.isoformat() == "2026-11-21T09:00:00+01:00"
