"""Who claims and what they state: incomplete claims, strangers, hostile text (Rulebook §11)."""

from __future__ import annotations

from itertools import product

import pytest
import sqlalchemy as sa
from slots.claims.cases import BETWEEN, OUTCOME, RECEIPT, RETURN, STATED, Desk, open_ledger
from slots.whole_slots import returned

from vibes_pipeline.ledger import views
from vibes_pipeline.warehouse.contract import RAW_TABLES

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
    ids = [claim_id for (claim_id,) in desk.rows(sa.select(views.claim_states.c.claim_id))]
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
    row = desk.claim("C-1", "S-1", raised_at="Thu+1 08:00", order_number="O-I-1")
    assert desk.settle("Thu+1 08:00").states == {"accepted": 1}
    row["seller_id"], row["order_number"] = "S-2", "O-I-2"
    assert desk.settle("Thu+1 09:00").states == {"accepted": 1}
    desk.decide("C-1", "upheld", BETWEEN)
    assert desk.settle(BETWEEN).actions_undone == 1
    assert desk.states("S-1") == {(RETURN, "I-1"): "alerted"}
    assert desk.states("S-2") == {(RETURN, "I-2"): "withdrawn"}


@pytest.mark.parametrize("wrong", [None, " ", "S-2"])
def test_a_load_that_gives_an_accepted_claim_to_nobody_or_another_takes_it_from_nobody(
    desk: Desk, wrong: str | None
) -> None:
    desk.seller("S-2")
    desk.item("S-1", "I-1", returned())
    desk.alert()
    row = desk.claim("C-1", "S-1", raised_at="Thu+1 08:00", order_number="O-I-1")
    desk.settle("Thu+1 08:00")
    row["seller_id"] = wrong
    desk.settle("Thu+1 09:00")
    assert desk.claim_state("C-1") == ("accepted", None)
    row["seller_id"] = "S-1"
    desk.decide("C-1", "upheld", BETWEEN)
    assert desk.settle(BETWEEN).actions_undone == 1
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn"}


def test_a_copy_without_a_seller_stands_behind_the_claim(desk: Desk) -> None:
    desk.item("S-1", "I-1", returned())
    desk.alert()
    desk.claim("C-1", "S-1", raised_at="Thu+1 08:00", order_number="O-I-1")
    desk.claim("C-1", None, raised_at="Thu+1 09:00", order_number="O-I-1")
    assert desk.settle("Thu+1 10:00").states == {"accepted": 1}
    desk.decide("C-1", "upheld", BETWEEN)
    assert desk.settle(BETWEEN).actions_undone == 1


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


def test_a_claim_with_the_id_of_another_seller_s_upheld_one_is_a_claim_of_its_own(
    desk: Desk,
) -> None:
    open_ledger(desk)
    desk.seller("S-2")
    desk.item("S-1", "I-1", returned())
    desk.item("S-2", "I-2", returned())
    desk.alert()
    row = desk.claim("C-1", "S-2", raised_at="Thu+1 08:00", order_number="O-I-2")
    row["decision"], row["decided_at"] = "upheld", "Thu+1 09:00"
    desk.settle("Thu+1 10:00")
    # The load was at fault: the claim is of another seller, about another order.
    row["seller_id"], row["order_number"] = "S-1", "O-I-1"
    assert desk.settle(BETWEEN).states == {"accepted": 1, "upheld": 1}
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn"}
    assert desk.states("S-2") == {(RETURN, "I-2"): "withdrawn"}
    assert desk.claim_state("C-1 of S-1") == ("upheld", True)
    assert not desk.settle(BETWEEN).states


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
    found = desk.rows(sa.select(views.claim_states.c.claim_id))
    assert len(found) == len(texts) * len(STATED)
    assert not desk.settle("Tue+1 13:00").states


def test_a_hostile_list_of_attachments_stops_no_slot(desk: Desk) -> None:
    attachments = [HOSTILE, None, ""]
    desk.claim("C-1", "S-1", "seko_warehouse", attachments=attachments, order_number="O-9")
    desk.settle("Tue+1 12:00")
    assert desk.faults("C-1") == {"order_number": "unknown"}
