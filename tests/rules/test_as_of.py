"""Rulebook §13: a slot sees the warehouse as it stood at its instant."""

from __future__ import annotations

from pathlib import Path

import pytest
from marketplace import Case, Decided, Item, Marketplace, amended, each

ITEMS = "warehouse.order_items"
CHECKS = "warehouse.dropoff_qc"
FINDINGS = "warehouse.counterfeit_cases"
ACCOUNT_DECISIONS = "warehouse.account_decisions"

NOW = "Wed+1 07:00"
LATER = "Wed+1 07:00:00.000001"

# One time of an item each; expected: what of it is seen, with the reason.
SEEN = [
    Case("pending_at at the instant", Item(pending_at=NOW), (NOW, None)),
    Case("ready_to_ship_at at the instant", Item(ready_to_ship_at=NOW), (NOW, None)),
    Case("ready_to_ship_at after it", Item(ready_to_ship_at=LATER), (None, None)),
    Case("shipped_at at the instant", Item(shipped_at=NOW), (NOW, None)),
    Case("shipped_at after it", Item(shipped_at=LATER), (None, None)),
    Case("delivered_at at the instant", Item(delivered_at=NOW), (NOW, None)),
    Case("delivered_at after it", Item(delivered_at=LATER), (None, None)),
    Case("rejected_at at the instant", Item(rejected_at=NOW), (NOW, None)),
    Case("rejected_at after it", Item(rejected_at=LATER), (None, None)),
    Case(
        "cancelled_at at the instant",
        Item(cancelled_at=NOW, cancel_reason="out_of_stock"),
        (NOW, "out_of_stock"),
    ),
    Case(
        "cancelled_at after it",
        Item(cancelled_at=LATER, cancel_reason="out_of_stock"),
        (None, None),
    ),
    Case(
        "returned_at at the instant",
        Item(returned_at=NOW, return_reason="wrong_item"),
        (NOW, "wrong_item"),
    ),
    Case("returned_at after it", Item(returned_at=LATER, return_reason="wrong_item"), (None, None)),
]
REASONS = {"cancelled_at": "cancel_reason", "returned_at": "return_reason"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, item, _ in SEEN:
        marketplace.item({"order_item_id": sentence, **item})
    marketplace.item(Item(order_item_id="pending later", pending_at=LATER))
    future = marketplace.seller(seller_id="onboarded later", onboarded_at="2027-06-01T00:00")
    item = marketplace.item(Item(order_item_id="many", seller_id=future))
    marketplace.item(
        Item(
            order_item_id="shipped later",
            pending_at="Mon 09:00",
            shipped_at=LATER,
            delivered_at=NOW,
        )
    )
    marketplace.check(item, qc_id="checked now", checked_at=NOW)
    marketplace.check(item, qc_id="checked later", checked_at=LATER)
    marketplace.check("pending later", qc_id="checked before it was pending", checked_at=NOW)
    for case_id, notified_at, proven_at in (
        ("both known", NOW, NOW),
        ("notified", NOW, LATER),
        ("proven", LATER, NOW),
        ("neither yet", LATER, LATER),
        ("open, not notified", None, None),
        ("proven later, never notified", None, LATER),
    ):
        marketplace.counterfeit_case(
            item, case_id=case_id, notified_at=notified_at, proven_at=proven_at
        )
    marketplace.account_decision(future, NOW, decision_id="decided now")
    marketplace.account_decision(future, LATER, decision_id="decided later")
    folder = tmp_path_factory.mktemp("seen")
    return marketplace.decide(folder, ITEMS, CHECKS, FINDINGS, ACCOUNT_DECISIONS)


@each(SEEN)
def test_a_time_after_the_instant_has_not_happened(
    seen: Decided, sentence: str, expected: tuple[str | None, str | None]
) -> None:
    row = seen.row(ITEMS, order_item_id=sentence)
    assert row is not None
    column = sentence.split()[0]
    at, reason = expected
    assert row[column] == (at and Marketplace().at(at))
    assert row.get(REASONS.get(column, "")) == reason


def test_an_item_pending_after_the_instant_does_not_exist(seen: Decided) -> None:
    assert seen.row(ITEMS, order_item_id="pending later") is None


def test_shipping_not_yet_recorded_leaves_the_delivery_to_tell(seen: Decided) -> None:
    row = seen.row(ITEMS, order_item_id="shipped later")
    assert row is not None
    assert row["shipped_from"] == Marketplace().at(NOW)


def test_the_onboarding_date_is_never_masked(seen: Decided) -> None:
    row = seen.row("warehouse.sellers", seller_id="onboarded later")
    assert row is not None
    assert row["onboarded_at"] == Marketplace().at("2027-06-01T00:00")


def test_checks_after_the_instant_do_not_exist(seen: Decided) -> None:
    assert [row["qc_id"] for row in seen.rows(CHECKS)] == ["checked now"]


def test_decisions_after_the_instant_do_not_exist(seen: Decided) -> None:
    assert [row["decision_id"] for row in seen.rows(ACCOUNT_DECISIONS)] == ["decided now"]


@pytest.mark.parametrize(
    ("case_id", "notified_at", "proven_at"),
    [("both known", NOW, NOW), ("notified", NOW, None), ("proven", None, NOW)],
)
def test_a_case_shows_what_was_known_of_it(
    seen: Decided, case_id: str, notified_at: str | None, proven_at: str | None
) -> None:
    row = seen.row(FINDINGS, case_id=case_id)
    assert row is not None
    at = Marketplace().at
    assert row["notified_at"] == (notified_at and at(notified_at))
    assert row["proven_at"] == (proven_at and at(proven_at))


def test_a_case_neither_notified_nor_proven_yet_does_not_exist(seen: Decided) -> None:
    assert {row["case_id"] for row in seen.rows(FINDINGS)} == {"both known", "notified", "proven"}


def test_a_slot_run_late_sees_what_came_meanwhile(tmp_path: Path) -> None:
    marketplace = Marketplace()
    marketplace.item(Item(shipped_at=LATER))
    (row,) = marketplace.decide(tmp_path, ITEMS, at="Thu+1 12:00").rows(ITEMS)
    assert row["shipped_at"] == marketplace.at(LATER)


# --- how far back the working set reaches ---------------------------------------------------------

# The weekly rules look back to 2026-10-12, and the clock from there to Saturday 2026-10-10.
OLD = "2026-06-01T09:00"
KEPT = [
    Case("nothing since the horizon", Item(pending_at=OLD, shipped_at="2026-10-09T23:59"), False),
    Case("pending since", Item(pending_at="2026-10-10T00:00"), True),
    Case(
        "returned since", Item(pending_at=OLD, returned_at="Tue 10:00", return_reason="other"), True
    ),
    Case(
        "cancelled since",
        Item(pending_at=OLD, cancelled_at="Tue 10:00", cancel_reason="other"),
        True,
    ),
    Case("delivered since", Item(pending_at=OLD, delivered_at="Tue 10:00"), True),
    Case("rejected since", Item(pending_at=OLD, rejected_at="Tue 10:00"), True),
    Case("shipped since", Item(pending_at=OLD, shipped_at="Tue 10:00"), True),
    Case("set ready since", Item(pending_at=OLD, ready_to_ship_at="Tue 10:00"), True),
    Case("old, but checked since", Item(pending_at=OLD), True),
    Case("old, but in a counterfeit case", Item(pending_at=OLD), True),
    Case("old, but with an open charge", Item(pending_at=OLD), True),
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, item, _ in KEPT:
        marketplace.item({"order_item_id": sentence, **item})
    marketplace.check("old, but checked since")
    marketplace.counterfeit_case("old, but in a counterfeit case", proven_at=OLD, notified_at=OLD)
    marketplace.remember(
        "open_charges",
        action_id="A",
        rule="returns_charge",
        order_item_id="old, but with an open charge",
        reason="wrong_item",
    )
    return marketplace.decide(tmp_path_factory.mktemp("kept"), ITEMS)


@each(KEPT)
def test_the_working_set_holds_what_can_still_enter_a_rule(
    kept: Decided, sentence: str, expected: bool
) -> None:
    assert (kept.row(ITEMS, order_item_id=sentence) is not None) == expected


def test_the_working_set_reaches_as_far_as_the_longest_window_of_the_policy(tmp_path: Path) -> None:
    policy = amended(tmp_path, ("order_regulation.window_weeks", "2026-11-09", "12"))
    marketplace = Marketplace(policy=policy)
    marketplace.item(Item(pending_at="Mon-11 00:00", shipped_at="Mon-11 00:00"))
    assert marketplace.decide(tmp_path, ITEMS).rows(ITEMS)
