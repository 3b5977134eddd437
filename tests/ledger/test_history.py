"""What the rules learn of the past, out of a ledger that really went through it."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from ledger import made

from vibes_pipeline.ledger import history, schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import OPEN, Status

ITEMS = ("I1", "I2", "I3")
PRODUCTS = ("SKU-A", "SKU-B")
SELLERS = ("S-1", "S-2", "S-3")


@pytest.fixture
def after_a_cycle(ledger: Ledger) -> Ledger:
    """S-1's and S-3's actions implemented; S-2 was told too late."""
    reviews = pl.DataFrame(
        {"seller_id": ["S-3"], "quality_returns": [4], "dropoff_failures": [0], "counterfeits": [1]}
    )
    made.freeze_cycle(ledger, made.a_handful(), reviews=reviews)
    made.accept(ledger, sellers=["S-1", "S-3"])
    made.implement_cycle(ledger)
    return ledger


def everything(ledger: Ledger) -> dict[str, pl.DataFrame]:
    """What is in force, and the past of all that the made actions are about."""
    keys = history.Keys(ITEMS, PRODUCTS, SELLERS)
    return {**history.take(ledger).frames, **history.past(ledger, keys)}


def test_an_empty_ledger_has_every_relation_without_rows(ledger: Ledger) -> None:
    taken = history.take(ledger)
    assert (taken.last_event, taken.first_cycle) == (0, None)
    assert {name: frame.height for name, frame in everything(ledger).items()} == {
        "charges": 0,
        "open_charges": 0,
        "sales_regulations": 0,
        "product_delistings": 0,
        "account_delistings": 0,
        "recorded_account_decisions": 0,
        "account_reviews": 0,
        "reviewed_counterfeits": 0,
        "excuses": 0,
        "undecided_counterfeit_claims": 0,
    }


def test_relations_have_the_same_columns_and_types_whether_empty_or_not(ledger: Ledger) -> None:
    empty = everything(ledger)
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    made.implement_cycle(ledger)
    full = everything(ledger)
    assert {n: f.schema for n, f in empty.items()} == {n: f.schema for n, f in full.items()}


def test_charges_stand_until_they_are_withdrawn(after_a_cycle: Ledger) -> None:
    gone = made.charge("S-2", "I3", rule="counterfeit_charge")["action_id"]
    made.implement_cycle(after_a_cycle, made.NEXT_CYCLE, contradicted=[gone])
    charges = everything(after_a_cycle)["charges"].sort("order_item_id").rows()
    assert charges == [
        ("returns_charge", "I1", Decimal("3000.00"), True),
        ("out_of_stock_charge", "I2", Decimal("1234.50"), True),
        ("counterfeit_charge", "I3", Decimal("50000.00"), False),
    ]


def test_only_charges_not_implemented_are_open(after_a_cycle: Ledger) -> None:
    (row,) = history.take(after_a_cycle).frames["open_charges"].rows(named=True)
    assert (row["rule"], row["order_item_id"], row["reason"]) == (
        "counterfeit_charge",
        "I3",
        "defective_item",
    )


def test_a_regulation_stands_only_once_implemented(after_a_cycle: Ledger) -> None:
    given = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(
        after_a_cycle, [made.sales_regulation("S-1", "SKU-B", given=given)], cycle=made.NEXT_CYCLE
    )
    made.accept(after_a_cycle, made.ALERT_AT + made.WEEK)
    made.implement_cycle(after_a_cycle, made.NEXT_CYCLE)
    assert everything(after_a_cycle)["sales_regulations"].sort("sku").rows() == [
        ("SKU-A", made.CYCLE, 4, False),
        ("SKU-B", made.NEXT_CYCLE, 4, True),
    ]


def test_account_delistings_and_reviews_are_remembered(after_a_cycle: Ledger) -> None:
    frames = everything(after_a_cycle)
    assert frames["account_delistings"].rows() == [("S-3", "AD-S-3", True)]
    assert frames["account_reviews"].rows() == [("S-3", 4, 0, 1)]


def test_the_newest_event_and_the_first_cycle_tell_what_ledger_was_seen(
    after_a_cycle: Ledger,
) -> None:
    before = history.take(after_a_cycle)
    made.accept(after_a_cycle, sellers=["S-2"])
    after = history.take(after_a_cycle)
    assert after.last_event > before.last_event > 0
    assert before.first_cycle == after.first_cycle == made.CYCLE


def test_another_countrys_past_is_not_seen(after_a_cycle: Ledger) -> None:
    kenya = Ledger(after_a_cycle.engine, "KE")
    taken = history.take(kenya)
    assert (taken.last_event, taken.first_cycle) == (0, None)
    assert all(frame.is_empty() for frame in everything(kenya).values())


def test_only_the_past_of_what_is_at_hand_is_asked_for(after_a_cycle: Ledger) -> None:
    keys = history.Keys(items=["I2", "I-'\";\0", "I\\", "₦"], products=["SKU-B"], sellers=["S-1"])
    frames = history.past(after_a_cycle, keys)
    assert frames.keys() == history.PAST
    assert frames["charges"]["order_item_id"].to_list() == ["I2"]
    assert frames["sales_regulations"].is_empty()
    assert frames["account_reviews"].is_empty()
    assert all(f.is_empty() for f in history.past(after_a_cycle, history.Keys()).values())


def test_only_the_relations_that_are_needed_are_read(after_a_cycle: Ledger) -> None:
    taken = history.take(after_a_cycle, only=["open_charges"])
    assert taken.frames.keys() == {"open_charges"}


def test_what_is_open_is_what_its_events_leave_open(after_a_cycle: Ledger) -> None:
    made.freeze_cycle(after_a_cycle, [], cycle=made.NEXT_CYCLE)
    a, n = views.action_states.c, views.notice_states.c
    states = made.rows(after_a_cycle, a.action_id, a.state)
    is_open = {(action,) for action, state in states if state in OPEN}
    assert set(made.rows(after_a_cycle, schema.open_actions.c.action_id)) == is_open
    assert 0 < len(is_open) < len(states)
    statuses = made.rows(after_a_cycle, n.notice_id, n.status)
    is_unsent = {(notice,) for notice, status in statuses if status != Status.SENT}
    assert set(made.rows(after_a_cycle, schema.unsent_notices.c.notice_id)) == is_unsent
    assert 0 < len(is_unsent) < len(statuses)
