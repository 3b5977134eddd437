"""The step that every slot begins with: what is taken in and decided, once, whatever comes (§2, §11).

Over a real ledger. What an upheld claim cancels is in `test_remedy` and `test_recompute`; here is
when and how often, what waits for it, and what no claim must be able to do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from claims.cases import GOOD, OLD, STATED, Desk, returned
from rules.marketplace import Item, Row

from vibes_pipeline.calendar import Slot
from vibes_pipeline.claims import settle as steps
from vibes_pipeline.claims.settle import Settled, is_waiting, settle
from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.ledger import schema
from vibes_pipeline.warehouse.contract import RAW_TABLES

RETURN, FAKE, LATE = "returns_charge", "counterfeit_charge", "late_fulfilment_charge"
PENDING = "late_pending_cancellation"
RECEIPT, OUTCOME = "claim_receipt", "claim_outcome"
BETWEEN, AFTER = "Thu+1 12:00", "Mon+2 12:00"


def open_ledger(desk: Desk, at: str = "Mon 08:00") -> None:
    """The ledger's first slot."""
    desk.market.at(at)
    with desk.ledger.writing(is_simulated=True, now=desk.market.at(at)):
        pass


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


# --- incomplete claims ----------------------------------------------------------------------------


def test_an_incomplete_claim_stated_anew_is_taken_in_again(desk: Desk) -> None:
    open_ledger(desk)
    desk.item("S-1", "I-1", returned())
    row = desk.claim("C-1", "S-1", comment=None, order_number="O-I-9")
    assert desk.settle("Tue+1 12:00").states == {"incomplete": 1}
    assert desk.faults("C-1") == {"comment": "missing", "order_number": "unknown"}
    assert not desk.settle("Tue+1 13:00").states

    row["comment"] = "It was not our fault."
    assert desk.settle("Tue+1 14:00").states == {"incomplete": 1}
    assert desk.faults("C-1") == {"order_number": "unknown"}
    row["order_number"] = "O-I-1"
    assert desk.settle("Tue+1 15:00").states == {"accepted": 1}
    assert desk.faults("C-1") == {}
    row["comment"] = "And another thing."  # a complete claim waits for a person, whatever is added
    assert not desk.settle("Tue+1 16:00").states
    assert desk.told("S-1") == [RECEIPT] * 3


def test_an_incomplete_claim_stated_as_once_before_is_not_taken_in_again(desk: Desk) -> None:
    open_ledger(desk)
    row = desk.claim("C-1", "S-1", comment=None)
    desk.settle("Tue+1 12:00")
    row["sku"] = "K-9"
    assert desk.settle("Tue+1 13:00").states == {"incomplete": 1}
    row["sku"] = None
    assert not desk.settle("Tue+1 14:00").states
    assert desk.told("S-1") == [RECEIPT] * 2


def test_of_rows_with_one_id_the_last_raised_counts(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.claim("C-1", "S-1", raised_at="Tue+1 10:00")
    desk.claim("C-1", "S-1", raised_at="Tue+1 11:00", order_number="O-I-1")
    assert desk.settle("Tue+1 10:30").states == {"incomplete": 1}
    assert desk.settle("Tue+1 11:30").states == {"accepted": 1}


def test_blank_text_counts_as_missing(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    blanks = ["", " ", "\t", "\n", " \r\n\t ", "\u00a0", "\u200b", "\0"]
    fields = ("shop_name", "country", "order_number", "tracking_number")
    for number, blank in enumerate(blanks):
        desk.claim(f"C-{number}", "S-1", comment=blank, order_number="O-I-1")
        desk.claim(f"D-{number}", "S-1", "seko_warehouse", **dict.fromkeys(fields, blank))
    desk.settle("Tue+1 12:00")
    for number, blank in enumerate(blanks):
        assert desk.faults(f"C-{number}") == {"comment": "missing"}, repr(blank)
        assert desk.faults(f"D-{number}") == dict.fromkeys(fields, "missing"), repr(blank)


def test_what_is_stated_with_blanks_around_it_is_known(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    stated = {"order_number": " O-I-1\n", "sku": "\tK-S-1 ", "comment": "Why?"}
    desk.claim(" C-1 ", " S-1\n", " vibes_action\n", **stated)
    desk.settle("Tue+1 12:00")
    assert desk.faults("C-1") == {}
    assert desk.claim_state("C-1") == ("accepted", None)


def test_a_claim_without_an_id_is_taken_in_and_can_be_decided(desk: Desk) -> None:
    open_ledger(desk)
    for name in ("I-1", "I-2"):
        desk.item("S-1", name, returned())
    desk.alert()
    first = desk.claim(None, "S-1", raised_at="Wed+1 10:00", order_number="O-I-1")
    desk.claim("  ", "S-1", raised_at="Wed+1 10:00", order_number="O-I-2")
    assert desk.settle("Wed+1 12:00").states == {"accepted": 2}
    first["decision"], first["decided_at"] = "upheld", BETWEEN
    assert desk.settle(BETWEEN).actions_undone == 1
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn", (RETURN, "I-2"): "alerted"}
    ids = [claim_id for (claim_id,) in desk.rows(sa.select(schema.claim_states.c.claim_id))]
    assert len(ids) == 2
    assert all(claim_id.startswith("without-id-") for claim_id in ids)
    assert desk.told("S-1") == [RECEIPT, RECEIPT, OUTCOME]


def test_a_claim_without_anything_is_taken_in(desk: Desk) -> None:
    desk.claim(None, None, None, raised_at=None, shop_name=None, country=None)
    assert desk.settle("Tue+1 12:00").states == {"incomplete": 1}
    assert not desk.settle("Tue+1 13:00").states


# --- who claims -----------------------------------------------------------------------------------


def test_a_foreign_seller_s_claim_is_none_of_this_country_s(desk: Desk) -> None:
    desk.seller("S-KE", country="KE")
    desk.item("S-KE", "I-KE", returned())
    desk.upheld("C-KE", "S-KE", "Tue+1 12:00", order_number="O-I-KE")
    assert not desk.settle("Tue+1 12:00").states
    assert desk.claim_state("C-KE") is None


def test_an_unknown_seller_s_claim_is_incomplete_and_mailed_to_nobody(desk: Desk) -> None:
    open_ledger(desk)
    desk.item("S-1", "I-1", returned())
    desk.alert()
    desk.upheld("C-1", "S-9", BETWEEN, order_number="O-I-1")
    assert desk.settle(BETWEEN).states == {"incomplete": 1, "upheld": 1}
    assert desk.claim_state("C-1") == ("upheld", False)
    assert desk.faults("C-1") == {"seller_id": "unknown"}
    assert desk.told("S-9") == []
    assert desk.states("S-1") == {(RETURN, "I-1"): "alerted"}


def test_claims_from_before_the_first_slot_are_taken_in_but_mailed_to_nobody(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    for claim_id, at in (("C-before", "Mon 07:59:59"), ("C-at", "Mon 08:00")):
        desk.claim(claim_id, "S-1", raised_at=at, order_number="O-I-1")
    open_ledger(desk, "Mon 08:00")
    assert desk.settle("Mon 08:00").states == {"accepted": 2}
    assert desk.told("S-1") == [RECEIPT]
    # What is decided of them later is told all the same.
    desk.decide("C-before", "rejected", "Mon 12:00")
    desk.settle("Mon 12:00")
    assert desk.told("S-1") == [RECEIPT, OUTCOME]


def test_what_was_decided_before_the_first_slot_takes_effect_without_a_mail(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.upheld("C-1", "S-1", "Mon+1 12:00", order_number="O-I-1")
    desk.alert()
    assert desk.states("S-1") == {}
    assert desk.told("S-1") == []


def test_a_claim_stated_anew_by_another_seller_is_theirs_and_about_nothing_of_the_first(
    desk: Desk,
) -> None:
    desk.seller("S-2")
    desk.item("S-1", "I-1", returned())
    desk.item("S-2", "I-2", returned())
    desk.alert()
    desk.claim("C-1", "S-1", raised_at="Thu+1 08:00", order_number="O-I-1")
    assert desk.settle("Thu+1 08:00").states == {"accepted": 1}
    desk.claim("C-1", "S-2", raised_at="Thu+1 09:00", order_number="O-I-2")
    assert desk.settle("Thu+1 09:00").states == {"accepted": 1}
    desk.decide("C-1", "upheld", BETWEEN)
    assert desk.settle(BETWEEN).actions_undone == 1
    assert desk.states("S-1") == {(RETURN, "I-1"): "alerted"}
    assert desk.states("S-2") == {(RETURN, "I-2"): "withdrawn"}


def test_a_decision_on_one_seller_s_claim_is_none_on_another_s_of_the_same_id(desk: Desk) -> None:
    desk.seller("S-2")
    desk.item("S-1", "I-1", returned())
    desk.item("S-2", "I-2", returned())
    desk.alert()
    first = desk.claim("C-1", "S-1", raised_at="Thu+1 08:00", order_number="O-I-1")
    first["decision"], first["decided_at"] = "upheld", "Thu+1 10:00"
    desk.claim("C-1", "S-2", raised_at="Thu+1 09:00", order_number="O-I-2")
    desk.settle(BETWEEN)
    assert desk.states("S-2") == {(RETURN, "I-2"): "alerted"}


HOSTILE = "x\0\r\nBcc: all@shop.example <script>alert(1)</script> '; DROP TABLE ledger.claims; --"


def test_hostile_text_in_any_field_stops_no_slot(desk: Desk) -> None:
    open_ledger(desk)
    desk.item("S-1", "I-1", returned())
    texts = [
        name
        for name, type_ in RAW_TABLES["claims"].columns.items()
        if type_ == "VARCHAR" and name != "claim_id"
    ]
    for column, category in product(texts, STATED):
        claim_id = f"C-{column} {category} {HOSTILE}"
        stated = {"order_number": "O-I-1", "sku": "K-S-1"}
        row = desk.upheld(claim_id, "S-1", "Tue+1 12:00", category=category, **stated)
        row[column] = HOSTILE
    desk.settle("Tue+1 12:00")
    found = desk.rows(sa.select(schema.claim_states.c.claim_id))
    assert len(found) == len(texts) * len(STATED)
    assert not desk.settle("Tue+1 13:00").states


def test_a_hostile_list_of_attachments_stops_no_slot(desk: Desk) -> None:
    attachments = [HOSTILE, None, ""]
    desk.claim("C-1", "S-1", "seko_warehouse", attachments=attachments, order_number="O-9")
    desk.settle("Tue+1 12:00")
    assert desk.faults("C-1") == {"order_number": "unknown"}


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
    desk.deliver(run)
    assert sum((s.states for s in slots), slots[0].states.__class__()) == {
        "accepted": 3,
        "incomplete": 1,
        "upheld": 4,
    }
    assert sum(s.actions_undone for s in slots) == 3
    assert sorted(desk.told("S-1")) == [OUTCOME] * 4 + [RECEIPT] * 4


# --- the counterfeit hold -------------------------------------------------------------------------

# Notified on Thursday, the window is open to the end of Monday; proven within the week.
OPEN_WINDOW = {"notified_at": "Thu 10:00", "proven_at": "Fri 10:00"}
IN_TIME, TOO_LATE = "Mon+1 23:59:59", "Tue+1 00:00"


def counterfeit(desk: Desk, seller: str, raised_at: str, **columns: object) -> Row:
    """A seller with a counterfeit item, and a claim about it; the claim's row."""
    desk.item(desk.seller(seller), seller, OLD)
    desk.market.counterfeit_case(seller, **OPEN_WINDOW)
    stated = {"order_number": f"O-{seller}", "sku": f"K-{seller}"}
    row = desk.claim(f"C-{seller}", seller, "counterfeit", raised_at=raised_at, **stated)
    row.update(columns)
    return row


@dataclass(frozen=True)
class Hold:
    sentence: str
    raised_at: str
    columns: dict[str, Any]
    is_held: bool


OTHER_ORDER = "one about another order does not"
OTHER_PRODUCT = "one about another product does not"
HOLDS = [
    Hold("a complete claim raised in the window's last second holds", IN_TIME, {}, True),
    Hold("one raised when it has closed does not", TOO_LATE, {}, False),
    Hold("an incomplete one does not", IN_TIME, {"attachments": ["brand.pdf"]}, False),
    Hold(OTHER_ORDER, IN_TIME, {"order_number": f"O-{OTHER_ORDER} 2"}, False),
    Hold(OTHER_PRODUCT, IN_TIME, {"sku": f"K2-{OTHER_PRODUCT}"}, False),
    Hold("a claim of another category does not", IN_TIME, {"category": "vibes_action"}, False),
]


def test_a_case_is_not_proposed_while_a_complete_claim_in_the_window_is_undecided(
    desk: Desk,
) -> None:
    for hold in HOLDS:
        seller = hold.sentence
        counterfeit(desk, seller, hold.raised_at, **hold.columns)
        desk.market.product(seller, sku=f"K2-{seller}")
        desk.item(seller, f"{seller} 2", OLD)
        of_order = Item(order_number=f"O-{seller}", sku=f"K2-{seller}")
        desk.item(seller, f"{seller} 3", {**OLD, **of_order})
    desk.alert()
    for hold in HOLDS:
        expected = {} if hold.is_held else {(FAKE, hold.sentence): "alerted"}
        assert desk.states(hold.sentence) == expected, hold.sentence


def test_a_held_case_waits_for_the_decision_and_then_takes_the_next_cycle(desk: Desk) -> None:
    sellers = ("rejected", "upheld")
    for seller in sellers:
        counterfeit(desk, seller, IN_TIME)
    desk.alert(0)
    desk.implement(0)
    desk.alert(1)
    assert [desk.states(seller) for seller in sellers] == [{}, {}]
    for seller in sellers:
        desk.decide(f"C-{seller}", seller, "Thu+2 12:00")
    desk.settle("Thu+2 12:00")
    desk.alert(2)
    desk.implement(2)
    assert desk.states("rejected") == {(FAKE, "rejected"): "implemented"}
    assert desk.states("upheld") == {}


def test_a_claim_that_turns_up_after_the_alert_holds_saturday(desk: Desk) -> None:
    for seller in ("rejected", "upheld", "undecided"):
        counterfeit(desk, seller, IN_TIME)
    counterfeit(desk, "raised too late", TOO_LATE)
    counterfeit(desk, "incomplete", IN_TIME, attachments=[])
    rows, desk.market.raw["claims"] = desk.market.raw["claims"], []  # loaded late
    desk.alert(0)

    def states() -> dict[str, str]:
        s = schema.action_states.c
        return dict(desk.rows(sa.select(s.seller_id, s.state)))

    assert set(states().values()) == {"alerted"}
    desk.market.raw["claims"] = rows
    desk.implement(0)
    held = {
        "rejected": "alerted",
        "upheld": "alerted",
        "undecided": "alerted",
        "raised too late": "implemented",
        "incomplete": "implemented",
    }
    assert states() == held
    desk.alert(1)
    desk.implement(1)
    assert states() == held
    for seller in ("rejected", "upheld"):
        desk.decide(f"C-{seller}", seller, "Mon+3 12:00")
    desk.settle("Mon+3 12:00")
    assert states() == {**held, "upheld": "withdrawn"}
    desk.alert(2)
    desk.implement(2)
    assert states() == {**held, "rejected": "implemented", "upheld": "withdrawn"}
    assert [posting[1] for posting in desk.postings("rejected")] == ["debit"]
    assert desk.postings("upheld") == []


def test_a_claim_mended_after_the_window_has_the_time_of_its_row(desk: Desk) -> None:
    row = counterfeit(desk, "S-2", IN_TIME, attachments=["brand.pdf"])
    desk.settle("Mon+1 23:59:59")
    row["attachments"] = ["brand.pdf", "authenticity.pdf"]
    row["raised_at"] = TOO_LATE
    desk.alert()
    assert desk.claim_state("C-S-2") == ("out_of_time", None)
    assert desk.states("S-2") == {(FAKE, "S-2"): "alerted"}


def test_another_seller_s_claim_holds_nothing(desk: Desk) -> None:
    counterfeit(desk, "S-2", IN_TIME, seller_id="S-1")
    desk.alert()
    assert desk.states("S-2") == {(FAKE, "S-2"): "alerted"}


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
    s = schema.action_states.c
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
