"""A complete claim in the evidence window holds its counterfeit case (Rulebook §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from rules.marketplace import Item, Row
from slots.claims.cases import FAKE, Desk
from slots.whole_slots import OLD

from vibes_pipeline.ledger import views

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
        s = views.action_states.c
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
