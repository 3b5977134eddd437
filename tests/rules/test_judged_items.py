"""Rulebook §13: which stored rows are judged, so that a slot's cost follows the weeks it looks at."""

from __future__ import annotations

from pathlib import Path

import pytest
from marketplace import Case, Decided, Item, Marketplace, each

QUARANTINE = "warehouse.quarantine"
# The weekly rules look back some weeks; this is longer than any of them.
LONG_AGO = "Mon-40 09:00"
WHILE_AGO = "Mon-40 18:00"
FIRST_CYCLE = "2026-08-03"
SINCE_THEN, BEFORE_IT = "2026-08-03T00:00", "2026-08-02T23:59:59.999999"

# All are bad, for their price is negative, and all became pending long ago unless they say otherwise.
STORED = [
    Case("pending lately", Item(pending_at="Mon-1 09:00"), True),
    Case("pending long ago and never moved since", Item(), False),
    Case("pending and shipped long ago", Item(shipped_at=WHILE_AGO), False),
    Case("ready lately", Item(ready_to_ship_at="Tue 09:00"), True),
    Case(
        "ready long ago, shipped lately",
        Item(ready_to_ship_at=WHILE_AGO, shipped_at="Tue 09:00"),
        True,
    ),
    Case("delivered lately", Item(shipped_at=WHILE_AGO, delivered_at="Tue 09:00"), True),
    Case("cancelled lately", Item(cancelled_at="Tue 09:00", cancel_reason="other"), True),
    Case("rejected lately", Item(shipped_at=WHILE_AGO, rejected_at="Tue 09:00"), True),
    Case(
        "returned lately",
        Item(delivered_at=WHILE_AGO, returned_at="Tue 09:00", return_reason="other"),
        True,
    ),
    Case("never pending", Item(pending_at=None), True),
    Case("never pending, shipped long ago", Item(pending_at=None, shipped_at=WHILE_AGO), True),
    Case("of the end of the type", Item(pending_at="9999-01-01T00:00"), True),
]
# Bad rows too, of long ago; named by a check or a case with these times.
CHECKED = [
    Case("checked lately", "Tue 09:00", True),
    Case("checked long ago", WHILE_AGO, False),
]
SUSPECTED = [
    Case("proven in the first cycle's first instant", (WHILE_AGO, SINCE_THEN), True),
    Case("proven before the first cycle", (WHILE_AGO, BEFORE_IT), False),
    Case("never notified, proven in the first cycle", (None, SINCE_THEN), True),
    Case("never notified, proven before it", (None, BEFORE_IT), False),
    Case("proven before it, notified lately", ("Tue 09:00", BEFORE_IT), True),
    Case("open for long and proven now", (WHILE_AGO, "Tue 09:00"), True),
    Case("open for long", (WHILE_AGO, None), False),
    Case("open for long, proven after the slot", (WHILE_AGO, "Sun+1 09:00"), True),
    Case("open since lately", ("Tue 09:00", None), True),
    Case("neither notified nor proven", (None, None), True),
    Case("proven at the type's beginning", (None, "0001-01-02T00:00"), True),
]
CHARGED = "with a charge that is open"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    market = Marketplace()
    bad = Item(pending_at=LONG_AGO, item_price="-1.00")
    for sentence, columns, _ in STORED:
        market.item({**bad, "order_item_id": sentence, **columns})
    for sentence, *_ in (*CHECKED, *SUSPECTED):
        market.item({**bad, "order_item_id": sentence})
    for sentence, checked_at, _ in CHECKED:
        market.check(sentence, checked_at=checked_at)
    for sentence, (notified_at, proven_at), _ in SUSPECTED:
        suspected = {"notified_at": notified_at, "proven_at": proven_at}
        market.counterfeit_case(sentence, case_id=sentence, **suspected)
        market.counterfeit_case("no such item", case_id=f"nothing: {sentence}", **suspected)
    market.item({**bad, "order_item_id": CHARGED})
    market.remember(
        "open_charges",
        action_id="a",
        rule="returns_charge",
        seller_id="S",
        order_item_id=CHARGED,
        reason="wrong_item",
    )
    return market.decide(tmp_path_factory.mktemp("judged"), QUARANTINE, first_cycle=FIRST_CYCLE)


@each([*STORED, *CHECKED, *SUSPECTED, Case(CHARGED, None, True)])
def test_a_row_is_judged_as_long_as_it_can_enter_a_rule(
    judged: Decided, sentence: str, expected: bool
) -> None:
    assert bool(judged.rows(QUARANTINE, table_name="order_items", row_id=sentence)) == expected


@each(SUSPECTED)
@pytest.mark.parametrize("of", ["", "nothing: "])
def test_a_case_is_judged_with_its_item(
    judged: Decided, sentence: str, expected: bool, of: str
) -> None:
    rows = judged.rows(QUARANTINE, table_name="counterfeit_cases", row_id=of + sentence)
    assert bool(rows) == expected


# The other copy of an item that is pending lately, and whether it makes both bad.
COPIES = [
    ("another of last week", Item(pending_at="Mon-1 09:00"), True),
    ("one that was never pending", Item(pending_at=None), True),
    ("one of long ago", Item(pending_at=LONG_AGO), False),
]


@pytest.mark.parametrize(("copy", "columns", "is_bad"), COPIES)
def test_a_repeated_id_is_bad_when_another_copy_is_judged(
    tmp_path: Path, copy: str, columns: Item, is_bad: bool
) -> None:
    market = Marketplace()
    market.item(Item(order_item_id=copy, pending_at="Mon 09:00"))
    market.item({"order_item_id": copy, **columns})
    rows = market.decide(tmp_path, QUARANTINE).rows(QUARANTINE, row_id=copy)
    assert bool(rows) == is_bad


def test_a_copy_of_long_ago_is_judged_when_a_check_names_the_id(tmp_path: Path) -> None:
    market = Marketplace()
    market.item(Item(order_item_id="checked", pending_at="Mon 09:00"))
    market.item(Item(order_item_id="checked", pending_at=LONG_AGO))
    market.check("checked", checked_at="Tue 09:00")
    rows = market.decide(tmp_path, QUARANTINE).rows(QUARANTINE, row_id="checked")
    assert len(rows) == 2


@pytest.mark.parametrize(
    "lately",
    [Item(pending_at="Mon 09:00"), Item(pending_at=WHILE_AGO, shipped_at="Tue 09:00")],
    ids=["pending", "shipped"],
)
def test_a_copy_of_long_ago_is_judged_when_a_case_of_any_age_names_the_id(
    tmp_path: Path, lately: Item
) -> None:
    market = Marketplace()
    market.item({**lately, "order_item_id": "suspected"})
    market.item(Item(order_item_id="suspected", pending_at=LONG_AGO))
    market.counterfeit_case("suspected", notified_at=WHILE_AGO, proven_at=BEFORE_IT)
    decided = market.decide(tmp_path, QUARANTINE, first_cycle=FIRST_CYCLE)
    assert len(decided.rows(QUARANTINE, row_id="suspected")) == 2


def test_an_id_is_repeated_even_if_the_other_case_is_too_old_to_be_judged(tmp_path: Path) -> None:
    market = Marketplace()
    charge = "decisions.counterfeit_charges"
    for proven_at in ("Tue 10:00", BEFORE_IT):
        market.counterfeit_case(
            market.item(), case_id="twice", notified_at=WHILE_AGO, proven_at=proven_at
        )
    decided = market.decide(tmp_path, QUARANTINE, charge, first_cycle=FIRST_CYCLE)
    assert decided.rows(charge) == []
    assert [row["faults"] for row in decided.rows(QUARANTINE)] == ["case_id occurs more than once"]


def test_the_first_failed_check_of_an_item_counts_however_old_it_is(tmp_path: Path) -> None:
    market = Marketplace()
    item = market.item(Item(order_item_id="checked twice", pending_at=LONG_AGO))
    market.check(item, checked_at=WHILE_AGO, result="failed", failure_reason="wrong_item")
    market.check(item, checked_at="Tue 09:00", result="failed", failure_reason="wrong_item")
    failures = "events.dropoff_qc_failures"
    (failure,) = market.decide(tmp_path, failures).rows(failures)
    assert failure["event_at"] == market.at(WHILE_AGO)
