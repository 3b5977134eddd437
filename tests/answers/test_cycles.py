"""Rulebook §14: why a seller or a product is regulated in a cycle, or not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from rules.marketplace import Item
from slots.claims.cases import STOCKLESS, Desk, new_desk
from slots.whole_slots import GOOD, WEEK, rejected, returned

from vibes_pipeline.answers.cycles import explain_product, explain_seller
from vibes_pipeline.answers.moment import Moment
from vibes_pipeline.errors import UsageError

# The first cycle is decided, the second one's week runs.
AT = "Thu+1 12:00"
SHIPPED_LATER = Item(
    pending_at="Mon+1 09:00", ready_to_ship_at="Mon+1 10:00", shipped_at="Mon+1 11:00"
)


class Told(NamedTuple):
    """A seller or product, the cycle counted from the first, and what is said of it."""

    name: str
    cycle: int
    code: str
    text: str


SELLERS = [
    Told("Busy", 0, "acted", "of cycle 2026-11-09"),
    Told("Nobody", 0, "unknown", "does not know it"),
    Told("Abroad", 0, "unknown", "does not know it"),
    Told("Nowhere", 0, "set_aside", "country is null"),
    Told("Idle", 0, "no_activity", "nothing was shipped"),
    Told("Accused", 1, "account_delisted", "the account is delisted"),
    Told("Express", 0, "exempt", "Jumia Express"),
    Told("Calm", 0, "below_bands", "0 ÷ 1 = 0.00%: band 0, which has no limit"),
    Told("Busy", 1, "awaits_cycle", "alert is due Wed 2026-11-25 07:00"),
    Told("Calm", 1, "no_activity", "nothing was shipped"),
]
PRODUCTS = [
    Told("refused", 0, "acted", "of cycle 2026-11-09"),
    Told("nothing", 0, "unknown", "does not know it"),
    Told("toy", 0, "set_aside", "product_type is not a listed one"),
    Told("K-Accused", 1, "delisted", "delisted, by itself or with its account"),
    Told("K-Calm", 0, "no_event", "no rejection in the 30 days that end with the week"),
    Told("refused once", 0, "too_few_customers", "rejection rate 1 ÷ 1 = 100.00%, must be over 3%"),
    Told("refused seldom", 0, "not_over", "rejection rate 1 ÷ 41 = 2.44%, must be over 3%"),
    Told("refused", 1, "awaits_cycle", "alert is due Wed 2026-11-25 07:00"),
]


@pytest.fixture(scope="module")
def asked(administration: sa.Engine) -> Iterator[Desk]:
    with new_desk(administration) as desk:
        desk.seller("Busy")
        desk.seller("Abroad", country="KE")
        desk.seller("Nowhere", country=None)
        desk.seller("Idle")
        desk.seller("Accused")
        desk.seller("Express", is_jumia_express=True)
        desk.seller("Calm")
        desk.item("Busy", "lost", STOCKLESS)
        lost_later: Item = {**SHIPPED_LATER, "cancelled_at": "Tue+1 10:00"}
        lost_later |= {"shipped_at": None, "cancel_reason": "out_of_stock"}
        desk.item("Busy", "lost later", lost_later)
        desk.item("Express", "lost too", STOCKLESS)
        desk.item("Calm", "kept", GOOD)
        desk.item("Accused", "back", returned())
        desk.item("Accused", "kept later", SHIPPED_LATER)
        desk.market.account_decision("Accused", "Mon+1 10:00")
        for sku in ("refused", "refused once", "refused seldom"):
            desk.market.product("Calm", sku=sku)
        desk.market.product("Calm", sku="toy", product_type="Toys")
        for n, sku in enumerate(("refused", "refused", "refused once", "refused seldom")):
            desk.item("Calm", f"refused {n}", {**rejected("Tue 10:00"), "sku": sku})
        for n in range(40):
            of = Item(sku="refused seldom", delivered_at="Tue 12:00")
            desk.item("Calm", f"taken {n}", {**rejected("Tue 10:00"), "rejected_at": None, **of})
        desk.alert()
        yield desk


def moment(desk: Desk) -> Moment:
    return Moment.of(desk.ledger, desk.settings(), desk.policy, desk.market.at(AT))


def cycle(desk: Desk, number: int) -> date:
    return desk.market.monday + number * WEEK


def require_told(desk: Desk, told: Told, answer: dict[str, Any], rule: str) -> None:
    assert (answer["rule"], answer["code"]) == (rule, told.code)
    assert told.text in answer["text"]
    is_acted = told.code == "acted"
    assert answer["action"] == (desk.reference(rule, told.name, told.cycle) if is_acted else None)


@pytest.mark.parametrize("told", SELLERS, ids=lambda t: f"{t.code}: {t.name}, cycle {t.cycle}")
def test_each_code_of_a_seller_is_told(asked: Desk, told: Told) -> None:
    answer = explain_seller(moment(asked), told.name, cycle(asked, told.cycle))
    require_told(asked, told, answer, "order_regulation")


@pytest.mark.parametrize("told", PRODUCTS, ids=lambda t: f"{t.code}: {t.name}, cycle {t.cycle}")
def test_each_code_of_a_product_is_told(asked: Desk, told: Told) -> None:
    answer = explain_product(moment(asked), told.name, cycle(asked, told.cycle))
    require_told(asked, told, answer, "sales_regulation")


def test_a_decided_cycle_is_answered_from_what_it_was_decided_on(asked: Desk) -> None:
    decided, running = cycle(asked, 0), cycle(asked, 1)
    before = [explain_seller(moment(asked), name, decided) for name in ("Busy", "Calm")]
    assert before[0]["facts"]["cancelled_items"] == 1
    rows = asked.market.raw["order_items"]
    kept = rows[:]
    try:
        rows[:] = [row for row in rows if row["order_item_id"] not in ("lost", "kept")]
        assert [explain_seller(moment(asked), n, decided) for n in ("Busy", "Calm")] == before
        assert explain_product(moment(asked), "refused", decided)["code"] == "acted"
        rows.clear()
        assert explain_seller(moment(asked), "Busy", running)["code"] == "no_activity"
    finally:
        rows[:] = kept


def test_a_cycle_that_is_not_decided_and_never_will_be_is_refused(asked: Desk) -> None:
    with pytest.raises(UsageError, match="cycle 2026-11-02 is before this ledger's first cycle"):
        explain_seller(moment(asked), "Busy", cycle(asked, -1))
    with pytest.raises(UsageError, match="the week of 2026-11-23 has not begun"):
        explain_product(moment(asked), "refused", cycle(asked, 2))
