"""Rulebook §8: product delistings, account reviews, account delistings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from marketplace import Case, Decided, Item, Marketplace, amended, each

PRODUCTS = "decisions.product_delistings"
REGULATIONS = "decisions.sales_regulations"
REVIEWS = "decisions.account_reviews"
ACCOUNTS = "decisions.account_delistings"

# --- products -------------------------------------------------------------------------------------


def regulate(
    marketplace: Marketplace,
    sku: str,
    *,
    standing: int,
    reversed_ones: int = 0,
    is_new: bool = True,
) -> None:
    """A product to be regulated this week, with so many occurrences of earlier cycles."""
    seller = marketplace.seller()
    marketplace.product(seller, sku=sku)
    rejected_at = "Tue 10:00" if is_new else "Tue-1 10:00"
    item = Item(seller_id=seller, sku=sku, pending_at="Mon-2 09:00", rejected_at=rejected_at)
    marketplace.items(2, item)
    for ordinal in range(standing):
        marketplace.remember("sales_regulations", sku=sku, occurrence=ordinal + 1)
    for _ in range(reversed_ones):
        marketplace.remember("sales_regulations", sku=sku, occurrence=1, is_standing=False)


def test_a_delisting_names_the_weeks_that_it_rests_on_in_their_order(tmp_path: Path) -> None:
    marketplace = Marketplace()
    regulate(marketplace, "K", standing=0)
    for cycle in ("2026-10-05", "2026-08-31", "2026-09-14"):
        marketplace.remember(
            "sales_regulations", sku="K", cycle=date.fromisoformat(cycle), occurrence=1
        )
    reversed_one = {"cycle": date(2026, 10, 12), "occurrence": 1, "is_standing": False}
    marketplace.remember("sales_regulations", sku="K", **reversed_one)
    row = marketplace.decide(tmp_path, PRODUCTS).row(PRODUCTS)
    assert row is not None
    assert row["occurrence_cycles"] == "2026-08-31,2026-09-14,2026-10-05,2026-11-09"


STRIKES = [
    Case("the third occurrence delists nothing", {"standing": 2}, None),
    Case("the fourth occurrence delists in the same cycle", {"standing": 3}, 4),
    Case("so does the fifth, if the product is on sale again", {"standing": 4}, 5),
    Case("occurrences that were reversed do not count", {"standing": 2, "reversed_ones": 5}, None),
    Case("three that stand beside reversed ones do", {"standing": 3, "reversed_ones": 2}, 4),
    Case(
        "a regulation that is no occurrence delists nothing, after three",
        {"standing": 3, "is_new": False},
        None,
    ),
    Case(
        "nor after four, for nothing new was done",
        {"standing": 4, "is_new": False},
        None,
    ),
]


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, given, _ in STRIKES:
        regulate(marketplace, sentence, **given)
    for sku, is_standing in (("delisted", True), ("on sale again", False)):
        regulate(marketplace, sku, standing=4)
        marketplace.remember("product_delistings", sku=sku, is_standing=is_standing)
    return marketplace.decide(tmp_path_factory.mktemp("struck"), PRODUCTS)


@each(STRIKES, "sku", "expected")
def test_the_fourth_occurrence_delists(struck: Decided, sku: str, expected: int | None) -> None:
    assert struck.row(REGULATIONS, sku=sku) is not None
    row = struck.row(PRODUCTS, sku=sku)
    assert (row and row["occurrences"]) == expected


@pytest.mark.parametrize(
    ("sku", "is_delisted", "reason"),
    [
        ("delisted", False, "its delisting stands: no regulation, no second delisting"),
        ("on sale again", True, "its delisting was reversed: each later occurrence delists"),
    ],
)
def test_a_delisting_that_stands_is_not_repeated(
    struck: Decided, sku: str, is_delisted: bool, reason: str
) -> None:
    assert (struck.row(REGULATIONS, sku=sku) is not None) == is_delisted, reason
    assert (struck.row(PRODUCTS, sku=sku) is not None) == is_delisted, reason


@pytest.mark.parametrize(
    ("valid_from", "is_delisted", "reason"),
    [
        ("2026-11-09", True, "from the observed Monday two are enough"),
        ("2026-11-10", False, "from the Tuesday not yet"),
    ],
)
def test_the_number_of_occurrences_is_that_of_the_observed_monday(
    tmp_path: Path, valid_from: str, is_delisted: bool, reason: str
) -> None:
    policy = amended(tmp_path, ("product_delisting.occurrence", valid_from, "2"))
    marketplace = Marketplace(policy=policy)
    regulate(marketplace, "SKU", standing=1)
    assert bool(marketplace.decide(tmp_path, PRODUCTS).rows(PRODUCTS)) == is_delisted, reason


# --- reviews --------------------------------------------------------------------------------------

OLD = Item(pending_at="2026-08-03T09:00", delivered_at="2026-08-10T09:00")


def returned(at: str = "Tue 10:00", reason: str = "wrong_item") -> tuple[str, str, str]:
    return "return", at, reason


def failed(at: str = "Tue 10:00") -> tuple[str, str, str]:
    return "check", at, ""


def proven(
    at: str | None = "Tue 10:00", notified_at: str | None = "Mon 10:00"
) -> tuple[object, ...]:
    return "case", at, notified_at


# Given: events on one item each; expected: (returns, drop-off failures, counterfeits).
REVIEWED = [
    Case("one quality return lists a seller", [returned()], (1, 0, 0)),
    Case("one failure at drop-off does", [failed()], (0, 1, 0)),
    Case("one item proven counterfeit does", [proven()], (0, 0, 1)),
    Case(
        "a counterfeit whose seller was never notified does too",
        [proven(notified_at=None)],
        (0, 0, 1),
    ),
    Case(
        "a counterfeit does as soon as it is proven, its evidence window open",
        [proven("Sun 10:00", "Tue+1 10:00")],
        (0, 0, 1),
    ),
    Case(
        "all are counted",
        [returned(), returned(reason="used_refurbished"), failed(), proven()],
        (2, 1, 1),
    ),
    Case("a change of mind lists nobody", [returned(reason="change_of_mind")], None),
    Case("a counterfeit not yet proven lists nobody", [proven(None)], None),
    Case("on Monday 00:00", [returned("Mon 00:00"), failed("Mon 00:00")], (1, 1, 0)),
    Case(
        "in Sunday's last microsecond",
        [returned("Sun 23:59:59.999999"), proven("Sun 23:59:59.999999")],
        (1, 0, 1),
    ),
    Case(
        "of the next Monday 00:00 nothing",
        [returned("Mon+1 00:00"), failed("Mon+1 00:00"), proven("Mon+1 00:00")],
        None,
    ),
    Case(
        "of the week before all that is taken in late",
        [returned("Tue-1 10:00"), failed("Tue-1 10:00"), proven("Tue-1 10:00", "Mon-1 10:00")],
        (1, 1, 1),
    ),
    Case(
        "a late case counts before it is charged, and one that is never charged",
        [proven("Tue-1 10:00", "Tue+1 10:00"), proven("Tue-1 10:00", None)],
        (0, 0, 2),
    ),
    Case(
        "what is too late to be charged lists nobody",
        [returned("Tue-5 10:00"), failed("Tue-5 10:00")],
        None,
    ),
    Case(
        "but a case does as far back as the first cycle", [proven("Tue-9 10:00", None)], (0, 0, 1)
    ),
    Case("not of before it", [proven("2015-12-29T10:00", None)], None),
]

# Given: events; their items were charged (returned, failed) or counted by a review (proven) before.
COUNTED = [
    Case(
        "what was counted in its own week lists nobody again",
        [returned("Tue-1 10:00"), failed("Tue-1 10:00")],
        None,
    ),
    Case(
        "nor a counterfeit whose window closed since",
        [proven("Tue-1 10:00", "Fri-1 10:00")],
        None,
    ),
    Case("nor one that is never charged", [proven("Tue-1 10:00", None)], None),
    Case("a case proven in the observed week lists a seller", [proven()], (0, 0, 1)),
]


# Two cases of one item: when they were proven.
TWICE = {
    "two proofs in the week": ("Tue 10:00", "Wed 10:00"),
    "a late proof and one in the week": ("Tue-1 10:00", "Wed 10:00"),
}


def count(marketplace: Marketplace, seller: str, kind: object, item: str) -> None:
    """An earlier cycle has charged the item, or reviewed it as a counterfeit."""
    if kind == "case":
        marketplace.remember("reviewed_counterfeits", seller_id=seller, order_item_id=item)
    else:
        rule = "returns_charge" if kind == "return" else "dropoff_qc_charge"
        marketplace.remember("charges", rule=rule, order_item_id=item, amount="1500.00")


def happen(marketplace: Marketplace, seller: str, event: tuple[object, ...]) -> str:
    """The event, on an item of its own; the item."""
    kind, at, detail = event
    if kind == "return":
        assert isinstance(at, str)
        assert isinstance(detail, str)
        back = {**OLD, "seller_id": seller, "returned_at": at, "return_reason": detail}
        return marketplace.item(back)
    item = marketplace.item({**OLD, "seller_id": seller})
    if kind == "check":
        marketplace.check(item, checked_at=at)
    else:
        marketplace.counterfeit_case(item, proven_at=at, notified_at=detail)
    return item


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, events, _ in REVIEWED:
        marketplace.seller(seller_id=sentence)
        for event in events:
            happen(marketplace, sentence, event)
    for sentence, events, _ in COUNTED:
        marketplace.seller(seller_id=sentence)
        for event in events:
            count(marketplace, sentence, event[0], happen(marketplace, sentence, event))
    for seller, cases in TWICE.items():
        item = marketplace.item({**OLD, "seller_id": marketplace.seller(seller_id=seller)})
        for at in cases:
            marketplace.counterfeit_case(item, proven_at=at)
    marketplace.seller(seller_id="failed twice")
    item = marketplace.item({**OLD, "seller_id": "failed twice"})
    marketplace.check(item, checked_at="Tue 10:00")
    marketplace.check(item, checked_at="Wed 10:00")
    marketplace.seller(seller_id="failed again")
    item = marketplace.item({**OLD, "seller_id": "failed again"})
    marketplace.check(item, checked_at="Tue-1 10:00")
    marketplace.check(item, checked_at="Wed 10:00")
    count(marketplace, "failed again", "check", item)
    marketplace.seller(seller_id="delisted")
    happen(marketplace, "delisted", returned())
    marketplace.remember("account_delistings", seller_id="delisted", decision_id="D")
    return marketplace.decide(tmp_path_factory.mktemp("reviewed"), REVIEWS)


@pytest.mark.parametrize("seller", TWICE)
def test_an_item_with_two_cases_is_one_item(reviewed: Decided, seller: str) -> None:
    row = reviewed.row(REVIEWS, seller_id=seller)
    assert row is not None
    assert row["counterfeits"] == 1


@each([*REVIEWED, *COUNTED], "seller", "expected")
def test_every_such_event_lists_its_seller_for_review(
    reviewed: Decided, seller: str, expected: tuple[int, int, int] | None
) -> None:
    row = reviewed.row(REVIEWS, seller_id=seller)
    columns = ("quality_returns", "dropoff_failures", "counterfeits")
    assert (row and tuple(row[name] for name in columns)) == expected


@pytest.mark.parametrize(
    ("seller", "failures", "reason"),
    [
        ("failed twice", 1, "an item fails once"),
        ("failed again", None, "its first failure was counted the week before"),
    ],
)
def test_an_items_first_failure_is_its_only_one(
    reviewed: Decided, seller: str, failures: int | None, reason: str
) -> None:
    row = reviewed.row(REVIEWS, seller_id=seller)
    assert (row and row["dropoff_failures"]) == failures, reason


def test_a_delisted_seller_is_still_reviewed(reviewed: Decided) -> None:
    assert reviewed.row(REVIEWS, seller_id="delisted") is not None


def test_the_policy_says_which_events_list_a_seller(tmp_path: Path) -> None:
    policy = amended(tmp_path, ("account_delisting.review_events", "2026-11-09", ["return"]))
    marketplace = Marketplace(policy=policy)
    for seller, event in (("returned", returned()), ("failed", failed()), ("proven", proven())):
        happen(marketplace, marketplace.seller(seller_id=seller), event)
    rows = marketplace.decide(tmp_path, REVIEWS).rows(REVIEWS)
    assert [row["seller_id"] for row in rows] == ["returned"]


# --- accounts -------------------------------------------------------------------------------------

DELIST, KEEP = "delist", "keep"
ALERT = "Wed+1 07:00"
AFTER_ALERT = "Wed+1 07:00:00.000001"

# Given: decisions by id as (what, when); of sellers listed this week. Expected: the decision that
# becomes an action.
DECIDED = [
    Case("listed, and nobody decided", {}, None),
    Case("decided to delist before the alert", {"d1": (DELIST, "Tue+1 10:00")}, "d1"),
    Case("decided at the very instant of the alert", {"d2": (DELIST, ALERT)}, "d2"),
    Case("decided a microsecond after the alert", {"d3": (DELIST, AFTER_ALERT)}, None),
    Case("decided before it was ever listed", {"d4": (DELIST, "2026-03-02T10:00")}, "d4"),
    Case("decided to keep", {"d5": (KEEP, "Tue+1 10:00")}, None),
    Case(
        "to delist, then to keep",
        {"d6": (DELIST, "Mon+1 10:00"), "d7": (KEEP, "Tue+1 10:00")},
        None,
    ),
    Case(
        "to keep, then to delist",
        {"d8": (KEEP, "Mon+1 10:00"), "d9": (DELIST, "Tue+1 10:00")},
        "d9",
    ),
    Case(
        "to delist, and only after the alert to keep",
        {"d10": (DELIST, "Mon+1 10:00"), "d11": (KEEP, AFTER_ALERT)},
        "d10",
    ),
    Case(
        "twice to delist: the latest",
        {"d12": (DELIST, "Tue+1 10:00"), "d13": (DELIST, "Mon+1 10:00")},
        "d12",
    ),
]


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, decisions, _ in DECIDED:
        marketplace.seller(seller_id=sentence)
        happen(marketplace, sentence, returned())
        for decision_id, (what, at) in decisions.items():
            marketplace.account_decision(sentence, at, decision_id=decision_id, decision=what)
    for seller, is_listed, is_listed_earlier in (
        ("never listed", False, False),
        ("listed earlier", False, True),
        ("listed twice", True, True),
    ):
        marketplace.seller(seller_id=seller)
        marketplace.account_decision(seller, "Tue+1 10:00", decision_id=seller)
        if is_listed:
            happen(marketplace, seller, returned())
            happen(marketplace, seller, failed())
        if is_listed_earlier:
            counts = {"quality_returns": 1, "dropoff_failures": 0, "counterfeits": 2}
            marketplace.remember("account_reviews", seller_id=seller, **counts)
            marketplace.remember("account_reviews", seller_id=seller, **counts)
    for seller, decision_id, acted_on, is_standing in (
        ("acted on, stands", "e1", "e1", True),
        ("acted on, withdrawn", "e2", "e2", False),
        ("an earlier one stands", "e3", "e3 before", True),
        ("an earlier one was withdrawn", "e4", "e4 before", False),
    ):
        marketplace.seller(seller_id=seller)
        happen(marketplace, seller, returned())
        marketplace.account_decision(seller, "Tue+1 10:00", decision_id=decision_id)
        marketplace.remember(
            "account_delistings", seller_id=seller, decision_id=acted_on, is_standing=is_standing
        )
    return marketplace.decide(tmp_path_factory.mktemp("decided"), ACCOUNTS)


@each(DECIDED, "seller", "expected")
def test_the_latest_decision_by_the_alert_counts(
    decided: Decided, seller: str, expected: str | None
) -> None:
    row = decided.row(ACCOUNTS, seller_id=seller)
    assert (row and row["decision_id"]) == expected


@pytest.mark.parametrize(
    ("seller", "is_delisted", "reason"),
    [
        ("never listed", False, "no event, no review, no delisting"),
        ("listed earlier", True, "an earlier cycle listed the seller"),
        ("listed twice", True, "one action, though listed more than once"),
        ("acted on, stands", False, "no second delisting"),
        ("acted on, withdrawn", False, "a decision becomes an action once"),
        ("an earlier one stands", False, "no second delisting on a new decision either"),
        ("an earlier one was withdrawn", True, "a new decision is a new action"),
    ],
)
def test_a_decision_becomes_an_action_once_its_seller_was_listed(
    decided: Decided, seller: str, is_delisted: bool, reason: str
) -> None:
    assert (decided.row(ACCOUNTS, seller_id=seller) is not None) == is_delisted, reason


def test_a_delisting_states_the_counts_of_all_reviews(decided: Decided) -> None:
    row = decided.row(ACCOUNTS, seller_id="listed twice")
    assert row is not None
    columns = ("quality_returns", "dropoff_failures", "counterfeits")
    assert tuple(row[name] for name in columns) == (3, 1, 4)
    assert row["event_at"] == Marketplace().at("Tue+1 10:00")
