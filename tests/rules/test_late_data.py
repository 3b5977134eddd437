"""Rulebook §6: events of earlier weeks that no cycle has acted on."""

from __future__ import annotations

from pathlib import Path

import pytest
from marketplace import Case, Decided, Item, Marketplace, each

RULES = (
    "decisions.out_of_stock_charges",
    "decisions.late_fulfilment_charges",
    "decisions.returns_charges",
    "decisions.dropoff_qc_charges",
    "decisions.counterfeit_charges",
)
CHARGED_WITHIN_28_DAYS = RULES[:-1]

LONG_AGO = "2026-03-02T09:00"

# The instant of an event; expected: whether its week began within 28 days before the observed one.
REACH = [
    Case("in the week before", "Wed-1 10:00", True),
    Case("on Monday 00:00 of the week that began 28 days before", "Mon-4 00:00", True),
    Case("in that week's last microsecond", "Sun-4 23:59:59.999999", True),
    Case("a microsecond before it", "Sun-5 23:59:59.999999", False),
    Case("in the week that began 35 days before", "Wed-5 10:00", False),
]


def add_event(marketplace: Marketplace, rule: str, item_id: str, at: str) -> None:
    """An item whose one event of the rule falls at that time."""
    item = Item(order_item_id=item_id, pending_at=LONG_AGO, ready_to_ship_at=LONG_AGO)
    if rule == "decisions.out_of_stock_charges":
        marketplace.item({**item, "cancelled_at": at, "cancel_reason": "out_of_stock"})
    elif rule == "decisions.returns_charges":
        marketplace.item({**item, "returned_at": at, "return_reason": "wrong_item"})
    elif rule == "decisions.dropoff_qc_charges":
        marketplace.check(marketplace.item(item), checked_at=at)
    else:
        marketplace.counterfeit_case(
            marketplace.item(item), notified_at="Wed-20 09:00", proven_at=at
        )


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for rule in RULES:
        if rule == "decisions.late_fulfilment_charges":
            continue
        for sentence, at, _ in REACH:
            add_event(marketplace, rule, f"{sentence} {rule}", at)
    for sentence, pending_at, _ in DUE:
        marketplace.item(Item(order_item_id=sentence, pending_at=pending_at))
    return marketplace.decide(tmp_path_factory.mktemp("reached"), *RULES)


@pytest.mark.parametrize("rule", [r for r in CHARGED_WITHIN_28_DAYS if "late" not in r])
@each(REACH)
def test_an_event_of_an_earlier_week_is_taken_in_for_28_days(
    reached: Decided, rule: str, sentence: str, expected: bool
) -> None:
    assert bool(reached.rows(rule, order_item_id=f"{sentence} {rule}")) == expected


@pytest.mark.parametrize("sentence", [case.sentence for case in REACH])
def test_a_counterfeit_finding_is_taken_in_however_old(reached: Decided, sentence: str) -> None:
    rule = "decisions.counterfeit_charges"
    assert reached.rows(rule, order_item_id=f"{sentence} {rule}")


# Lateness falls at the deadline: given is when the item became pending.
DUE = [
    Case("due in the week before", "Wed-1 10:00", True),
    Case(
        "pending two weeks before its deadline's week would be reached, due just within",
        "Sat-5 00:00:00.000001",
        True,
    ),
    Case("pending on the Sunday before, due on Tuesday 00:00", "Sun-5 15:00", True),
    Case("pending on the Saturday before, due on its Sunday 00:00", "Sat-5 00:00", False),
    Case("due a week too early", "Wed-5 10:00", False),
]


@each(DUE)
def test_lateness_is_taken_in_by_its_deadline(
    reached: Decided, sentence: str, expected: bool
) -> None:
    assert bool(reached.rows(RULES[1], order_item_id=sentence)) == expected


def test_holidays_before_the_earliest_week_do_not_hide_an_item(tmp_path: Path) -> None:
    """Pending on the 24th, due on Tuesday the 29th: Christmas stands still."""
    marketplace = Marketplace("2027-01-25")
    marketplace.item(Item(order_item_id="over Christmas", pending_at="2026-12-24T18:00"))
    marketplace.item(Item(order_item_id="too early", pending_at="2026-12-23T18:00"))
    rows = marketplace.decide(tmp_path, RULES[1]).rows(RULES[1])
    assert [row["order_item_id"] for row in rows] == ["over Christmas"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("at", "is_charged"), [("Mon-2 12:00", True), ("Sun-3 23:59:59.999999", False)]
)
def test_nothing_is_charged_of_the_time_before_the_first_cycle(
    since_the_first_cycle: Decided, rule: str, at: str, is_charged: bool
) -> None:
    assert bool(since_the_first_cycle.rows(rule, order_item_id=f"{at} {rule}")) == is_charged


@pytest.fixture(scope="module")
def since_the_first_cycle(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    """The ledger's first cycle is the one of two weeks before."""
    marketplace = Marketplace()
    late = "decisions.late_fulfilment_charges"
    for rule in RULES:
        if rule != late:
            for at in ("Mon-2 12:00", "Sun-3 23:59:59.999999"):
                add_event(marketplace, rule, f"{at} {rule}", at)
    marketplace.item(Item(order_item_id=f"Mon-2 12:00 {late}", pending_at="Sat-3 12:00"))
    marketplace.item(Item(order_item_id=f"Sun-3 23:59:59.999999 {late}", pending_at="Sat-3 00:00"))
    folder = tmp_path_factory.mktemp("first")
    return marketplace.decide(folder, *RULES, first_cycle="2026-10-26")


@pytest.mark.parametrize("rule", RULES)
def test_a_first_cycle_looks_at_its_own_week_alone(tmp_path: Path, rule: str) -> None:
    marketplace = Marketplace()
    for at in ("Sun-1 23:59:59.999999", "Mon 00:00:00.000001"):
        if rule == "decisions.late_fulfilment_charges":
            pending_at = {"S": "Fri-1 12:00", "M": "Sat-1 00:00:00.000001"}[at[0]]
            marketplace.item(Item(order_item_id=at, pending_at=pending_at))
        else:
            add_event(marketplace, rule, at, at)
    rows = marketplace.decide(tmp_path, rule, first_cycle=None).rows(rule)
    assert [row["order_item_id"] for row in rows] == ["Mon 00:00:00.000001"]
