"""Ids as nobody expects them, before a real ledger: none stops a slot, none is taken for another (§13).

A raw id may be any text. Good ones, however odd, become actions, notices and postings like the plain
seller's; bad ones are set aside and stop nobody.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from rules.marketplace import Item, amended
from slots.claims.cases import Desk, burden, new_desk, order

from vibes_pipeline.calendar import Slot
from vibes_pipeline.slots import audits, weekly
from vibes_pipeline.warehouse.contract import LONGEST_ID

PLAIN = "S-1"
ODD = ("NG|returns_charge|S-1", "s-1", "S-1 ", "S\N{ZERO WIDTH SPACE}-1", "caf\u00e9", "cafe\u0301")


def incompressible(length: int) -> str:
    """Text that no index can make smaller, four bytes a character."""
    draw = random.Random(length)
    return "".join(chr(draw.randrange(0x20000, 0x2A6D0)) for _ in range(length))


# With room for what a burden adds to it in an order's number.
LONG = incompressible(LONGEST_ID - len(order("")))
BAD = (None, "", " \t", "S-1\0", incompressible(20 * LONGEST_ID))
DEAREST = "999999999999.99"


@pytest.fixture(scope="module")
def desk(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One week of sellers with odd ids, and of rows whose ids are bad, through every slot."""
    with new_desk(administration) as made:
        limit = ("warehouse.bad_row_limit_pct", "2016-01-02", "100")
        made.policy = amended(tmp_path_factory.mktemp("policy"), limit)
        for seller in (PLAIN, *ODD, LONG):
            burden(made, seller, item_2=Item(commission=DEAREST, item_price=DEAREST))
            made.market.account_decision(seller, "Wed+1 06:00", decision_id=f"D-{seller}")
        for bad in BAD:
            _add_bad(made, bad)
        made.claim("C-1", LONG, order_number=order(LONG), sku=f"{LONG}-K")
        made.decide("C-1", "upheld", "Thu+1 10:00")
        made.late_alert("Thu 06:00")
        made.late_cancel("Thu 23:00")
        made.alert()
        made.settle("Thu+1 11:00")
        made.implement()
        yield made


def _add_bad(desk: Desk, bad: str | None) -> None:
    """A row in each table whose id is that, and an item of an order of that number."""
    market = desk.market
    market.seller(seller_id=bad)
    market.product(PLAIN, sku=bad)
    of_plain = Item(
        seller_id=PLAIN,
        sku=f"{PLAIN}-K",
        pending_at="Mon 09:00",
        cancelled_at="Tue 10:00",
        cancel_reason="out_of_stock",
    )
    market.item({**of_plain, "order_item_id": bad})
    market.item({**of_plain, "order_number": bad})
    market.item({**of_plain, "seller_id": bad})
    market.item({**of_plain, "sku": bad})
    market.check(f"{PLAIN}-1", qc_id=bad, checked_at="Mon 10:00")
    market.counterfeit_case(f"{PLAIN}-1", case_id=bad)
    market.account_decision(PLAIN, "Wed+1 06:30", decision_id=bad, decision="keep")


def actions_of(desk: Desk, seller: str) -> dict[tuple[str, str], str]:
    """States by rule and subject, the seller's own id left out of the subject."""
    return {
        (rule, subject.replace(seller, "S", 1)): state
        for (rule, subject), state in desk.states(seller).items()
    }


def test_the_plain_seller_bears_every_charge(desk: Desk) -> None:
    rules = {rule for rule, _ in desk.states(PLAIN)}
    assert rules >= {"out_of_stock_charge", "returns_charge", "dropoff_qc_charge"}
    assert rules >= {"late_fulfilment_charge", "sales_regulation", "account_delisting"}


@pytest.mark.parametrize("seller", [*ODD, LONG], ids=lambda seller: ascii(seller)[:24])
def test_a_seller_with_an_odd_id_bears_what_the_plain_one_bears(desk: Desk, seller: str) -> None:
    expected, found = actions_of(desk, PLAIN), actions_of(desk, seller)
    if seller == LONG:  # whose claim was upheld
        undone = {key for key, state in found.items() if state in ("withdrawn", "reversed")}
        assert undone
        expected = {k: v for k, v in expected.items() if k not in undone}
        found = {k: v for k, v in found.items() if k not in undone}
    assert found == expected


def test_no_row_trips_an_audit(desk: Desk) -> None:
    run = desk.begin(Slot.WEEKLY_ALERT, "Wed+1 07:00", desk.market.monday)
    proposal = weekly.read_proposal(run)
    assert proposal.height > 40
    assert {
        a.__name__: a(proposal, run).height for a in audits.AUDITS if a(proposal, run).height
    } == {}


def test_rows_whose_ids_are_bad_are_set_aside(desk: Desk) -> None:
    run = desk.begin(Slot.WEEKLY_ALERT, "Wed+1 07:00", desk.market.monday)
    found = run.engine.read("warehouse.quarantine").group_by("table_name").len().rows()
    assert dict(found) == {
        "sellers": len(BAD),
        "products": len(BAD),
        "order_items": 4 * len(BAD),
        "dropoff_qc": len(BAD),
        "counterfeit_cases": len(BAD),
        "account_decisions": len(BAD),
    }
