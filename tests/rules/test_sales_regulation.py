"""Rulebook §7: thresholds, grounds, customers, windows, occurrences, overrides."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from marketplace import Case, Decided, Item, Marketplace, amended, each

RULE = "decisions.sales_regulations"

# The 30 days that end with the observed week, Monday 2026-11-16 00:00, begin on a Saturday.
WINDOW_START = "2026-10-17T00:00"
BEFORE_WINDOW = "2026-10-16T23:59:59.999999"
OLD = "2026-08-01T09:00"


@dataclass(frozen=True)
class Sold:
    """What became of one product's items: how many, by how many customers, when.

    Rejections and their deliveries fall in the observed week, returns and theirs in the week
    before, unless they say otherwise.
    """

    product_type: str = "GM"
    rejected: int = 0
    rejecting: int = 2
    rejected_at: str = "Tue 10:00"
    delivered: int = 0
    delivered_at: str = "Mon 10:00"
    returned: int = 0
    returning: int = 2
    returned_at: str = "Tue-1 10:00"
    return_reason: str = "wrong_item"
    delivered_before: int = 0


def sell(marketplace: Marketplace, sku: str, sold: Sold, seller: str | None = None) -> str:
    """A product of that SKU with those items."""
    seller = seller or marketplace.seller()
    marketplace.product(seller, sku=sku, product_type=sold.product_type)
    item = Item(seller_id=seller, sku=sku, pending_at=OLD)
    for number in range(sold.rejected):
        customer = f"{sku} {number % sold.rejecting}"
        marketplace.item({**item, "rejected_at": sold.rejected_at, "customer_id": customer})
    for number in range(sold.returned):
        back = Item(returned_at=sold.returned_at, return_reason=sold.return_reason)
        customer = f"{sku} {number % sold.returning}"
        marketplace.item({**item, **back, "customer_id": customer})
    marketplace.items(sold.delivered, {**item, "delivered_at": sold.delivered_at})
    marketplace.items(sold.delivered_before, {**item, "delivered_at": "Mon-1 10:00"})
    return sku


# --- grounds --------------------------------------------------------------------------------------

# Rejections: rate = rejected / (rejected + delivered).
REJECTED = [
    Case("GM at exactly 3% is not over it", Sold(rejected=3, delivered=97), None),
    Case("GM at 3.03% is over 3%", Sold(rejected=3, delivered=96), "rejection_rate"),
    Case("Fashion at exactly 6% is not over it", Sold("Fashion", 3, delivered=47), None),
    Case("Fashion at 6.12% is over 6%", Sold("Fashion", 3, delivered=46), "rejection_rate"),
    Case("Fashion at 3.03% is not over 6%", Sold("Fashion", 3, delivered=96), None),
    Case(
        "the rejected are part of the denominator: 2 of 67 is 2.99%",
        Sold(rejected=2, delivered=65),
        None,
    ),
    Case("2 of 66 is 3.03%", Sold(rejected=2, delivered=64), "rejection_rate"),
    Case("nothing delivered is 100%", Sold(rejected=2), "rejection_rate"),
    Case("one customer is too few, however often", Sold(rejected=5, rejecting=1), None),
    Case("two customers are enough", Sold(rejected=5, rejecting=2), "rejection_rate"),
    Case(
        "at the window's first instant",
        Sold(rejected=2, rejected_at=WINDOW_START),
        "rejection_rate",
    ),
    Case("a microsecond before the window", Sold(rejected=2, rejected_at=BEFORE_WINDOW), None),
    Case(
        "in Sunday's last microsecond",
        Sold(rejected=2, rejected_at="Sun 23:59:59.999999"),
        "rejection_rate",
    ),
    Case("on the next Monday 00:00", Sold(rejected=2, rejected_at="Mon+1 00:00"), None),
    Case(
        "delivered at the window's first instant is in the denominator",
        Sold(rejected=2, delivered=98, delivered_at=WINDOW_START),
        None,
    ),
    Case(
        "delivered before the window is not",
        Sold(rejected=2, delivered=98, delivered_at=BEFORE_WINDOW),
        "rejection_rate",
    ),
    Case(
        "delivered on the next Monday 00:00 is not",
        Sold(rejected=2, delivered=98, delivered_at="Mon+1 00:00"),
        "rejection_rate",
    ),
    Case("only delivered", Sold(delivered=50), None),
]

# Returns in the week before: rate = returned / max(returned, delivered in that week).
RETURNED = [
    Case("GM returned at exactly 2% is not over it", Sold(returned=2, delivered_before=100), None),
    Case("GM returned at 2.02% is over 2%", Sold(returned=2, delivered_before=99), "return_rate"),
    Case(
        "Fashion returned at exactly 4% is not over it",
        Sold("Fashion", returned=2, delivered_before=50),
        None,
    ),
    Case(
        "Fashion returned at 4.08% is over 4%",
        Sold("Fashion", returned=2, delivered_before=49),
        "return_rate",
    ),
    Case("nothing delivered in that week is 100%", Sold(returned=2), "return_rate"),
    Case(
        "more returned than delivered is 100%", Sold(returned=9, delivered_before=3), "return_rate"
    ),
    Case("returned by one customer is too few", Sold(returned=5, returning=1), None),
    Case("returned by two is enough", Sold(returned=5, returning=2), "return_rate"),
    Case(
        "returned in the observed week is next week's",
        Sold(returned=2, returned_at="Mon 00:00"),
        None,
    ),
    Case(
        "returned in the week before, its last microsecond",
        Sold(returned=2, returned_at="Sun-1 23:59:59.999999"),
        "return_rate",
    ),
    Case(
        "returned on that week's Monday 00:00",
        Sold(returned=2, returned_at="Mon-1 00:00"),
        "return_rate",
    ),
    Case(
        "returned a microsecond before that week",
        Sold(returned=2, returned_at="Sun-2 23:59:59.999999"),
        None,
    ),
    Case(
        "delivered in the observed week is not in the denominator",
        Sold(returned=2, delivered=100),
        "return_rate",
    ),
    Case(
        "returned as defective is of quality",
        Sold(returned=2, return_reason="defective_item"),
        "return_rate",
    ),
    Case(
        "returned as used is of quality",
        Sold(returned=2, return_reason="used_refurbished"),
        "return_rate",
    ),
    Case("a change of mind is not", Sold(returned=9, return_reason="change_of_mind"), None),
    Case("nor is another return reason", Sold(returned=9, return_reason="other"), None),
]

BOTH = [
    Case(
        "both grounds are one regulation",
        Sold(rejected=2, returned=2),
        "rejection_rate,return_rate",
    ),
    Case(
        "a customer who rejects and one who returns are not two of either",
        Sold(rejected=1, rejecting=1, returned=1, returning=1),
        None,
    ),
]

GROUNDS = [*REJECTED, *RETURNED, *BOTH]


@pytest.fixture(scope="module")
def grounded(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, sold, _ in GROUNDS:
        sell(marketplace, sentence, sold)
    return marketplace.decide(tmp_path_factory.mktemp("grounds"), RULE)


@each(GROUNDS, "sku", "expected")
def test_a_product_is_regulated_on(grounded: Decided, sku: str, expected: str | None) -> None:
    row = grounded.row(RULE, sku=sku)
    assert (row and row["grounds"]) == expected


def test_a_regulation_states_its_rates(grounded: Decided) -> None:
    row = grounded.row(RULE, sku="Fashion at 6.12% is over 6%")
    assert row is not None
    stated = ("rejected_items", "rejection_base_items", "rejecting_customers", "rejection_over_pct")
    assert tuple(row[name] for name in stated) == (3, 49, 2, Decimal(6))
    row = grounded.row(RULE, sku="more returned than delivered is 100%")
    assert row is not None
    stated = ("returned_items", "return_base_items", "returning_customers", "return_over_pct")
    assert tuple(row[name] for name in stated) == (9, 9, 2, Decimal(2))


# --- occurrences ----------------------------------------------------------------------------------


def before(occurrence: int | None, *, is_standing: bool = True) -> dict[str, object]:
    return {"occurrence": occurrence, "is_standing": is_standing}


NEW = Sold(rejected=2)
LINGERING = Sold(rejected=2, rejected_at="Sun-1 23:59:59.999999")

# Given: what became of the product, and its regulations of earlier cycles.
OCCURRENCES = [
    Case("a rejection in the observed week is something new", (NEW, []), 1),
    Case("even one on its Monday 00:00", (Sold(rejected=2, rejected_at="Mon 00:00"), []), 1),
    Case("rejections of the weeks before alone do not count", (LINGERING, []), None),
    Case("a return ground counts", (Sold(returned=2), []), 1),
    Case(
        "a return ground counts though the rejections are old",
        (Sold(rejected=2, rejected_at="Sun-1 23:59:59.999999", returned=2), []),
        1,
    ),
    Case("the second", (NEW, [before(1)]), 2),
    Case("the third", (NEW, [before(1), before(2)]), 3),
    Case("earlier ones that were reversed do not count", (NEW, [before(1, is_standing=False)]), 1),
    Case(
        "one more than those that stand, whatever their ordinals",
        (NEW, [before(1, is_standing=False), before(2)]),
        2,
    ),
    Case("earlier ones that were no occurrences do not count", (NEW, [before(None)] * 3), 1),
    Case("none this time, though there were before", (LINGERING, [before(1), before(2)]), None),
]


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, (sold, regulations), _ in OCCURRENCES:
        sell(marketplace, sentence, sold)
        for regulation in regulations:
            marketplace.remember("sales_regulations", sku=sentence, **regulation)
    # Older rejections bring the ground, a single new one makes it count.
    sku = sell(marketplace, "one new", Sold(rejected=3, rejected_at="Mon-1 10:00"))
    seller = marketplace.raw["products"][-1]["seller_id"]
    one = Item(seller_id=seller, sku=sku, pending_at=OLD)
    marketplace.item({**one, "rejected_at": "Tue 10:00"})
    # A ground by returns, and a new rejection that is no ground.
    sell(marketplace, "return and stray rejection", Sold(rejected=1, rejecting=1, returned=2))
    # The seller's other product.
    both = marketplace.seller()
    sell(marketplace, "twin", NEW, both)
    sell(marketplace, "other twin", NEW, both)
    marketplace.remember("sales_regulations", sku="other twin", occurrence=1)
    for sku, is_standing in (("delisted", True), ("delisted once", False)):
        sell(marketplace, sku, NEW)
        marketplace.remember("product_delistings", sku=sku, is_standing=is_standing)
    for sku, is_standing in (("account gone", True), ("account back", False)):
        sell(marketplace, sku, NEW, marketplace.seller(seller_id=sku))
        marketplace.remember(
            "account_delistings", seller_id=sku, decision_id="D", is_standing=is_standing
        )
    sell(marketplace, "express", NEW, marketplace.seller(is_jumia_express=True))
    sell(marketplace, "new seller", NEW, marketplace.seller(onboarded_at="Mon 00:00"))
    return marketplace.decide(tmp_path_factory.mktemp("occurrences"), RULE)


@each(OCCURRENCES, "sku", "expected")
def test_a_regulation_counts_when_it_rests_on_something_new(
    repeated: Decided, sku: str, expected: int | None
) -> None:
    row = repeated.row(RULE, sku=sku)
    assert row is not None
    assert row["occurrence"] == expected


@pytest.mark.parametrize(
    ("sku", "is_regulated", "occurrence", "reason"),
    [
        ("one new", True, 1, "at least one rejection in the observed week"),
        ("return and stray rejection", True, 1, "the return ground counts by itself"),
        ("twin", True, 1, "another product's occurrences are not this one's"),
        ("other twin", True, 2, "and the reverse"),
        ("delisted", False, None, "its delisting of an earlier cycle stands"),
        ("delisted once", True, 1, "its delisting was reversed"),
        ("account gone", False, None, "its seller's account delisting stands"),
        ("account back", True, 1, "the account's delisting was reversed"),
        ("express", True, 1, "no exemptions"),
        ("new seller", True, 1, "no exemptions"),
    ],
)
def test_who_is_regulated(
    repeated: Decided, sku: str, is_regulated: bool, occurrence: int | None, reason: str
) -> None:
    row = repeated.row(RULE, sku=sku)
    assert (row is not None) == is_regulated, reason
    assert (row and row["occurrence"]) == occurrence, reason


# --- the policy of the observed Monday ------------------------------------------------------------

LENIENT = {"rejection_over_pct": "50", "return_over_pct": "50"}
STRICT = {"rejection_over_pct": "1", "return_over_pct": "0.5"}
THIRD = Sold(rejected=2, delivered=4)
FIFTIETH = Sold("Fashion", rejected=2, delivered=98)

AMENDED = [
    Case(
        "a SKU of its own rate is judged by it",
        (THIRD, ("sales_regulation.sku_overrides", "2026-11-09", {"THE-SKU": LENIENT})),
        None,
    ),
    Case(
        "an override may be stricter than the type",
        (FIFTIETH, ("sales_regulation.sku_overrides", "2026-11-09", {"THE-SKU": STRICT})),
        "rejection_rate",
    ),
    Case(
        "an override of returns",
        (
            Sold(returned=2, delivered_before=200),
            ("sales_regulation.sku_overrides", "2026-11-09", {"THE-SKU": STRICT}),
        ),
        "return_rate",
    ),
    Case(
        "exactly at an overriding threshold is not over it",
        (
            Sold(rejected=2, delivered=2),
            ("sales_regulation.sku_overrides", "2026-11-09", {"THE-SKU": LENIENT}),
        ),
        None,
    ),
    Case(
        "an override of another SKU is none",
        (THIRD, ("sales_regulation.sku_overrides", "2026-11-09", {"ANOTHER": LENIENT})),
        "rejection_rate",
    ),
    Case(
        "an override from the Tuesday does not hold yet",
        (THIRD, ("sales_regulation.sku_overrides", "2026-11-10", {"THE-SKU": LENIENT})),
        "rejection_rate",
    ),
    Case(
        "an amended threshold from the observed Monday holds",
        (THIRD, ("sales_regulation.thresholds.GM.rejection_over_pct", "2026-11-09", "40")),
        None,
    ),
    Case(
        "an amended threshold from the Tuesday does not yet",
        (THIRD, ("sales_regulation.thresholds.GM.rejection_over_pct", "2026-11-10", "40")),
        "rejection_rate",
    ),
    Case(
        "the other type's threshold is another",
        (THIRD, ("sales_regulation.thresholds.Fashion.rejection_over_pct", "2026-11-09", "40")),
        "rejection_rate",
    ),
    Case(
        "three customers asked for, two there",
        (THIRD, ("sales_regulation.minimum_customers", "2026-11-09", "3")),
        None,
    ),
    Case(
        "a shorter window leaves older rejections out",
        (
            Sold(rejected=2, rejected_at="Mon-1 10:00"),
            ("sales_regulation.rejection_window_days", "2026-11-09", "7"),
        ),
        None,
    ),
    Case(
        "a longer window reaches further back than anything else looks",
        (
            Sold(rejected=2, rejected_at="2026-08-24T10:00"),
            ("sales_regulation.rejection_window_days", "2026-11-09", "90"),
        ),
        "rejection_rate",
    ),
    Case(
        "a lag of two weeks looks at the week before last",
        (
            Sold(returned=2, returned_at="Tue-2 10:00"),
            ("sales_regulation.return_lag_weeks", "2026-11-09", "2"),
        ),
        "return_rate",
    ),
    Case(
        "and no longer at the last",
        (
            Sold(returned=2, returned_at="Tue-1 10:00"),
            ("sales_regulation.return_lag_weeks", "2026-11-09", "2"),
        ),
        None,
    ),
]


@pytest.mark.parametrize(
    ("sold", "change", "expected"),
    [pytest.param(*case.given, case.expected, id=case.sentence) for case in AMENDED],
)
def test_the_policy_of_the_observed_monday_decides(
    tmp_path: Path, sold: Sold, change: tuple[str, str, object], expected: str | None
) -> None:
    marketplace = Marketplace(policy=amended(tmp_path, change))
    sell(marketplace, "THE-SKU", sold)
    row = marketplace.decide(tmp_path, RULE).row(RULE, sku="THE-SKU")
    assert (row and row["grounds"]) == expected


@pytest.mark.parametrize(("since", "days"), [("2026-11-09", 5), ("2026-11-10", 7)])
def test_a_regulation_keeps_the_days_it_will_be_in_force(
    tmp_path: Path, since: str, days: int
) -> None:
    marketplace = Marketplace(
        policy=amended(tmp_path, ("sales_regulation.in_force_days", since, "5"))
    )
    sell(marketplace, "THE-SKU", THIRD)
    row = marketplace.decide(tmp_path, RULE).row(RULE, sku="THE-SKU")
    assert row is not None
    assert row["in_force_days"] == days
