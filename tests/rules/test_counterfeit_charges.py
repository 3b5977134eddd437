"""Rulebook §6: counterfeit findings and the seller's evidence window."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from marketplace import WEEK, Case, Decided, Item, Marketplace, amended, each

from vibes_pipeline.engine.models import load_models
from vibes_pipeline.engine.weekly import counting_events

RULE = "decisions.counterfeit_charges"
HOLDS = "claims.held_counterfeit_cases"
FINDINGS = "events.counterfeit_findings"


def notice(notified_at: str | None, proven_at: str | None = "Tue 10:00") -> dict[str, str | None]:
    return {"notified_at": notified_at, "proven_at": proven_at}


# Given: the cases of one item; expected: the end of the evidence window of the one that is
# charged. The alert is on Wednesday of the week after, 07:00.
CASES = [
    Case("notified on Monday: the window ends with Wednesday", [notice("Mon 10:00")], "Thu 00:00"),
    Case("notified in Monday's first instant: the same", [notice("Mon 00:00")], "Thu 00:00"),
    Case(
        "notified in Monday's last microsecond: the same",
        [notice("Mon 23:59:59.999999")],
        "Thu 00:00",
    ),
    Case(
        "notified on Thursday: Friday and, over the weekend, Monday",
        [notice("Thu 10:00")],
        "Tue+1 00:00",
    ),
    Case("notified on Friday: Monday and Tuesday", [notice("Fri 10:00")], "Wed+1 00:00"),
    Case(
        "notified on Saturday: Saturday is no working day",
        [notice("Sat 10:00")],
        "Wed+1 00:00",
    ),
    Case("notified on Sunday: likewise", [notice("Sun 23:59:59.999999")], "Wed+1 00:00"),
    Case(
        "notified on Monday after the week: the window is still open at the alert",
        [notice("Mon+1 10:00")],
        None,
    ),
    Case(
        "proven before the seller was notified", [notice("Thu 10:00", "Tue 10:00")], "Tue+1 00:00"
    ),
    Case("never notified, never charged", [notice(None)], None),
    Case("not proven", [notice("Mon 10:00", None)], None),
    Case(
        "proven on Monday 00:00 is of this week",
        [notice("Wed-1 10:00", "Mon 00:00")],
        "Sat-1 00:00",
    ),
    Case(
        "proven in Sunday's last microsecond is of this week",
        [notice("Mon 10:00", "Sun 23:59:59.999999")],
        "Thu 00:00",
    ),
    Case("proven on the next Monday 00:00 is not", [notice("Mon 10:00", "Mon+1 00:00")], None),
    Case("notified only after the slot's instant", [notice("Thu+1 10:00")], None),
    Case("proven only after the slot's instant", [notice("Mon 10:00", "Thu+1 10:00")], None),
    Case(
        "proven in the week before with a window then open: charged now",
        [notice("Mon 10:00", "Fri-1 10:00")],
        "Thu 00:00",
    ),
    Case(
        "two cases on one item: one charge, of the first proven",
        [notice("Wed 10:00", "Wed 10:00"), notice("Mon 10:00", "Tue 10:00")],
        "Thu 00:00",
    ),
    Case(
        "two cases of which the first was never notified: the other is charged",
        [notice(None, "Mon 10:00"), notice("Tue 10:00", "Wed 10:00")],
        "Fri 00:00",
    ),
    Case(
        "two cases of which the first one's window is open: the other is charged",
        [notice("Mon+1 10:00", "Mon 10:00"), notice("Tue 10:00", "Wed 10:00")],
        "Fri 00:00",
    ),
    Case(
        "two cases of which the first was proven before the ledger's first cycle",
        [notice("2015-12-01T10:00", "2015-12-09T10:00"), notice("Tue 10:00", "Wed 10:00")],
        "Fri 00:00",
    ),
    Case(
        "two cases of which the first was notified outside the years with listed holidays",
        [notice("2015-12-31T10:00", "Mon 10:00"), notice("Tue 10:00", "Wed 10:00")],
        "Fri 00:00",
    ),
    Case(
        "two cases of which the first is not of this week yet",
        [notice("Wed 10:00", "Sun 10:00"), notice("Mon 10:00", "Mon+1 10:00")],
        "Sat 00:00",
    ),
    Case(
        "two cases proven at one instant: the first by id",
        [
            {**notice("Thu 10:00"), "case_id": "a later window, an earlier id"},
            {**notice("Mon 10:00"), "case_id": "an earlier window, a later id"},
        ],
        "Tue+1 00:00",
    ),
    Case(
        "two cases of which the first is held by a claim: the other is charged",
        [notice("Thu 10:00", "Fri 10:00"), notice("Mon 10:00", "Sat 10:00")],
        "Thu 00:00",
    ),
    Case("one case that is held by a claim", [notice("Thu 10:00", "Fri 10:00")], None),
]
# Raised once the window of a Monday's notification has closed, and within that of a Thursday's.
HELD_SINCE = "Fri 12:00"
HELD = [case.sentence for case in CASES if "held by a claim" in case.sentence]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, cases, _ in CASES:
        marketplace.item(Item(order_item_id=sentence, pending_at="2026-08-03T09:00"))
        for case in cases:
            marketplace.counterfeit_case(sentence, **case)
        if sentence in HELD:
            row = marketplace.raw["order_items"][-1]
            marketplace.remember(
                "undecided_counterfeit_claims",
                claim_id=f"claim on {sentence}",
                raised_at=marketplace.at(HELD_SINCE),
                **{name: row[name] for name in ("seller_id", "order_number", "sku")},
            )
    new = marketplace.seller(onboarded_at="Mon 00:00", is_jumia_express=True)
    marketplace.counterfeit_case(marketplace.item(Item(order_item_id="new", seller_id=new)))
    for is_standing in (True, False):
        item = marketplace.item(Item(order_item_id=f"charged, {is_standing}"))
        marketplace.counterfeit_case(item)
        marketplace.remember(
            "charges",
            rule="counterfeit_charge",
            order_item_id=item,
            amount="50000.00",
            is_standing=is_standing,
        )
    return marketplace.decide(tmp_path_factory.mktemp("found"), RULE, HOLDS)


@each(CASES)
def test_a_finding_is_charged_once_its_window_has_closed(
    found: Decided, sentence: str, expected: str | None
) -> None:
    row = found.row(RULE, order_item_id=sentence)
    assert (row and row["evidence_closes_at"]) == (expected and Marketplace().at(expected))


def test_a_counterfeit_costs_50_000(found: Decided) -> None:
    assert {row["amount"] for row in found.rows(RULE)} == {Decimal("50000.00")}


@pytest.mark.parametrize(
    ("order_item_id", "is_charged", "reason"),
    [
        ("new", True, "no exemptions"),
        ("charged, True", False, "an item bears a rule once"),
        ("charged, False", False, "ever"),
    ],
)
def test_no_one_is_exempt_and_no_item_charged_twice(
    found: Decided, order_item_id: str, is_charged: bool, reason: str
) -> None:
    assert (found.row(RULE, order_item_id=order_item_id) is not None) == is_charged, reason


def test_an_item_bears_one_charge_however_many_cases(found: Decided) -> None:
    items = [row["order_item_id"] for row in found.rows(RULE)]
    assert len(items) == len(set(items))


@pytest.mark.parametrize("sentence", HELD)
def test_a_claim_holds_the_cases_in_whose_window_it_was_raised(
    found: Decided, sentence: str
) -> None:
    (held,) = found.rows(HOLDS, order_item_id=sentence)
    assert held["event_at"] == Marketplace().at("Fri 10:00")


@pytest.mark.parametrize(
    ("sentence", "notified_at"),
    [
        ("never notified, never charged", None),
        ("two cases of which the first was never notified: the other is charged", None),
        (
            "two cases of which the first was notified outside the years with listed holidays",
            "2015-12-31T10:00",
        ),
    ],
)
def test_a_case_without_a_window_is_there_to_be_shown(
    found: Decided, sentence: str, notified_at: str | None
) -> None:
    (row,) = found.rows(FINDINGS, order_item_id=sentence, evidence_closes_at=None)
    assert row["notified_at"] == (notified_at and Marketplace().at(notified_at))


@pytest.mark.parametrize(
    ("valid_from", "closes_at", "reason"),
    [
        ("2026-11-09", "Fri 00:00", "the day of the notification"),
        ("2026-11-10", "Thu 00:00", "the day after it, though that of the proof"),
    ],
)
def test_the_window_is_as_long_as_the_policy_of_the_notification_s_day_says(
    tmp_path: Path, valid_from: str, closes_at: str, reason: str
) -> None:
    policy = amended(tmp_path, ("counterfeit_charge.evidence_working_days", valid_from, 3))
    marketplace = Marketplace(WEEK, policy)
    item = marketplace.item()
    marketplace.counterfeit_case(item, notified_at="Mon 10:00", proven_at="Tue 10:00")
    row = marketplace.decide(tmp_path, RULE).row(RULE)
    assert row is not None
    assert row["evidence_closes_at"] == marketplace.at(closes_at), reason


@pytest.mark.parametrize(
    ("at", "is_charged", "reason"),
    [
        ("Wed+1 23:59:59.999999", False, "the last instant of the window"),
        ("Thu+1 00:00", True, "it has ended, intervals are half-open"),
    ],
)
def test_a_window_closes_at_24_00(tmp_path: Path, at: str, is_charged: bool, reason: str) -> None:
    marketplace = Marketplace()
    marketplace.counterfeit_case(marketplace.item(), notified_at="Mon+1 10:00")
    decided = marketplace.decide(tmp_path, RULE, at=at)
    assert bool(decided.rows(RULE)) == is_charged, reason


# The week of 2026-12-21: Friday and Saturday are holidays, so is the Monday after; the alert is on
# Wednesday 2026-12-30 07:00.
@pytest.mark.parametrize(
    ("notified_at", "closes_at", "is_charged", "reason"),
    [
        ("Tue 10:00", "Fri 00:00", True, "Wednesday and Thursday work, Friday does not matter"),
        ("Wed 10:00", "Wed+1 00:00", True, "Thursday, then no working day until Tuesday"),
        ("Thu 10:00", "Thu+1 00:00", False, "Tuesday and Wednesday"),
        ("Fri 10:00", "Thu+1 00:00", False, "notified on a holiday: the same"),
    ],
)
def test_public_holidays_are_no_working_days(
    tmp_path: Path, notified_at: str, closes_at: str, is_charged: bool, reason: str
) -> None:
    marketplace = Marketplace("2026-12-21")
    item = marketplace.item(Item(pending_at="Mon-1 09:00"))
    marketplace.counterfeit_case(item, notified_at=notified_at, proven_at="Tue 12:00")
    decided = marketplace.decide(tmp_path, RULE)
    finding = decided.row("events.counterfeit_findings")
    assert finding is not None
    assert finding["evidence_closes_at"] == marketplace.at(closes_at), reason
    assert bool(decided.rows(RULE)) == is_charged, reason


@pytest.mark.parametrize(
    ("proven_at", "expected", "reason"),
    [
        ("Tue 23:59:59.999999", "50000.00", "the day before the amendment"),
        ("Wed 00:00", "60000.00", "its first instant"),
    ],
)
def test_the_amount_is_that_of_the_date_of_the_proof(
    tmp_path: Path, proven_at: str, expected: str, reason: str
) -> None:
    policy = amended(tmp_path, ("counterfeit_charge.amount", "2026-11-11", "60000"))
    marketplace = Marketplace(WEEK, policy)
    marketplace.counterfeit_case(marketplace.item(), proven_at=proven_at)
    row = marketplace.decide(tmp_path, RULE).row(RULE)
    assert row is not None
    assert row["amount"] == Decimal(expected), reason


def test_an_excused_finding_stays_a_fact_and_counts_against_nobody(tmp_path: Path) -> None:
    marketplace = Marketplace()
    item = marketplace.item()
    marketplace.counterfeit_case(item, case_id="F")
    excuse = {"order_item_id": item, "event": "counterfeit"}
    for claim in ("C-2", "C-1"):
        marketplace.remember("excuses", claim_id=claim, **excuse)
    reviews = "decisions.account_reviews"
    decided = marketplace.decide(tmp_path, RULE, reviews, "rulings.counterfeit_charges")
    finding = decided.row("events.counterfeit_findings")
    assert finding is not None
    assert finding["excused_by"] == "C-1"
    assert decided.rows(RULE) == decided.rows(reviews) == []
    ruling = decided.run.engine.evaluate(
        load_models()["rulings.counterfeit_charges"], decided.run.parameters()
    )
    assert ruling["code"].to_list() == ["excused"]
    assert (
        counting_events(decided.run.engine.scan("events.counterfeit_findings")).collect().is_empty()
    )
