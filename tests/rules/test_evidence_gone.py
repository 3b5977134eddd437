"""Rulebook §2: just before implementation each charge's event is looked up again."""

from __future__ import annotations

import pytest
from marketplace import Case, Decided, Item, Marketplace, each

EVIDENCE = "enforcement.evidence_gone"

# The charges were proposed on Wednesday; it is Saturday 09:00 now. An old item, so that nothing but
# its charge keeps it in sight.
OLD = Item(pending_at="2026-06-01T09:00", ready_to_ship_at="2026-06-01T10:00")
STOCKLESS: Item = {**OLD, "cancelled_at": "Tue 10:00", "cancel_reason": "out_of_stock"}
RETURNED: Item = {**OLD, "returned_at": "Tue 10:00", "return_reason": "wrong_item"}
LATE = Item(pending_at="Mon 09:00", ready_to_ship_at="Wed 10:00")


def failed(reason: str = "wrong_item", at: str = "Tue 10:00") -> dict[str, object]:
    return {"checked_at": at, "failure_reason": reason}


def proven(at: str | None = "Tue 10:00") -> dict[str, object]:
    return {"proven_at": at, "notified_at": "Mon 10:00"}


# Given: the charge as (rule, reason), then the item, checks and cases as the warehouse holds them
# now; expected: whether the evidence is gone.
CHARGES = [
    Case("still out of stock", ("out_of_stock", "out_of_stock", STOCKLESS), False),
    Case(
        "the cancel reason was corrected",
        ("out_of_stock", "out_of_stock", {**STOCKLESS, "cancel_reason": "customer_request"}),
        True,
    ),
    Case(
        "the cancellation was undone",
        ("out_of_stock", "out_of_stock", {**STOCKLESS, "cancelled_at": None}),
        True,
    ),
    Case(
        "the cancellation was moved to another day: it is held all the same",
        ("out_of_stock", "out_of_stock", {**STOCKLESS, "cancelled_at": "Thu 10:00"}),
        False,
    ),
    Case("still late", ("late_fulfilment", "late", LATE), False),
    Case(
        "it had been ready in time after all",
        ("late_fulfilment", "late", {**LATE, "ready_to_ship_at": "Tue 09:00"}),
        True,
    ),
    Case(
        "it had been cancelled in time after all",
        (
            "late_fulfilment",
            "late",
            {**LATE, "cancelled_at": "Mon 12:00", "cancel_reason": "other"},
        ),
        True,
    ),
    Case(
        "ready only since the alert: it was late none the less",
        ("late_fulfilment", "late", {**LATE, "ready_to_ship_at": "Thu+1 10:00"}),
        False,
    ),
    Case(
        "cancelled since the alert: likewise",
        (
            "late_fulfilment",
            "late",
            Item(pending_at="Mon 09:00", cancelled_at="Thu+1 10:00", cancel_reason="late_pending"),
        ),
        False,
    ),
    Case("still returned", ("returns", "wrong_item", RETURNED), False),
    Case(
        "the return was undone", ("returns", "wrong_item", {**RETURNED, "returned_at": None}), True
    ),
    Case(
        "the return was no matter of quality",
        ("returns", "wrong_item", {**RETURNED, "return_reason": "change_of_mind"}),
        True,
    ),
    Case(
        "the return's reason was corrected to another chargeable one",
        ("returns", "wrong_item", {**RETURNED, "return_reason": "used_refurbished"}),
        True,
    ),
    Case("still failed", ("dropoff_qc", "wrong_item", OLD, failed()), False),
    Case("the failed check is gone", ("dropoff_qc", "wrong_item", OLD), True),
    Case(
        "the failed check is a passed one now",
        ("dropoff_qc", "wrong_item", OLD, {"result": "passed"}),
        True,
    ),
    Case(
        "failed again since, for another reason: the first is held",
        ("dropoff_qc", "wrong_item", OLD, failed(), failed("used_refurbished", "Thu 10:00")),
        False,
    ),
    Case(
        "the first failure's reason was corrected",
        ("dropoff_qc", "wrong_item", OLD, failed("defective_item")),
        True,
    ),
    Case("still proven", ("counterfeit", "counterfeit", OLD, proven()), False),
    Case("no longer proven", ("counterfeit", "counterfeit", OLD, proven(None)), True),
    Case("the case is gone", ("counterfeit", "counterfeit", OLD), True),
    Case(
        "the item is a bad row now",
        ("out_of_stock", "out_of_stock", {**STOCKLESS, "commission": None}),
        True,
    ),
    Case(
        "an event that happens only after this instant is not there",
        ("returns", "wrong_item", {**RETURNED, "returned_at": "Sun+1 10:00"}),
        True,
    ),
]


@pytest.fixture(scope="module")
def looked_up(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, (rule, reason, item, *others), _ in CHARGES:
        marketplace.item({"order_item_id": sentence, **item})
        for other in others:
            add = marketplace.counterfeit_case if rule == "counterfeit" else marketplace.check
            add(sentence, **other)
        marketplace.remember(
            "open_charges",
            action_id=sentence,
            rule=f"{rule}_charge",
            order_item_id=sentence,
            reason=reason,
        )
    marketplace.remember(
        "open_charges",
        action_id="no such item",
        rule="returns_charge",
        order_item_id="no such item",
        reason="wrong_item",
    )
    # Not charged: an event of its own accord brings nothing here.
    marketplace.item(RETURNED)
    return marketplace.look_up(tmp_path_factory.mktemp("looked_up"), EVIDENCE)


@each(CHARGES, "action", "expected")
def test_a_charge_stands_while_the_warehouse_holds_its_event(
    looked_up: Decided, action: str, expected: bool
) -> None:
    assert (looked_up.row(EVIDENCE, action_id=action) is not None) == expected


def test_an_item_that_is_gone_takes_its_charge_along(looked_up: Decided) -> None:
    assert looked_up.row(EVIDENCE, action_id="no such item") is not None


def test_nothing_but_open_charges_is_looked_up(looked_up: Decided) -> None:
    gone = {row["action_id"] for row in looked_up.rows(EVIDENCE)}
    assert gone == {case.sentence for case in CHARGES if case.expected} | {"no such item"}


def test_a_charge_on_one_item_is_not_held_by_another_rules_event(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A failed check is for the same reason as a return, and yet another event."""
    marketplace = Marketplace()
    marketplace.check(marketplace.item({**OLD, "order_item_id": "checked"}))
    marketplace.remember(
        "open_charges",
        action_id="A",
        rule="returns_charge",
        order_item_id="checked",
        reason="wrong_item",
    )
    decided = marketplace.look_up(tmp_path_factory.mktemp("crossed"), EVIDENCE)
    assert [row["action_id"] for row in decided.rows(EVIDENCE)] == ["A"]
