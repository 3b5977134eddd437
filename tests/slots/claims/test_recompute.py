"""Regulations calculated again without what is excused, and the delistings built on them (§8, §11).

They are calculated as of their alert: cancelled when they come out milder or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from rules.marketplace import NIGERIA, Item, amended
from slots.claims.cases import STOCKLESS, Desk, new_desk
from slots.whole_slots import GOOD, OLD, rejected, returned
from split import split

from vibes_pipeline.errors import VibesError
from vibes_pipeline.policy.loader import parse_former_policy

ORDERS, SALES = "order_regulation", "sales_regulation"
DELISTED, CLOSED = "product_delisting", "account_delisting"
# A cancellation for lateness counts as one for want of stock does, and bears no charge.
LATE_GONE: Item = {**STOCKLESS, "cancel_reason": "late_ready_to_ship"}
BETWEEN, AFTER, LONG_AFTER = "Thu+1 12:00", "Mon+2 12:00", "Mon+8 12:00"


@pytest.fixture(scope="module")
def course(administration: sa.Engine) -> Iterator[Desk]:
    """A seller for each rate and each product's grounds, and for each moment of a claim."""
    with new_desk(administration) as desk:
        for number, rate in enumerate(RATES):
            for at in (BETWEEN, AFTER):
                add_rate(desk, f"{number} {at}", rate, at)
        for sentence, (items, excused, _) in GROUNDS.items():
            for at in (BETWEEN, AFTER, LONG_AFTER):
                seller = desk.seller(f"{sentence} {at}")
                for name, columns in items.items():
                    desk.item(seller, f"{seller} {name}", columns)
                for name in excused:
                    claimed = {"order_number": f"O-{seller} {name}", "reason": SALES}
                    desk.upheld(f"C-{seller} {name}", seller, at, **claimed)
        desk.alert()
        desk.settle(BETWEEN)
        desk.implement()
        desk.settle(AFTER)
        desk.settle(LONG_AFTER)
        yield desk


def add_rate(desk: Desk, seller: str, rate: Rate, at: str) -> None:
    desk.seller(seller)
    for number in range(rate.cancelled):
        desk.item(seller, f"{seller} gone {number}", LATE_GONE)
    for number in range(rate.shipped):
        desk.item(seller, f"{seller} good {number}", GOOD)
    for number in range(rate.excused):
        claimed = {"order_number": f"O-{seller} gone {number}"}
        desk.upheld(f"C-{seller} {number}", seller, at, **claimed)


# --- order regulation -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Cancelled and shipped items of a seller, and how many of the cancelled ones are excused."""

    sentence: str
    cancelled: int
    shipped: int
    excused: int
    falls: bool


RATES = [
    Rate("from over 10% to none: 2 of 20, without both", 2, 10, 2, True),
    Rate("from over 10% to 10%: 3 of 21 to 2 of 20", 3, 18, 1, True),
    Rate("from 10% to 5%: 2 of 20 to 1 of 19 is over 5% still", 2, 18, 1, False),
    Rate("from over 5% to 5%: 2 of 21 to 1 of 20", 2, 19, 1, True),
    Rate("over 10% still: 4 of 20 to 3 of 19", 4, 16, 1, False),
    Rate("from 2.5% to none", 1, 39, 1, True),
]


@pytest.mark.parametrize("rate", [pytest.param(rate, id=rate.sentence) for rate in RATES])
@pytest.mark.parametrize("at", [BETWEEN, AFTER])
def test_an_order_regulation_falls_when_it_would_be_milder(
    course: Desk, rate: Rate, at: str
) -> None:
    seller = f"{RATES.index(rate)} {at}"
    state = "implemented"
    if rate.falls:
        state = "withdrawn" if at == BETWEEN else "reversed"
    assert course.states(seller) == {(ORDERS, seller): state}


def test_each_claim_adds_to_those_before_it(desk: Desk) -> None:
    for number in range(4):
        desk.item("S-1", f"I-gone-{number}", LATE_GONE)
    for number in range(18):
        desk.item("S-1", f"I-good-{number}", GOOD)
    desk.alert()
    for number, expected in enumerate(["alerted", "withdrawn"]):
        # 4 of 22, 3 of 21: over 10% both; 2 of 20: not over.
        desk.upheld(f"C-{number}", "S-1", f"Thu+1 1{number}:00", order_number=f"O-I-gone-{number}")
        desk.settle(f"Thu+1 1{number}:00")
        assert desk.states("S-1") == {(ORDERS, "S-1"): expected}


def test_one_that_is_out_of_force_stays(desk: Desk) -> None:
    ages = {
        "Sat+2 08:59:59": "reversed",  # the last second of its seven days
        "Sat+2 09:00": "implemented",
        "Mon+9 09:00": "implemented",
    }
    for at in ages:
        desk.item(desk.seller(at), f"I-{at}", LATE_GONE)
        desk.upheld(f"C-{at}", at, at, order_number=f"O-I-{at}")
    desk.alert()
    desk.implement()
    for at, state in ages.items():
        desk.settle(at)
        assert desk.states(at) == {(ORDERS, at): state}


def test_one_that_its_successor_has_ended_stays(desk: Desk) -> None:
    desk.item("S-1", "I-gone", LATE_GONE)
    again = {**LATE_GONE, "cancelled_at": "Tue+1 10:00"}
    desk.item("S-1", "I-gone-again", again)
    desk.alert(0)
    # A day late, so it would be in force until Sunday.
    desk.implement(0, at="Sun+1 10:00")
    desk.alert(1)
    desk.implement(1)
    at = "Sat+2 18:00"
    desk.upheld("C-1", "S-1", at, order_number="O-I-gone")
    desk.settle(at)
    assert desk.regulations(ORDERS) == {0: ("implemented", None), 1: ("implemented", None)}


def test_it_is_calculated_under_the_policy_it_was_decided_under(desk: Desk, tmp_path: Path) -> None:
    desk.item("S-1", "I-gone", LATE_GONE)
    desk.item("S-1", "I-gone-too", LATE_GONE)
    desk.alert()
    # By now an order regulation looks at several weeks, of which it knows nothing.
    desk.policy = amended(tmp_path, ("order_regulation.window_weeks", "2016-01-08", "4"))
    desk.upheld("C-1", "S-1", BETWEEN, order_number="O-I-gone")
    desk.settle(BETWEEN)
    assert desk.states("S-1") == {(ORDERS, "S-1"): "alerted"}  # 1 of 1 is 100% still
    desk.upheld("C-2", "S-1", "Thu+1 13:00", order_number="O-I-gone-too")
    desk.settle("Thu+1 13:00")
    assert desk.states("S-1") == {(ORDERS, "S-1"): "withdrawn"}


def test_what_the_warehouse_holds_by_now_does_not_matter(desk: Desk) -> None:
    for number in range(2):
        desk.item("S-1", f"I-gone-{number}", LATE_GONE)
    desk.alert()
    for number in range(200):  # as if the week had gone well
        desk.item("S-1", f"I-good-{number}", GOOD)
    desk.upheld("C-1", "S-1", BETWEEN, order_number="O-I-gone-0")
    desk.settle(BETWEEN)
    assert desk.states("S-1") == {(ORDERS, "S-1"): "alerted"}


def test_without_the_partitions_it_was_decided_on_the_slot_stops_and_says_so(desk: Desk) -> None:
    desk.item("S-1", "I-gone", LATE_GONE)
    desk.alert()
    (file,) = desk.home.glob("lake/NG/weekly-alert/2026-11-09/warehouse/order_items.parquet")
    kept = file.rename(file.with_suffix(".kept"))
    desk.upheld("C-1", "S-1", BETWEEN, order_number="O-I-gone")
    with pytest.raises(VibesError, match=r"lacks the partitions that cycle 2026-11-09 .* restore"):
        desk.settle(BETWEEN)
    assert desk.claim_state("C-1") == ("accepted", None)
    kept.rename(file)
    desk.settle(BETWEEN)
    assert desk.claim_state("C-1") == ("upheld", True)
    assert desk.states("S-1") == {(ORDERS, "S-1"): "withdrawn"}


def test_partitions_that_a_cluster_has_written_are_recomputed_from_alike(desk: Desk) -> None:
    for number in range(2):
        desk.item("S-1", f"I-gone-{number}", LATE_GONE)
    desk.seller("S-2")
    desk.item("S-2", "I-alone", LATE_GONE)
    desk.alert()
    for file in desk.home.glob("lake/NG/weekly-alert/2026-11-09/*/*.parquet"):
        split(file)
    for number in range(2):
        desk.upheld(f"C-{number}", "S-1", BETWEEN, order_number=f"O-I-gone-{number}")
    desk.settle(BETWEEN)
    assert desk.states("S-1") == {(ORDERS, "S-1"): "withdrawn"}
    assert desk.states("S-2") == {(ORDERS, "S-2"): "alerted"}


# --- sales regulation -----------------------------------------------------------------------------


# Items of the product, the items excused, and whether its regulation falls by that.
GROUNDS: dict[str, tuple[dict[str, Item], list[str], bool]] = {
    "it loses its only ground": (
        {"I-1": rejected("Tue 10:00"), "I-2": rejected("Tue 10:00")},
        ["I-1"],
        True,
    ),
    "it loses one of its two grounds": (
        {
            "I-1": rejected("Tue 10:00"),
            "I-2": rejected("Tue 10:00"),
            "I-3": returned("Tue-1 10:00"),
            "I-4": returned("Tue-1 10:00"),
        },
        ["I-3"],
        True,
    ),
    "it keeps both grounds with what remains": (
        {
            "I-1": rejected("Tue 10:00"),
            "I-2": rejected("Tue 10:00"),
            "I-3": rejected("Tue 10:00"),
            "I-4": returned("Tue-1 10:00"),
            "I-5": returned("Tue-1 10:00"),
        },
        ["I-3"],
        False,
    ),
    "it would no longer count, for nothing in it is new": (
        {
            "I-1": rejected("Tue-1 10:00"),
            "I-2": rejected("Tue-1 10:00"),
            "I-3": rejected("Tue 10:00"),
        },
        ["I-3"],
        True,
    ),
    "it never counted, and stays": (
        {
            "I-1": rejected("Tue-1 10:00"),
            "I-2": rejected("Tue-1 10:00"),
            "I-3": rejected("Wed-1 10:00"),
        },
        ["I-3"],
        False,
    ),
    "an event of its product of no concern to it": (
        {
            "I-1": rejected("Tue 10:00"),
            "I-2": rejected("Tue 10:00"),
            "I-3": {**OLD, "returned_at": "Tue 10:00", "return_reason": "other"},
        },
        ["I-3"],
        False,
    ),
}


@pytest.mark.parametrize("sentence", GROUNDS)
@pytest.mark.parametrize("at", [BETWEEN, AFTER, LONG_AFTER])
def test_a_sales_regulation_falls_when_it_loses_a_ground_or_no_longer_counts(
    course: Desk, sentence: str, at: str
) -> None:
    seller = f"{sentence} {at}"
    state = "implemented"
    if GROUNDS[sentence][2]:
        state = "withdrawn" if at == BETWEEN else "reversed"
    assert course.states(seller)[SALES, f"K-{seller}"] == state


def test_only_the_product_claimed_about_is_looked_at_by_its_own_numbers(desk: Desk) -> None:
    desk.market.product("S-1", sku="K-other")
    for number in range(2):
        desk.item("S-1", f"I-{number}", rejected("Tue 10:00"))
        desk.item("S-1", f"I-other-{number}", {**rejected("Tue 10:00"), "sku": "K-other"})
    desk.alert()
    desk.upheld("C-1", "S-1", BETWEEN, order_number="O-I-0")
    desk.settle(BETWEEN)
    assert desk.states("S-1") == {(SALES, "K-S-1"): "withdrawn", (SALES, "K-other"): "alerted"}


def test_a_cycle_decided_by_an_earlier_version_is_recomputed_from_what_that_kept(
    desk: Desk,
) -> None:
    """It kept customers by their ids, and its policy did not have what came since."""
    younger = NIGERIA.text.index("\nlake:\n"), NIGERIA.text.index("\ncontact:\n")
    earlier = NIGERIA.text[: younger[0]] + NIGERIA.text[younger[1] :]
    desk.policy = parse_former_policy(NIGERIA.source, earlier, NIGERIA.text)
    customers = {}
    for seller, excused in (("falls", "B"), ("stays", "A")):
        desk.seller(seller)
        for name, customer in (("1", "A"), ("2", "A"), ("3", "B")):
            item = desk.item(seller, f"{seller} {name}", rejected("Tue 10:00"))
            item["customer_id"] = customers[item["order_item_id"]] = f"{seller} {customer}"
        name = "3" if excused == "B" else "1"
        desk.upheld(f"C-{seller}", seller, BETWEEN, order_number=f"O-{seller} {name}")
    desk.alert()
    cycle = desk.home / "lake" / "NG" / "weekly-alert" / desk.market.monday.isoformat()
    for file in (cycle / "warehouse/order_items.parquet", cycle / "events/quality_returns.parquet"):
        frame = pl.read_parquet(file)
        ids = pl.col("order_item_id").replace_strict(customers, default=None)
        frame.drop("customer_hash").with_columns(ids.alias("customer_id")).write_parquet(file)

    desk.policy = NIGERIA
    desk.settle(BETWEEN)
    assert desk.states("falls") == {(SALES, "K-falls"): "withdrawn"}, "one customer is left"
    assert desk.states("stays") == {(SALES, "K-stays"): "alerted"}, "two customers are left"


# --- occurrences and delistings -------------------------------------------------------------------


# What is claimed about the second week's regulation, and when: after the delisting, while it is only
# alerted, or before its cycle.
LATER, OPEN, EARLIER = "Mon+5 12:00", "Thu+4 12:00", "Mon+4 12:00"
STRIKES = (0, 1, 2, 3, 5)  # weeks with two rejections each
Course = dict[int, tuple[str, int | None]]
STANDING: Course = {0: ("implemented", 1), 1: ("implemented", 2), 2: ("implemented", 3)}
VOIDED: Course = {**STANDING, 1: ("reversed", 2)}
# The seller's claims, their regulations and their delistings by cycle.
COURSES: dict[str, tuple[Course, dict[int, str]]] = {
    "nobody claims": ({**STANDING, 3: ("implemented", 4)}, {3: "implemented"}),
    "by its rejections, later": (
        # Three stand, so the next is the fourth again.
        {**VOIDED, 3: ("implemented", 4), 5: ("implemented", 4)},
        {3: "reversed", 5: "implemented"},
    ),
    "by reference, later": (
        {**VOIDED, 3: ("implemented", 4), 5: ("implemented", 4)},
        {3: "reversed", 5: "implemented"},
    ),
    "by reference, while the delisting is alerted": (
        {**VOIDED, 3: ("implemented", 4), 5: ("implemented", 4)},
        {3: "withdrawn", 5: "implemented"},
    ),
    "by its rejections, earlier": (
        {**VOIDED, 3: ("implemented", 3), 5: ("implemented", 4)},
        {5: "implemented"},
    ),
    "by reference, earlier": (
        {**VOIDED, 3: ("implemented", 3), 5: ("implemented", 4)},
        {5: "implemented"},
    ),
    # On sale again, its fifth occurrence delists it again.
    "of the delisting": (
        {**STANDING, 3: ("implemented", 4), 5: ("implemented", 5)},
        {3: "reversed", 5: "implemented"},
    ),
    # Of five occurrences four remain: the second delisting stands.
    "of the delisting, and later of a regulation": (
        {**VOIDED, 3: ("implemented", 4), 5: ("implemented", 5)},
        {3: "reversed", 5: "implemented"},
    ),
}


def second_week(desk: Desk, seller: str, at: str, *, by_item: bool = False) -> None:
    """A claim about the second week's regulation, or claims about both rejections in it."""
    if not by_item:
        reference = desk.reference(SALES, f"K-{seller}", 1)
        desk.upheld(f"C-{seller}", seller, at, action_reference=reference)
        return
    for number in range(2):
        claimed = {"order_number": f"O-{seller} 1 {number}"}
        desk.upheld(f"C-{seller} {number}", seller, at, **claimed)


@pytest.fixture(scope="module")
def strikes(administration: sa.Engine) -> Iterator[Desk]:
    """Six weeks of each seller, in five of which a product is rejected twice."""
    with new_desk(administration) as desk:
        for seller in map(desk.seller, COURSES):
            for week, number in product(STRIKES, range(2)):
                desk.item(seller, f"{seller} {week} {number}", rejected(f"Tue+{week} 10:00"))
        second_week(desk, "by its rejections, later", LATER, by_item=True)
        second_week(desk, "by reference, later", LATER)
        second_week(desk, "by reference, while the delisting is alerted", OPEN)
        second_week(desk, "by its rejections, earlier", EARLIER, by_item=True)
        second_week(desk, "by reference, earlier", EARLIER)
        for seller in ("of the delisting", "of the delisting, and later of a regulation"):
            reference = desk.reference(DELISTED, f"K-{seller}", 3)
            desk.upheld(f"C-{seller} again", seller, LATER, action_reference=reference)
        second_week(desk, "of the delisting, and later of a regulation", "Mon+7 12:00")
        for week in range(6):
            desk.alert(week)
            if week == 3:
                desk.settle(OPEN)
            desk.implement(week)
        desk.settle("Mon+7 12:00")
        yield desk


@pytest.mark.parametrize("seller", COURSES)
def test_only_standing_occurrences_delist_a_product(strikes: Desk, seller: str) -> None:
    regulations, delistings = COURSES[seller]
    # Without new rejections week 4 regulates it again, but that does not count.
    found = strikes.regulations(SALES, seller)
    assert {n: row for n, row in found.items() if n != 4} == regulations
    assert found.get(4, ("", None))[1] is None
    assert strikes.regulations(DELISTED, seller) == {
        cycle: (state, None) for cycle, state in delistings.items()
    }


def test_a_claim_about_an_account_delisting_cancels_it_for_good(desk: Desk) -> None:
    fates = {BETWEEN: "withdrawn", AFTER: "reversed"}
    for at in fates:
        seller = desk.seller(at)
        desk.market.check(desk.item(seller, f"I-{at}", OLD)["order_item_id"])
        desk.market.account_decision(seller, "Mon+1 10:00")
        desk.upheld(f"C-{at}", seller, at, action_reference=desk.reference(CLOSED, seller))
    desk.alert()
    desk.settle(BETWEEN)
    desk.implement()
    desk.settle(AFTER)
    desk.alert(1)  # the decision is used up
    for seller, state in fates.items():
        assert desk.regulations(CLOSED, seller) == {0: (state, None)}
