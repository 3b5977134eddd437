"""The step that every slot begins with: what is taken in and decided, once, whatever comes (§2, §11).

Over a real ledger. What an upheld claim cancels is in `test_remedy` and `test_recompute`; here is
when and how often, what waits for it, and what no claim must be able to do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import sqlalchemy as sa
from rules.marketplace import Item
from slots.claims.cases import AFTER, BETWEEN, OUTCOME, RECEIPT, RETURN, Desk, open_ledger
from slots.whole_slots import GOOD, OLD, returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.slots.claims import settle as steps
from vibes_pipeline.slots.claims.settle import Settled, is_waiting, settle

PENDING = "late_pending_cancellation"


# --- when it takes effect -------------------------------------------------------------------------


def test_a_decision_takes_effect_in_the_slot_it_was_made_before(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.upheld("C-1", "S-1", "Wed+1 07:00", order_number="O-I-1")
    desk.alert()  # begins with the claims
    assert desk.states("S-1") == {}
    assert desk.claim_state("C-1") == ("upheld", True)


def test_a_decision_of_a_second_later_does_not(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.claim("C-1", "S-1", raised_at="Wed+1 06:59", order_number="O-I-1")
    desk.decide("C-1", "upheld", "Wed+1 07:00:01")
    desk.alert()
    assert desk.states("S-1") == {(RETURN, "I-1"): "alerted"}
    assert desk.claim_state("C-1") == ("accepted", None)
    desk.implement()
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn"}
    assert desk.postings("S-1") == []


def test_a_claim_raised_after_the_slot_s_instant_is_not_there_yet(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.claim("C-1", "S-1", raised_at="Tue+1 10:00:01", order_number="O-I-1")
    assert not desk.settle("Tue+1 10:00").states
    assert desk.claim_state("C-1") is None
    assert desk.settle("Tue+1 10:00:01").states == {"accepted": 1}


def test_what_was_done_is_counted_and_what_had_waited_is_named(desk: Desk) -> None:
    open_ledger(desk)
    for name in ("I-1", "I-2", "I-3"):
        desk.item("S-1", name, returned())
    desk.alert()
    for name, decision, at in (
        ("I-1", "upheld", "Thu+1 10:59:59"),  # an hour and a second before
        ("I-2", "upheld", "Thu+1 11:00"),
        ("I-3", "rejected", "Thu+1 08:00"),
    ):
        desk.claim(f"C-{name}", "S-1", raised_at="Thu+1 07:00", order_number=f"O-{name}")
        desk.decide(f"C-{name}", decision, at)
    desk.claim("C-4", "S-1", "counterfeit", raised_at="Thu+1 07:00")
    assert desk.settle("Thu+1 12:00") == Settled(
        states={"accepted": 3, "incomplete": 1, "upheld": 2, "rejected": 1},  # type: ignore[arg-type]
        actions_undone=2,
        accounts_kept=0,
        waited=("C-I-3", "C-I-1"),  # in the order of the decisions
    )
    assert desk.settle("Thu+1 13:00") == Settled()


def test_excused_first_the_event_counts_against_nobody_when_it_comes(desk: Desk) -> None:
    coming = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00", cancelled_at="Thu 10:00")
    desk.item("S-1", "I-1", {**coming, "cancel_reason": "out_of_stock"})
    desk.item("S-1", "I-2", {**coming, "cancel_reason": "out_of_stock"})
    desk.upheld("C-1", "S-1", "Mon 12:00", order_number="O-I-1")
    desk.settle("Mon 12:00")
    desk.alert()
    assert desk.states("S-1") == {
        ("out_of_stock_charge", "I-2"): "alerted",
        ("order_regulation", "S-1"): "alerted",
    }
    desk.upheld("C-2", "S-1", BETWEEN, order_number="O-I-2")
    desk.settle(BETWEEN)
    assert set(desk.states("S-1").values()) == {"withdrawn"}


def test_a_claim_upheld_while_its_item_is_missing_undoes_the_charge(desk: Desk) -> None:
    open_ledger(desk)
    desk.item("S-1", "I-1", returned())
    desk.alert()
    desk.market.raw["order_items"].clear()
    desk.upheld("C-1", "S-1", BETWEEN, order_number="O-I-1")
    assert desk.settle(BETWEEN).states == {"incomplete": 1, "upheld": 1}
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn"}
    assert desk.claim_state("C-1") == ("upheld", True)


def test_a_claim_upheld_while_its_item_is_missing_excuses_it_once_it_is_back(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    items = desk.market.raw["order_items"]
    stored = [*items]
    items.clear()
    desk.upheld("C-1", "S-1", "Mon+1 10:00", order_number="O-I-1")
    desk.settle("Mon+1 10:00")
    assert desk.claim_state("C-1") == ("upheld", False)
    items.extend(stored)
    desk.alert()
    assert desk.states("S-1") == {}


def test_excused_lateness_is_in_no_late_alert_whenever_the_item_is_overdue(desk: Desk) -> None:
    for name in ("I-1", "I-2"):
        desk.item("S-1", name, Item(pending_at="Wed 09:00"))
    desk.upheld("C-1", "S-1", "Wed 12:00", order_number="O-I-1")
    desk.late_alert("Thu 06:00")
    assert desk.states("S-1") == {(PENDING, "I-2"): "alerted"}
    desk.late_cancel("Thu 23:00")
    desk.late_alert("Fri 06:00")
    desk.late_cancel("Fri 23:00")
    assert desk.states("S-1") == {(PENDING, "I-2"): "implemented"}


# --- more than one claim, more than one time ------------------------------------------------------


def test_two_claims_on_one_item_credit_it_once(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.alert()
    desk.implement()
    desk.upheld("C-1", "S-1", AFTER, order_number="O-I-1")
    desk.upheld("C-2", "S-1", AFTER, order_number="O-I-1")
    desk.upheld("C-3", "S-1", "Wed+2 12:00", action_reference=desk.reference(RETURN, "I-1"))
    assert desk.settle(AFTER).actions_undone == 1
    assert desk.settle("Wed+2 12:00").actions_undone == 0
    assert [claim[1:] for claim in desk.postings("S-1")] == [
        ("debit", Decimal(1500), "2026-11-16", None),
        ("reversal", Decimal(-1500), "2026-11-23", "C-1"),
    ]
    assert {desk.claim_state(f"C-{n}") for n in (1, 2, 3)} == {("upheld", True)}


def test_a_credit_is_of_the_week_in_which_it_is_posted(desk: Desk) -> None:
    for name in ("I-1", "I-2"):
        desk.item("S-1", name, returned())
    desk.alert()
    desk.implement()
    desk.upheld("C-1", "S-1", "Sun+1 23:59:59", order_number="O-I-1")
    desk.settle("Sun+1 23:59:59")
    desk.upheld("C-2", "S-1", "Sun+1 23:59:59", order_number="O-I-2")
    desk.settle("Mon+2 00:00")
    assert [
        (item, period) for item, kind, _, period, _ in desk.postings("S-1") if kind == "reversal"
    ] == [("I-1", "2026-11-16"), ("I-2", "2026-11-23")]


@pytest.mark.parametrize("decision", ["upheld", "rejected"])
def test_a_decision_that_arrives_again_changes_nothing(desk: Desk, decision: str) -> None:
    open_ledger(desk)
    desk.item("S-1", "I-1", returned())
    desk.alert()
    desk.implement()
    row = desk.claim("C-1", "S-1", raised_at="Sun+1 10:00", order_number="O-I-1")
    desk.decide("C-1", decision, AFTER)
    desk.settle(AFTER)
    before = desk.contents()
    mails = len(desk.mails_to("S-1"))
    assert not desk.settle(AFTER).states
    desk.market.raw["claims"].append(dict(row))  # the row is there twice
    assert not desk.settle("Mon+2 13:00").states
    desk.decide("C-1", decision, "Mon+2 14:00")  # and was decided again
    assert not desk.settle("Mon+2 15:00").states
    assert desk.contents() == before
    assert len(desk.mails_to("S-1")) == mails


def test_of_duplicate_rows_one_decided_is_enough(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    row = desk.claim("C-1", "S-1", order_number="O-I-1")
    decided = {**row, "decision": "upheld", "decided_at": "Tue+1 11:00"}
    desk.market.raw["claims"] += [decided, dict(row)]
    assert desk.settle("Tue+1 12:00").states == {"accepted": 1, "upheld": 1}
    assert desk.claim_state("C-1") == ("upheld", True)


@pytest.mark.parametrize(
    ("upheld_at", "rejected_at", "undone"),
    [
        pytest.param("Thu+1 10:00", "Thu+1 11:00", 1, id="upheld, then rejected: too late"),
        pytest.param(
            "Thu+1 11:00", "Thu+1 10:00", 1, id="rejected, then upheld: the latter counts"
        ),
        pytest.param("Thu+1 10:00", "Thu+1 10:00", 1, id="both at one time"),
    ],
)
@pytest.mark.parametrize("is_seen_at_once", [True, False])
def test_what_was_upheld_once_stays_upheld(
    desk: Desk, upheld_at: str, rejected_at: str, undone: int, is_seen_at_once: bool
) -> None:
    desk.item("S-1", "I-1", returned())
    desk.alert()
    row = desk.claim("C-1", "S-1", raised_at="Thu+1 09:00", order_number="O-I-1")
    other = dict(row)
    row["decision"], row["decided_at"] = "upheld", upheld_at
    other["decision"], other["decided_at"] = "rejected", rejected_at
    desk.market.raw["claims"].append(other)
    settled = [] if is_seen_at_once else [desk.settle("Thu+1 10:00")]
    settled.append(desk.settle(BETWEEN))
    assert sum(each.actions_undone for each in settled) == undone
    assert desk.claim_state("C-1") == ("upheld", True)
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn"}


# --- slots at the same time -----------------------------------------------------------------------


def test_two_slots_that_found_the_same_claims_settle_each_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ledger(desk)
    for number in range(4):
        desk.item("S-1", f"I-{number}", returned())
    desk.alert()
    for number in range(4):
        columns = {"order_number": f"O-I-{number}"} if number else {}
        desk.upheld(f"C-{number}", "S-1", BETWEEN, **columns)
    run = desk.begin(Slot.CLAIMS, BETWEEN)
    # Each has found all that waits before either of them has done anything.
    found = steps._find(run, desk.ledger)
    monkeypatch.setattr(steps, "_find", lambda run, ledger: found)
    with ThreadPoolExecutor(2) as pool:
        slots = list(pool.map(lambda _: settle(run, desk.ledger), range(2)))
    desk.deliver(run.now)
    assert sum((s.states for s in slots), slots[0].states.__class__()) == {
        "accepted": 3,
        "incomplete": 1,
        "upheld": 4,
    }
    assert sum(s.actions_undone for s in slots) == 3
    assert sorted(desk.told("S-1")) == [OUTCOME] * 4 + [RECEIPT] * 4


# --- accounts kept --------------------------------------------------------------------------------


def closed(desk: Desk, seller: str, **decisions: str) -> None:
    """A seller who failed a check, and decisions on the account: `delist` or `keep` and when."""
    desk.market.check(desk.item(desk.seller(seller), f"I-{seller}", OLD)["order_item_id"])
    for decision, at in decisions.items():
        named = {"decision_id": f"D-{seller}-{decision}", "decision": decision}
        desk.market.account_decision(seller, at, **named)


def test_a_later_decision_to_keep_undoes_the_delisting_at_once(desk: Desk) -> None:
    fates = {"Wed+1 06:00": None, BETWEEN: "withdrawn", AFTER: "reversed"}
    for at in fates:
        closed(desk, at, delist="Mon+1 10:00", keep=at)
    closed(desk, "kept first", keep="Mon+1 09:00", delist="Mon+1 10:00")
    desk.settle("Tue+1 12:00")
    desk.alert()
    assert desk.settle(BETWEEN).accounts_kept == 1
    desk.implement()
    assert desk.settle(AFTER).accounts_kept == 1
    assert desk.settle("Mon+2 13:00").accounts_kept == 0
    s = views.action_states.c
    found = desk.rows(
        sa.select(s.seller_id, s.state, s.cause, s.claim_id).where(s.rule == "account_delisting")
    )
    assert sorted(found) == sorted(
        [
            *(
                (at, state, f"account decision D-{at}-keep: keep", None)
                for at, state in fates.items()
                if state
            ),
            ("kept first", "implemented", "implemented", None),
        ]
    )


# --- what the sensor asks -------------------------------------------------------------------------


def test_whether_anything_waits_is_asked_without_doing_it(desk: Desk) -> None:
    desk.item("S-1", "I-1", GOOD)

    def waits(at: str) -> bool:
        run = desk.begin(Slot.CLAIMS, at)
        return is_waiting(run, desk.ledger, patience_seconds=0.0)

    assert not waits("Tue+1 09:00")
    desk.claim("C-1", "S-1", raised_at="Tue+1 10:00", order_number="O-I-1")
    assert not waits("Tue+1 09:00")
    assert waits("Tue+1 10:00")
    assert desk.rows(sa.select(schema.claim_intakes)) == []
    desk.settle("Tue+1 10:00")
    assert not waits("Tue+1 10:00")
    desk.decide("C-1", "upheld", "Tue+1 12:00")
    assert not waits("Tue+1 11:00")
    assert waits("Tue+1 12:00")
    desk.settle("Tue+1 12:00")
    assert not waits("Tue+1 12:00")


def test_a_slot_reads_the_warehouse_without_the_optional_tables(desk: Desk) -> None:
    desk.item("S-1", "I-1", GOOD)
    assert not (desk.home / "raw" / "claims.parquet").exists()
    assert desk.settle("Tue+1 12:00") == Settled()


def test_a_warehouse_that_is_not_there_stops_the_slot_with_one_line(desk: Desk) -> None:
    run = desk.begin(Slot.CLAIMS, "Tue+1 12:00")
    for file in (desk.home / "raw").iterdir():
        file.unlink()
    with pytest.raises(WarehouseError):
        settle(run, desk.ledger)
