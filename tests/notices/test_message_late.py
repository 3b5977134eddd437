"""What the mails of late orders say: by order, the soonest deadline first (Rulebook §9, §10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_reader import MONEY, PROGRAMME, REFERENCE, both
from notice_samples import action, gallery, late_alert, late_cancellation

from vibes_pipeline.notices.content import Notice, NoticeAction
from vibes_pipeline.notices.message import render

PENDING, READY = "late_pending_cancellation", "late_ready_to_ship_cancellation"
CHARGE = PROGRAMME.rules["late_fulfilment_charge"]
MIDNIGHT = datetime(2026, 11, 17, 23, tzinfo=UTC)
Make = Callable[..., Notice]


def _due(
    order_number: str | None, minutes: int, number: int = 1, rule: str = PENDING
) -> NoticeAction:
    """An item of an order, due so many minutes after the day's local midnight."""
    deadline_at = MIDNIGHT + timedelta(minutes=minutes)
    return action(rule, number, order_number=order_number, event_at=deadline_at)


def _listed(part: str) -> list[str]:
    """The references in the order in which a part lists them; the first is the one to quote."""
    return REFERENCE.findall(part)[1:]


# --- what each line says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (late_alert([action(PENDING, 1)]), "Update to: Ready to Ship"),
        (late_alert([action(PENDING, 1)]), "Pending since: Mon 16 Nov 2026, 23:37"),
        (late_alert([action(PENDING, 1)]), "Deadline: Tue 17 Nov 2026, 23:37"),
        (late_alert([action(READY, 1)]), "Update to: Shipped"),
        (late_alert([action(READY, 1)]), "Ready to Ship since: Mon 16 Nov 2026, 23:37"),
        (late_alert([action(READY, 1)]), "Deadline: Tue 17 Nov 2026, 23:37"),
        (late_cancellation([action(PENDING, 1)]), "Pending since: Mon 16 Nov 2026, 23:37"),
        (late_cancellation([action(READY, 1)]), "Ready to Ship since: Mon 16 Nov 2026, 23:37"),
    ],
)
def test_a_line_gives_the_state_its_deadline_and_in_the_alert_what_to_do(
    made: Notice, words: str
) -> None:
    for part in both(made):
        assert words in part


def test_after_the_cancellation_there_is_nothing_left_to_update() -> None:
    for part in both(gallery()["late_done"]):
        assert "Update to" not in part
        assert "unless" not in part


@pytest.mark.parametrize("make", [late_alert, late_cancellation])
def test_the_items_of_an_order_stand_together_whatever_their_state(make: Make) -> None:
    items = [_due("B", 5, 1), _due("A", 9, 2, READY), _due("B", 20, 3, READY), _due("A", 10, 4)]
    for part in both(make(items)):
        assert part.index("Order B (2 items)") < part.index("Order A (2 items)")
        assert (part.count("Order A"), part.count("Order B")) == (1, 1)
        assert _listed(part) == [items[n].reference for n in (0, 2, 1, 3)]


items_of_orders = st.lists(
    st.tuples(st.sampled_from("ABCDE"), st.integers(0, 1379), st.sampled_from([PENDING, READY])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(items_of_orders)
def test_orders_and_the_items_in_them_go_from_the_soonest_deadline(
    drawn: list[tuple[str, int, str]],
) -> None:
    items = [_due(order, due, n, rule) for n, (order, due, rule) in enumerate(drawn)]
    of = {item.reference: item for item in items}
    for part in both(late_alert(items)):
        listed = [of[reference] for reference in _listed(part)]
        by_order: dict[str | None, list[datetime]] = {}
        for item in listed:
            assert item.event_at is not None
            by_order.setdefault(item.order_number, []).append(item.event_at)
        assert sorted(of) == sorted(item.reference for item in listed)
        orders = [item.order_number for item in listed]
        changes = sum(one != other for one, other in pairwise(orders))
        assert changes == len(by_order) - 1
        assert all(dues == sorted(dues) for dues in by_order.values())
        soonest = [dues[0] for dues in by_order.values()]
        assert soonest == sorted(soonest)


def test_the_soonest_deadline_is_the_earlier_instant_where_local_time_goes_back() -> None:
    cairo = replace(PROGRAMME, time_zone=ZoneInfo("Africa/Cairo"))
    before = action(PENDING, 1, event_at=datetime(2026, 10, 29, 20, 40, tzinfo=UTC))  # 23:40
    after = action(PENDING, 2, event_at=datetime(2026, 10, 29, 21, 10, tzinfo=UTC))  # 23:10, again
    for part in both(late_alert([after, before]), cairo):
        assert _listed(part) == [before.reference, after.reference]


@pytest.mark.parametrize("missing", [None, "", "\u200b"])
def test_items_without_an_order_number_are_listed_too(missing: str | None) -> None:
    lost = _due(missing, 1, 2)
    for part in both(late_alert([_due("A", 5), lost])):
        assert "Without order number" in part
        assert lost.reference in part


# --- the rules, once ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["late", "late_many", "late_done"])
def test_each_rules_words_stand_once_with_how_many_items_it_concerns(name: str) -> None:
    made = gallery()[name]
    for part in both(made):
        for rule in (PENDING, READY):
            count = sum(one.rule == rule for one in made.actions)
            assert part.count(PROGRAMME.rules[rule].words) == 1
            assert f"{PROGRAMME.rules[rule].title} {count} items" in part


def test_a_rule_that_concerns_no_item_is_not_quoted() -> None:
    for part in both(late_alert([action(READY)])):
        assert PROGRAMME.rules[PENDING].words not in part
        assert f"{PROGRAMME.rules[READY].title} 1 item " in part


# --- when, and what follows ---------------------------------------------------------------------


def test_the_alert_says_plainly_that_an_item_updated_before_the_time_is_not_cancelled() -> None:
    for part in both(gallery()["late"]):
        assert "5 items in 4 orders will be cancelled at 23:00 today unless you update them" in part
        assert "An item updated before 23:00 is not cancelled." in part
        assert part.count("Cancelled unless updated before Wednesday 18 November 2026, 23:00") == 1
        assert "been cancelled" not in part


def test_the_alert_gives_the_time_it_is_given() -> None:
    earlier = datetime(2026, 11, 18, 19, 30, tzinfo=UTC)
    for part in both(late_alert([action(READY, 10)], takes_effect_at=earlier)):
        assert "One item will be cancelled at 20:30 today unless you update it" in part
        assert "23:00" not in part


def test_the_cancellation_says_what_was_cancelled_and_when() -> None:
    for part in both(gallery()["late_done"]):
        assert "5 items in 4 orders, of which we wrote to you, were not updated in time" in part
        assert part.count("Cancelled Wednesday 18 November 2026, 23:00") == 1
    for part in both(gallery()["late_one_done"]):
        assert (
            "One item, of which we wrote to you, was not updated in time and was cancelled" in part
        )


@pytest.mark.parametrize("make", [late_alert, late_cancellation])
def test_a_late_pending_item_may_also_bear_the_weekly_charge(make: Make) -> None:
    for part in both(make([action(PENDING)])):
        assert "may also bear the Late Fulfillment Charge" in part
        assert "you would be told of that first, on the Wednesday after the week" in part
        assert f"“{CHARGE.words} {CHARGE.exemptions}”" in part


@pytest.mark.parametrize("make", [late_alert, late_cancellation])
def test_a_late_ready_to_ship_item_is_not_threatened_with_the_charge(make: Make) -> None:
    for part in both(make([action(READY)])):
        assert CHARGE.title not in part
        assert CHARGE.words not in part


def test_the_charge_is_told_of_on_the_policys_day_and_without_exemptions_where_it_has_none() -> (
    None
):
    rules = {**PROGRAMME.rules, "late_fulfilment_charge": replace(CHARGE, exemptions=None)}
    amended = replace(PROGRAMME, weekly_alert_weekday="Thursday", rules=rules)
    for part in both(late_cancellation([action(PENDING)]), amended):
        assert "on the Thursday after the week of the deadline" in part
        assert f"“{CHARGE.words}”" in part


@pytest.mark.parametrize("name", [name for name in gallery() if name.startswith("late")])
def test_no_late_mail_names_money(name: str) -> None:
    for part in both(gallery()[name]):
        assert MONEY.findall(part) == []
        assert "Total" not in part


@pytest.mark.parametrize(
    ("make", "subject"),
    [
        (late_alert, "VIBES alert: orders to update before Wed 18 Nov 2026, 23:00 (2 items)"),
        (late_cancellation, "VIBES: late orders cancelled Wed 18 Nov 2026, 23:00 (2 items)"),
    ],
)
def test_the_subject_says_when_and_how_many(make: Make, subject: str) -> None:
    assert render(make([action(PENDING), action(READY)]), PROGRAMME).subject == subject
