"""Rulebook §5: bands, limits, exemptions, the policy of the observed Monday."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from marketplace import Case, Decided, Item, Marketplace, Row, amended, each

RULE = "decisions.order_regulations"
SHIPPED = Item(pending_at="Fri-1 09:00", shipped_at="Tue 10:00")
STOCKLESS = Item(cancelled_at="Tue 10:00", cancel_reason="out_of_stock")

Limits = tuple[int, int, int]


class Week(NamedTuple):
    """What one seller did: cancelled and shipped items, these in so many orders."""

    cancelled: int
    shipped: int
    orders: int | None = None


def trade(marketplace: Marketplace, week: Week, **columns: object) -> str:
    """A seller who did that in the observed week."""
    seller = marketplace.seller(**columns)
    sku = marketplace.product(seller)
    orders = week.shipped if week.orders is None else week.orders
    marketplace.items(week.cancelled, {**STOCKLESS, "seller_id": seller, "sku": sku})
    for number in range(week.shipped):
        order = f"{seller} {number % orders}"
        marketplace.item({**SHIPPED, "seller_id": seller, "sku": sku, "order_number": order})
    return seller


def limits(row: Row | None) -> Limits | None:
    if row is None:
        return None
    return row["band"], row["daily_order_limit"], row["pending_to_shipped_limit"]


# The week has six fulfilment days; expected: (band, daily limit, pending-to-shipped limit).
BANDS = [
    Case("0% has none", Week(0, 40), None),
    Case("2.48%, just below 2.5%, has none", Week(3, 118), None),
    Case("exactly 2.5% is in the second row: 75% of 39 orders in 6 days", Week(1, 39), (1, 4, 16)),
    Case("just over 2.5% is in the second row", Week(1, 38), (1, 4, 16)),
    Case("exactly 5.0% is in the second row, the lighter", Week(2, 38), (1, 4, 16)),
    Case("5.06%, just over 5.0%, is in the third: 50% of 75", Week(4, 75), (2, 6, 12)),
    Case("exactly 10.0% is in the third row", Week(4, 36), (2, 3, 6)),
    Case("10.26%, just over 10.0%, is in the fourth", Week(4, 35), (3, 2, 4)),
    Case("the fourth row has fixed limits, however much was shipped", Week(40, 200), (3, 2, 4)),
    Case("100%, nothing shipped, is in the fourth", Week(1, 0), (3, 2, 4)),
    Case("a share that comes out even is not rounded", Week(1, 32), (1, 4, 16)),
    Case("a share is rounded down, not to the nearest", Week(1, 31), (1, 3, 12)),
    Case("a limit by share is never below 2, and its multiple follows", Week(1, 19, 5), (1, 2, 8)),
    Case("nor in the third row", Week(1, 10, 1), (2, 2, 4)),
    Case(
        "the rate is of items, the limit of their orders: 78 items in 26 orders",
        Week(2, 78, 26),
        (1, 3, 12),
    ),
]


@pytest.fixture(scope="module")
def regulated(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, week, _ in BANDS:
        trade(marketplace, week, seller_id=sentence)
    marketplace.item(Item(seller_id=marketplace.seller(seller_id="no rate")))
    heavy = Week(4, 35)
    trade(marketplace, heavy, seller_id="express", is_jumia_express=True)
    trade(marketplace, heavy, seller_id="express unknown", is_jumia_express=None)
    trade(marketplace, heavy, seller_id="new", onboarded_at="Mon 09:00")
    trade(marketplace, heavy, seller_id="delisted")
    trade(marketplace, heavy, seller_id="delisted once")
    marketplace.remember("account_delistings", seller_id="delisted", decision_id="A")
    marketplace.remember(
        "account_delistings", seller_id="delisted once", decision_id="B", is_standing=False
    )
    return marketplace.decide(tmp_path_factory.mktemp("bands"), RULE)


@each(BANDS)
def test_a_rate_falls_in_one_band(
    regulated: Decided, sentence: str, expected: Limits | None
) -> None:
    assert limits(regulated.row(RULE, seller_id=sentence)) == expected


@pytest.mark.parametrize(
    ("seller", "expected", "reason"),
    [
        ("no rate", None, "nothing shipped, nothing cancelled: no rate, no regulation"),
        ("express", None, "vendors on Jumia Express are exempt"),
        ("express unknown", (3, 2, 4), "null is false"),
        ("new", (3, 2, 4), "the first 30 days exempt from charges, not from regulation"),
        ("delisted", None, "an account delisting of an earlier cycle stands"),
        ("delisted once", (3, 2, 4), "it was withdrawn or reversed"),
    ],
)
def test_who_is_regulated(
    regulated: Decided, seller: str, expected: Limits | None, reason: str
) -> None:
    assert limits(regulated.row(RULE, seller_id=seller)) == expected, reason


@pytest.mark.parametrize("seller", ["no rate", "express", "delisted"])
def test_metrics_are_shown_of_those_who_are_not_regulated(regulated: Decided, seller: str) -> None:
    assert regulated.row("metrics.seller_week", seller_id=seller) is not None


def test_a_regulation_states_what_its_rate_is_made_of(regulated: Decided) -> None:
    row = regulated.row(RULE, seller_id="5.06%, just over 5.0%, is in the third: 50% of 75")
    assert row is not None
    stated = ("cancelled_items", "shipped_items", "shipped_orders", "fulfilment_days")
    assert tuple(row[name] for name in stated) == (4, 75, 75, 6)
    assert row["event_at"] == Marketplace().at("Mon+1 00:00")


@pytest.mark.parametrize(
    ("week", "expected", "reason"),
    [
        ("2026-09-28", (1, 5, 20), "National Day leaves five days"),
        ("2026-12-21", (1, 7, 28), "Christmas and Boxing Day leave four"),
    ],
)
def test_a_limit_is_of_the_orders_a_fulfilment_day(
    tmp_path: Path, week: str, expected: Limits, reason: str
) -> None:
    marketplace = Marketplace(week)
    trade(marketplace, Week(1, 39))
    assert limits(marketplace.decide(tmp_path, RULE).row(RULE)) == expected, reason


def test_a_week_without_fulfilment_day_is_treated_as_one_day(tmp_path: Path) -> None:
    fridays = ("fulfilment.weekdays", "2026-12-21", ["friday"])
    marketplace = Marketplace("2026-12-21", amended(tmp_path, fridays))
    trade(marketplace, Week(1, 39))
    decided = marketplace.decide(tmp_path, RULE)
    metrics = decided.row("metrics.seller_week")
    assert metrics is not None
    assert metrics["fulfilment_days"] == 0, "its Friday is Christmas"
    assert limits(decided.row(RULE)) == (1, 29, 116)


# Amended from a date, around the observed Monday 2026-11-09.
AMENDED = [
    Case(
        "an amendment from the observed Monday holds",
        ("order_regulation.daily_order_minimum", "2026-11-09", "9"),
        (1, 9, 36),
    ),
    Case(
        "an amendment from the Tuesday after does not yet",
        ("order_regulation.daily_order_minimum", "2026-11-10", "9"),
        (1, 4, 16),
    ),
    Case(
        "amended bands decide: exactly 2.5% now belongs to the first row",
        (
            "order_regulation.bands",
            "2026-11-09",
            [
                {"up_to_pct": "2.5", "includes_upper": "true"},
                {"daily_order_limit": "1", "pending_to_shipped_limit": "1"},
            ],
        ),
        None,
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), [pytest.param(c.given, c.expected, id=c.sentence) for c in AMENDED]
)
def test_the_policy_of_the_observed_monday_decides(
    tmp_path: Path, change: tuple[str, str, object], expected: Limits | None
) -> None:
    marketplace = Marketplace(policy=amended(tmp_path, change))
    trade(marketplace, Week(1, 39))
    assert limits(marketplace.decide(tmp_path, RULE).row(RULE)) == expected


@pytest.mark.parametrize(("since", "days"), [("2026-11-09", 5), ("2026-11-10", 7)])
def test_a_regulation_keeps_the_days_it_will_be_in_force(
    tmp_path: Path, since: str, days: int
) -> None:
    marketplace = Marketplace(
        policy=amended(tmp_path, ("order_regulation.in_force_days", since, "5"))
    )
    trade(marketplace, Week(1, 39))
    row = marketplace.decide(tmp_path, RULE).row(RULE)
    assert row is not None
    assert row["in_force_days"] == days


def test_a_share_of_four_decimals_is_not_rounded_before_the_limit_is(tmp_path: Path) -> None:
    """3.995% of 100 orders is 3.995 orders: three, not the four that a share of 4.00% gives."""
    bands = [{"daily_share_pct": "3.995", "pending_to_shipped_multiple": "1"}]
    changes = [
        ("order_regulation.bands", "2026-12-21", bands),
        ("fulfilment.weekdays", "2026-12-21", ["friday"]),
    ]
    marketplace = Marketplace("2026-12-21", amended(tmp_path, *changes))
    trade(marketplace, Week(0, 100))
    assert limits(marketplace.decide(tmp_path, RULE).row(RULE)) == (0, 3, 3)


# --- against slow, independent arithmetic ---------------------------------------------------------


def expected_limits(week: Week, fulfilment_days: int) -> Limits | None:
    """The table of §5, in fractions."""
    rate = Fraction(week.cancelled, max(week.cancelled + week.shipped, 1))
    if rate < Fraction(25, 1000):
        return None
    if rate > Fraction(1, 10):
        return 3, 2, 4
    is_second = rate <= Fraction(5, 100)
    share = Fraction(3, 4) if is_second else Fraction(1, 2)
    a_day = share * (week.orders or 0) / fulfilment_days
    daily = max(2, a_day.numerator // a_day.denominator)
    return (1, daily, 4 * daily) if is_second else (2, daily, 2 * daily)


def random_week(source: random.Random) -> Week:
    """A week near the bands: the rate up to 13%, a third of them exactly on an edge."""
    if source.random() < 1 / 3:
        times, (cancelled, total) = source.randint(1, 3), source.choice([(1, 40), (1, 20), (1, 10)])
        cancelled, shipped = times * cancelled, times * (total - cancelled)
    else:
        shipped = source.randint(0, 120)
        cancelled = source.randint(0, max(1, shipped // 8))
    return Week(cancelled, shipped, source.randint(min(1, shipped), shipped))


@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32), week=st.sampled_from([("2026-11-09", 6), ("2026-12-21", 4)]))
def test_sql_and_fractions_agree_on_every_band_and_limit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, week: tuple[str, int]
) -> None:
    monday, fulfilment_days = week
    source = random.Random(seed)
    weeks = {f"seller {number}": random_week(source) for number in range(300)}
    marketplace = Marketplace(monday)
    for seller, did in weeks.items():
        trade(marketplace, did, seller_id=seller)
    decided = marketplace.decide(tmp_path_factory.mktemp("random"), RULE)
    found = {row["seller_id"]: limits(row) for row in decided.rows(RULE)}
    expected = {seller: expected_limits(did, fulfilment_days) for seller, did in weeks.items()}
    assert found == {seller: limit for seller, limit in expected.items() if limit}
