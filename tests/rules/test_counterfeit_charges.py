"""Rulebook §6: counterfeit findings and the seller's evidence window."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from marketplace import WEEK, Case, Decided, Item, Marketplace, amended, each

RULE = "decisions.counterfeit_charges"


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
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, cases, _ in CASES:
        marketplace.item(Item(order_item_id=sentence, pending_at="2026-08-03T09:00"))
        for case in cases:
            marketplace.counterfeit_case(sentence, **case)
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
    return marketplace.decide(tmp_path_factory.mktemp("found"), RULE)


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


def test_a_finding_without_notification_is_there_to_be_shown(found: Decided) -> None:
    row = found.row("events.counterfeit_findings", order_item_id="never notified, never charged")
    assert row is not None
    assert (row["notified_at"], row["evidence_closes_at"]) == (None, None)


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
