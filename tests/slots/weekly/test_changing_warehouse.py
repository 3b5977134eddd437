"""What becomes of frozen decisions when the warehouse changes, and of strikes over weeks (§2, §6 to §8)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from ledger import made
from rules.marketplace import Item, Row, amended
from slots.weekly.programme import Programme, out_of_stock, regulations, sku
from slots.whole_slots import rejected, returned

from vibes_pipeline.errors import StaleWarehouse, TooManyBadRows
from vibes_pipeline.ledger import views
from vibes_pipeline.ledger.proposals import frozen_cycle

# --- a warehouse that changes ---------------------------------------------------------------------


def test_charges_whose_evidence_is_contradicted_by_saturday_are_withdrawn(
    programme: Programme,
) -> None:
    changes: dict[str, Row] = {
        "its reason was corrected": {"return_reason": "change_of_mind"},
        "even to a dearer one": {"return_reason": "defective_item"},
        "its return was undone": {"returned_at": None, "return_reason": None},
        "it is another seller's": {"seller_id": "S-2", "sku": sku("S-2")},
    }
    seller = programme.seller("S-1")
    programme.seller("S-2")
    for item in (*changes, "nothing has changed"):
        programme.item(seller, item, returned())
    programme.alert()
    for item, change in changes.items():
        programme.row("order_items", item).update(change)
    done = programme.implement()
    assert (done.withdrawn, done.by_rule) == (len(changes), {"returns_charge": 1})
    assert programme.postings() == {"nothing has changed": Decimal(1500)}
    s = views.action_states.c
    assert set(made.rows(programme.ledger, s.order_item_id, s.state, s.cause)) == {
        ("nothing has changed", "implemented", "implemented"),
        *((item, "withdrawn", "evidence_gone") for item in changes),
    }


def test_a_withdrawn_charge_does_not_come_back_with_its_event(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.alert(0)
    programme.row("order_items", "I-1")["return_reason"] = "other"
    programme.implement(0)
    programme.row("order_items", "I-1")["return_reason"] = "wrong_item"
    programme.alert(1)
    programme.implement(1)
    assert programme.state("returns_charge", "I-1") == "withdrawn"
    assert programme.postings() == {}


def test_what_is_posted_is_what_was_alerted_whatever_the_commission_has_become(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    changes = {"lower": "1.00", "a little lower": "499.99", "higher": "500.01", "huge": "99999.00"}
    for item in changes:
        programme.item(seller, item, out_of_stock(commission="500.00"))
    programme.alert()
    for item, commission in changes.items():
        programme.row("order_items", item)["commission"] = commission
    programme.implement()
    assert programme.postings() == dict.fromkeys(changes, Decimal(1000))


def test_a_policy_amended_after_the_alert_does_not_touch_what_was_alerted(
    programme: Programme, tmp_path: Path
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.item("S-1", "I-2", returned("Tue+1 10:00"))
    programme.alert(0)
    programme.policy = amended(
        tmp_path, ("returns_charge.amounts.wrong_item", "2026-11-16", "1750")
    )
    programme.implement(0)
    programme.alert(1)
    programme.implement(1)
    assert programme.postings() == {"I-1": Decimal(1500), "I-2": Decimal(1750)}


def test_an_event_loaded_after_the_alert_waits_for_the_next_cycle(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.alert(0)
    programme.item(seller, "I-2", returned())  # of the same week, loaded only now
    programme.implement(0)
    assert programme.postings() == {"I-1": Decimal(1500)}
    programme.alert(1)
    programme.implement(1)
    assert programme.times("returns_charge", "I-2") == {
        "proposed": made.local("2026-11-25 07:00"),
        "alerted": made.local("2026-11-25 07:00"),
        "implemented": made.local("2026-11-28 09:00"),
    }


def test_late_data_is_taken_up_for_28_days_and_since_the_first_cycle(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.alert(0)
    for cycle, event_at, item in (
        (1, "Tue 10:00", "a week late"),
        (1, "Sun-1 23:59:59", "of a week before this ledger's first cycle"),
        (4, "Mon 00:00", "its week began 28 days before"),
        (5, "Sun 23:59:59", "its week began 35 days before"),
    ):
        programme.item(seller, item, returned(event_at))
        programme.alert(cycle)
    assert made.states(programme.ledger) == {
        ("returns_charge", "a week late"): "alerted",
        ("returns_charge", "its week began 28 days before"): "alerted",
    }


def test_a_counterfeit_is_charged_once_however_old_and_since_the_first_cycle(
    programme: Programme,
) -> None:
    seller, case = programme.seller("S-1"), programme.market.counterfeit_case
    long_ago = "Mon-40 10:00"
    old = Item(pending_at="Mon-41 09:00", ready_to_ship_at="Mon-41 10:00", shipped_at=long_ago)
    proven = {
        "proven in the first cycle": "Mon 00:00",
        "proven before it": "Sun-1 23:59:59.999999",
        "proven now": "Tue+1 10:00",
        "proven twice": "Tue 10:00",
    }
    for item in proven:
        programme.item(seller, item, old)
    case("proven now", case_id="F-now", notified_at=long_ago, proven_at=None)
    case("proven twice", notified_at=long_ago, proven_at=proven["proven twice"])
    programme.alert(0)
    assert made.states(programme.ledger) == {("counterfeit_charge", "proven twice"): "alerted"}

    programme.row("counterfeit_cases", "F-now")["proven_at"] = proven["proven now"]
    for item in ("proven in the first cycle", "proven before it", "proven twice"):
        case(item, notified_at=long_ago, proven_at=proven[item])
    case("proven twice", notified_at=long_ago, proven_at=proven["proven now"])
    programme.alert(1)
    c = views.action_states.c
    assert set(made.rows(programme.ledger, c.cycle, c.order_item_id)) == {
        (programme.cycle(0), "proven twice"),
        (programme.cycle(1), "proven in the first cycle"),
        (programme.cycle(1), "proven now"),
    }


def test_an_item_charged_late_and_then_found_out_of_stock_bears_the_difference(
    programme: Programme,
) -> None:
    late = Item(pending_at="Mon 09:00", commission="600.00")
    row = programme.item(programme.seller("S-1"), "I-1", late)
    programme.alert(0)
    programme.implement(0)
    assert programme.postings() == {"I-1": Decimal(600)}
    row.update(cancelled_at="Mon+1 12:00", cancel_reason="out_of_stock")
    programme.alert(1)
    programme.implement(1)
    assert programme.state("out_of_stock_charge", "I-1") == "implemented"
    assert programme.postings() == {"I-1": Decimal(1200)}


def test_a_stale_warehouse_stops_the_alert_before_anything_is_done(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    tables = ("sellers", "products", "order_items")
    programme.market.loads = {**dict.fromkeys(tables, "Mon+1 00:00"), "order_items": "Sun 23:59:59"}
    with pytest.raises(StaleWarehouse, match=r"raw\.order_items \(2026-11-15 23:59\)"):
        programme.alert()
    assert not any(made.counts(programme.ledger).values())
    programme.market.loads["order_items"] = "Mon+1 00:00"
    programme.alert(at="Wed+1 08:00")
    assert programme.state("returns_charge", "I-1") == "alerted"


def test_too_many_bad_rows_stop_the_alert_but_not_the_implementation(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.alert(0)
    for item in ("I-2", "I-3"):
        programme.item(seller, item, {**returned("Tue+1 10:00"), "commission": "-1.00"})
    programme.implement(0)
    assert programme.postings() == {"I-1": Decimal(1500)}
    with pytest.raises(TooManyBadRows, match="2 of the 2 order items of the week of 2026-11-16"):
        programme.alert(1)
    assert frozen_cycle(programme.ledger, programme.cycle(1)) is None


# --- strikes --------------------------------------------------------------------------------------


def test_the_fourth_regulation_that_stands_brings_the_delisting_and_no_fifth(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    for week in range(6):
        for copy in "ab":
            programme.item(seller, f"I-{week}{copy}", rejected(f"Tue+{week} 10:00"))
    for week in range(6):
        # The second week's alert comes on Thursday, so its regulation is never implemented.
        programme.alert(week, at="Thu+2 10:00" if week == 1 else None)
        programme.implement(week)
    assert regulations(programme) == {
        0: ("implemented", 1),
        1: ("expired", 2),
        2: ("implemented", 2),
        3: ("implemented", 3),
        4: ("implemented", 4),
    }
    delistings = made.rows(
        programme.ledger,
        views.action_states.c.cycle,
        views.action_states.c.state,
    )
    assert (programme.cycle(4), "implemented") in delistings
    assert programme.state("product_delisting", "K-S-1") == "implemented"
    assert len(delistings) == 6


def test_a_delisting_decided_by_a_person_is_told_of_like_any_other_action(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", returned("Tue+1 10:00"))
    programme.alert(0)
    programme.implement(0)
    programme.market.account_decision(seller, "Mon+2 10:00", decision_id="D-1")
    programme.alert(1)
    assert programme.state("account_delisting", seller) == "alerted"
    programme.implement(1)
    assert programme.state("account_delisting", seller) == "implemented"
    # Charges go on.
    assert programme.postings() == {"I-1": Decimal(1500), "I-2": Decimal(1500)}
