"""Rulebook §6: charges for quality returns and for failed quality checks at drop-off."""

from __future__ import annotations

from decimal import Decimal

import pytest
from marketplace import Case, Decided, Item, Marketplace, amended, each

RETURNS = "decisions.returns_charges"
DROPOFF = "decisions.dropoff_qc_charges"

DELIVERED = Item(
    pending_at="Mon-1 09:00",
    ready_to_ship_at="Mon-1 10:00",
    shipped_at="Tue-1 09:00",
    delivered_at="Thu-1 09:00",
)


def amount(decided: Decided, rule: str, order_item_id: str) -> Decimal | None:
    row = decided.row(rule, order_item_id=order_item_id)
    return row["amount"] if row else None


def decimal(expected: str | None) -> Decimal | None:
    return None if expected is None else Decimal(expected)


# --- returns --------------------------------------------------------------------------------------

# All returned on Tuesday 10:00 as the wrong item, unless they say otherwise.
RETURNED = [
    Case("a wrong item costs 1,500", Item(return_reason="wrong_item"), "1500.00"),
    Case("a defective item costs 3,000", Item(return_reason="defective_item"), "3000.00"),
    Case("a used one costs 50,000", Item(return_reason="used_refurbished"), "50000.00"),
    Case("a change of mind is not of quality", Item(return_reason="change_of_mind"), None),
    Case("nor is another reason", Item(return_reason="other"), None),
    Case("a reason without a return is nothing", Item(returned_at=None), None),
    Case("returned on Monday 00:00 is of this week", Item(returned_at="Mon 00:00"), "1500.00"),
    Case(
        "returned in Sunday's last microsecond is of this week",
        Item(returned_at="Sun 23:59:59.999999"),
        "1500.00",
    ),
    Case("returned on the next Monday 00:00 is not", Item(returned_at="Mon+1 00:00"), None),
    Case(
        "ordered long ago: the return's time counts",
        Item(pending_at="2026-06-01T09:00", ready_to_ship_at=None, shipped_at=None),
        "1500.00",
    ),
    Case("returned without ever being delivered", Item(delivered_at=None), "1500.00"),
]


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    back = Item(returned_at="Tue 10:00", return_reason="wrong_item")
    for sentence, item, _ in RETURNED:
        marketplace.item({"order_item_id": sentence, **DELIVERED, **back, **item})
    new, express = (
        marketplace.seller(onboarded_at="Mon-1 00:00"),
        marketplace.seller(is_jumia_express=True),
    )
    marketplace.item({"order_item_id": "new", "seller_id": new, **DELIVERED, **back})
    marketplace.item({"order_item_id": "express", "seller_id": express, **DELIVERED, **back})
    for is_standing in (True, False):
        item = marketplace.item({"order_item_id": f"charged, {is_standing}", **DELIVERED, **back})
        marketplace.remember(
            "charges",
            rule="returns_charge",
            order_item_id=item,
            amount="1500.00",
            is_standing=is_standing,
        )
    marketplace.item({"order_item_id": "other rule", **DELIVERED, **back})
    marketplace.remember(
        "charges", rule="dropoff_qc_charge", order_item_id="other rule", amount="3000.00"
    )
    return marketplace.decide(tmp_path_factory.mktemp("returned"), RETURNS)


@each(RETURNED)
def test_a_quality_return_is_charged(
    returned: Decided, sentence: str, expected: str | None
) -> None:
    assert amount(returned, RETURNS, sentence) == decimal(expected)


@pytest.mark.parametrize(
    ("order_item_id", "expected", "reason"),
    [
        ("new", "1500.00", "no exemption for the first 30 days"),
        ("express", "1500.00", "nor for Jumia Express"),
        ("charged, True", None, "an item bears a rule once"),
        ("charged, False", None, "ever: not again after it was withdrawn or reversed"),
        ("other rule", "1500.00", "another rule's charge is another matter"),
    ],
)
def test_no_one_is_exempt_and_nothing_charged_twice(
    returned: Decided, order_item_id: str, expected: str | None, reason: str
) -> None:
    assert amount(returned, RETURNS, order_item_id) == decimal(expected), reason


# --- checks at drop-off ---------------------------------------------------------------------------


def failed(checked_at: str, reason: str = "wrong_item") -> dict[str, str]:
    return {"checked_at": checked_at, "result": "failed", "failure_reason": reason}


def passed(checked_at: str) -> dict[str, str]:
    return {"checked_at": checked_at, "result": "passed"}


# Given: the checks of one item; expected: (amount, event).
CHECKED = [
    Case("a wrong item costs 3,000", [failed("Tue 09:00")], ("3000.00", "Tue 09:00")),
    Case(
        "a defective item costs 3,000",
        [failed("Tue 09:00", "defective_item")],
        ("3000.00", "Tue 09:00"),
    ),
    Case(
        "a used one costs 50,000",
        [failed("Tue 09:00", "used_refurbished")],
        ("50000.00", "Tue 09:00"),
    ),
    Case("a passed check costs nothing", [passed("Tue 09:00")], None),
    Case(
        "failed, then passed: the failure counts",
        [failed("Tue 09:00"), passed("Tue 12:00")],
        ("3000.00", "Tue 09:00"),
    ),
    Case(
        "passed, then failed: the first failure counts, not the first check",
        [passed("Tue 09:00"), failed("Tue 12:00")],
        ("3000.00", "Tue 12:00"),
    ),
    Case(
        "failed twice: only the first, with its reason",
        [failed("Wed 09:00", "used_refurbished"), failed("Tue 09:00")],
        ("3000.00", "Tue 09:00"),
    ),
    Case(
        "failed first in the week before, uncharged: that is the event, taken in late",
        [failed("Tue-1 09:00"), failed("Tue 09:00", "used_refurbished")],
        ("3000.00", "Tue-1 09:00"),
    ),
    Case(
        "failed first too long ago: a second failure makes no new event",
        [failed("Tue-6 09:00"), failed("Tue 09:00")],
        None,
    ),
    Case("on Monday 00:00", [failed("Mon 00:00")], ("3000.00", "Mon 00:00")),
    Case(
        "in Sunday's last microsecond",
        [failed("Sun 23:59:59.999999")],
        ("3000.00", "Sun 23:59:59.999999"),
    ),
    Case("on the next Monday 00:00 is not of this week", [failed("Mon+1 00:00")], None),
    Case(
        "failed only after the slot's instant: not known yet",
        [passed("Tue 09:00"), failed("Thu+1 09:00")],
        None,
    ),
]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, checks, _ in CHECKED:
        marketplace.item({"order_item_id": sentence, "pending_at": "2026-09-01T09:00"})
        for check in checks:
            marketplace.check(sentence, **check)
    new = marketplace.seller(onboarded_at="Mon 00:00", is_jumia_express=True)
    marketplace.check(marketplace.item(Item(order_item_id="new", seller_id=new)))
    for is_standing in (True, False):
        item = marketplace.item(Item(order_item_id=f"charged, {is_standing}"))
        marketplace.check(item)
        marketplace.remember(
            "charges",
            rule="dropoff_qc_charge",
            order_item_id=item,
            amount="3000.00",
            is_standing=is_standing,
        )
    marketplace.item(Item(order_item_id="at once"))
    for reason in ("wrong_item", "used_refurbished"):
        marketplace.check("at once", failure_reason=reason)
    return marketplace.decide(tmp_path_factory.mktemp("checked"), DROPOFF)


@each(CHECKED)
def test_the_first_failed_check_is_charged(
    checked: Decided, sentence: str, expected: tuple[str, str] | None
) -> None:
    row = checked.row(DROPOFF, order_item_id=sentence)
    found = row and (row["amount"], row["event_at"])
    assert found == (expected and (Decimal(expected[0]), Marketplace().at(expected[1])))


@pytest.mark.parametrize(
    ("order_item_id", "expected", "reason"),
    [
        ("new", "3000.00", "no exemptions"),
        ("charged, True", None, "an item bears a rule once"),
        ("charged, False", None, "ever"),
    ],
)
def test_no_one_is_exempt_from_the_check(
    checked: Decided, order_item_id: str, expected: str | None, reason: str
) -> None:
    assert amount(checked, DROPOFF, order_item_id) == decimal(expected), reason


def test_two_failures_at_one_instant_are_one_charge(checked: Decided) -> None:
    assert len(checked.rows(DROPOFF, order_item_id="at once")) == 1


# --- the policy in force on the event's date ------------------------------------------------------


@pytest.fixture(scope="module")
def under_an_amended_policy(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    folder = tmp_path_factory.mktemp("dated")
    policy = amended(
        folder,
        ("returns_charge.amounts.wrong_item", "2026-11-11", "1700"),
        ("returns_charge.amounts.defective_item", "2026-11-11", "0"),
        ("dropoff_qc_charge.amounts.wrong_item", "2026-11-11", "3300"),
    )
    marketplace = Marketplace(policy=policy)
    for at in ("Tue 23:59:59.999999", "Wed 00:00"):
        for reason in ("wrong_item", "defective_item"):
            back = Item(order_item_id=f"{reason} {at}", returned_at=at, return_reason=reason)
            marketplace.item({**DELIVERED, **back})
        marketplace.check(marketplace.item(Item(order_item_id=f"check {at}")), checked_at=at)
    return marketplace.decide(folder, RETURNS, DROPOFF)


@pytest.mark.parametrize(
    ("rule", "order_item_id", "expected", "reason"),
    [
        (RETURNS, "wrong_item Tue 23:59:59.999999", "1500.00", "the day before the amendment"),
        (RETURNS, "wrong_item Wed 00:00", "1700.00", "its first instant"),
        (RETURNS, "defective_item Tue 23:59:59.999999", "3000.00", "before it became free"),
        (RETURNS, "defective_item Wed 00:00", None, "an amount of 0 makes no action"),
        (DROPOFF, "check Tue 23:59:59.999999", "3000.00", "the day before the amendment"),
        (DROPOFF, "check Wed 00:00", "3300.00", "its first instant"),
    ],
)
def test_the_amount_is_that_of_the_events_local_date(
    under_an_amended_policy: Decided,
    rule: str,
    order_item_id: str,
    expected: str | None,
    reason: str,
) -> None:
    assert amount(under_an_amended_policy, rule, order_item_id) == decimal(expected), reason
