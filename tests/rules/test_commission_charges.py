"""Rulebook §6: out-of-stock and late-fulfilment charges, and the family they are."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from marketplace import Case, Decided, Item, Marketplace, amended, each

OUT_OF_STOCK = "decisions.out_of_stock_charges"
LATE = "decisions.late_fulfilment_charges"

Amounts = tuple[str | None, str | None]


def amounts(decided: Decided, order_item_id: str) -> tuple[Decimal | None, Decimal | None]:
    """What the item is charged: (out of stock, late)."""
    rows = (decided.row(rule, order_item_id=order_item_id) for rule in (OUT_OF_STOCK, LATE))
    out_of_stock, late = (row["amount"] if row else None for row in rows)
    return out_of_stock, late


def decimals(expected: Amounts) -> tuple[Decimal | None, Decimal | None]:
    out_of_stock, late = (amount and Decimal(amount) for amount in expected)
    return out_of_stock or None, late or None


# --- amounts and time -----------------------------------------------------------------------------

# All pending Monday 09:00, cancelled as out of stock on Monday 18:00, before they could be late,
# with a commission of 1,000.00, unless they say otherwise; expected: (out of stock, late).
CANCELLED = [
    Case("out of stock costs twice the commission", Item(commission="700.00"), ("1400.00", None)),
    Case("to the kobo", Item(commission="0.01"), ("0.02", None)),
    Case("exactly the cap", Item(commission="1250.00"), ("2500.00", None)),
    Case("just over the cap is the cap", Item(commission="1250.01"), ("2500.00", None)),
    Case("far over the cap is the cap", Item(commission="9999999.99"), ("2500.00", None)),
    Case("no commission, no charge", Item(commission="0.00"), (None, None)),
    Case("late pending is no lack of stock", Item(cancel_reason="late_pending"), (None, None)),
    Case("nor is the customer's request", Item(cancel_reason="customer_request"), (None, None)),
    Case(
        "a reason without a cancellation is nothing",
        Item(cancelled_at=None, ready_to_ship_at="Mon 12:00"),
        (None, None),
    ),
    Case(
        "cancelled on Monday 00:00 is of this week",
        Item(pending_at="Sun-1 15:00", cancelled_at="Mon 00:00"),
        ("2000.00", None),
    ),
    Case(
        "cancelled in Sunday's last microsecond is of this week",
        Item(pending_at="Sun 15:00", cancelled_at="Sun 23:59:59.999999"),
        ("2000.00", None),
    ),
    Case(
        "cancelled on the next Monday 00:00 is the next cycle's",
        Item(pending_at="Sun 15:00", cancelled_at="Mon+1 00:00"),
        (None, None),
    ),
    Case(
        "ready in time and out of stock after all",
        Item(ready_to_ship_at="Mon 12:00", cancelled_at="Fri 12:00"),
        ("2000.00", None),
    ),
]

# All pending Monday 09:00 and never ready, commission 1,000.00, unless they say otherwise.
TARDY = [
    Case("late costs the commission", Item(commission="700.00"), (None, "700.00")),
    Case("late at exactly the cap", Item(commission="2500.00"), (None, "2500.00")),
    Case("late just over the cap", Item(commission="2500.01"), (None, "2500.00")),
    Case("late without commission", Item(commission="0.00"), (None, None)),
    Case("ready exactly in time", Item(ready_to_ship_at="Tue 09:00"), (None, None)),
    Case("cancelled in time", Item(cancelled_at="Mon 18:00", cancel_reason="other"), (None, None)),
    Case(
        "late, then cancelled by the customer",
        Item(cancelled_at="Wed 09:00", cancel_reason="customer_request"),
        (None, "1000.00"),
    ),
    Case(
        "pending in the week before, due on this week's Monday",
        Item(pending_at="Sat-1 18:00"),
        (None, "1000.00"),
    ),
    Case(
        "pending on Saturday 00:00, due on Sunday 00:00",
        Item(pending_at="Sat 00:00"),
        (None, "1000.00"),
    ),
    Case(
        "pending a microsecond later, due in the next week",
        Item(pending_at="Sat 00:00:00.000001"),
        (None, None),
    ),
    Case(
        "late, and out of stock only after the week's end: the rest is the next cycle's",
        Item(cancelled_at="Mon+1 00:00", cancel_reason="out_of_stock"),
        (None, "1000.00"),
    ),
]

# Both the deadline and the cancellation fall in this week.
BOTH = [
    Case(
        "late and then out of stock in one cycle bears the out-of-stock charge alone",
        Item(cancelled_at="Wed 09:00", cancel_reason="out_of_stock"),
        ("2000.00", None),
    ),
    Case(
        "out of stock exactly at the deadline likewise",
        Item(cancelled_at="Tue 09:00", cancel_reason="out_of_stock"),
        ("2000.00", None),
    ),
    Case(
        "ready too late, then out of stock, likewise",
        Item(ready_to_ship_at="Tue 10:00", cancelled_at="Wed 09:00", cancel_reason="out_of_stock"),
        ("2000.00", None),
    ),
]

CHARGED = [*CANCELLED, *TARDY, *BOTH]


@pytest.fixture(scope="module")
def charged(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    stockless = Item(cancelled_at="Mon 18:00", cancel_reason="out_of_stock")
    for sentence, item, _ in CANCELLED:
        marketplace.item({"order_item_id": sentence, **stockless, **item})
    for sentence, item, _ in [*TARDY, *BOTH]:
        marketplace.item({"order_item_id": sentence, **item})
    return marketplace.decide(tmp_path_factory.mktemp("charged"), OUT_OF_STOCK, LATE)


@each(CHARGED)
def test_an_item_is_charged(charged: Decided, sentence: str, expected: Amounts) -> None:
    assert amounts(charged, sentence) == decimals(expected)


@pytest.mark.parametrize(
    ("rule", "sentence", "event_at"),
    [
        (OUT_OF_STOCK, "out of stock costs twice the commission", "Mon 18:00"),
        (LATE, "late costs the commission", "Tue 09:00"),
    ],
)
def test_a_charge_states_its_event(
    charged: Decided, rule: str, sentence: str, event_at: str
) -> None:
    row = charged.row(rule, order_item_id=sentence)
    assert row is not None
    assert row["event_at"] == Marketplace().at(event_at)
    assert (row["commission"], row["cap"]) == (Decimal("700.00"), Decimal("2500.00"))


# --- the first 30 days ----------------------------------------------------------------------------

# Cancelled on Tuesday 2026-11-10 10:00 and, another item, due at that same instant; expected:
# whether the seller of that onboarding is charged.
ONBOARDED = [
    Case("exactly 30 days after onboarding is no longer new", "2026-10-11T10:00", True),
    Case("a microsecond less is new", "2026-10-11T10:00:00.000001", False),
    Case("an old seller is not new", "2020-01-01T00:00", True),
    Case("without onboarding date a seller is not new", None, True),
    Case("onboarded after the event is new", "2026-11-12T00:00", False),
    Case("onboarded even after the slot is new: the date is never masked", "2026-12-01", False),
    Case("the days are of 24 hours: 30 calendar days may be too few", "2026-10-11T23:00", False),
]


@pytest.fixture(scope="module")
def onboarded(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, onboarded_at, _ in ONBOARDED:
        for rule in (OUT_OF_STOCK, LATE):
            seller = marketplace.seller(onboarded_at=onboarded_at)
            item = Item(pending_at="Mon 10:00")
            if rule == OUT_OF_STOCK:
                item = Item(cancelled_at="Tue 10:00", cancel_reason="out_of_stock")
            marketplace.item({"order_item_id": f"{sentence} {rule}", "seller_id": seller, **item})
    seller = marketplace.seller(onboarded_at="2026-10-12T12:00")
    late_while_new = Item(cancelled_at="Thu 10:00", cancel_reason="out_of_stock")
    marketplace.item({"order_item_id": "late while new", "seller_id": seller, **late_while_new})
    return marketplace.decide(tmp_path_factory.mktemp("onboarded"), OUT_OF_STOCK, LATE)


@pytest.mark.parametrize("rule", [OUT_OF_STOCK, LATE])
@each(ONBOARDED)
def test_new_sellers_are_exempt(
    onboarded: Decided, rule: str, sentence: str, expected: bool
) -> None:
    is_charged = onboarded.row(rule, order_item_id=f"{sentence} {rule}") is not None
    assert is_charged == expected


def test_late_while_new_and_out_of_stock_when_no_longer_new_bears_the_whole_charge(
    onboarded: Decided,
) -> None:
    assert amounts(onboarded, "late while new") == (Decimal("2000.00"), None)


# --- what earlier cycles charged ------------------------------------------------------------------


def late(amount: str, *, is_standing: bool = True) -> dict[str, object]:
    return {"rule": "late_fulfilment_charge", "amount": amount, "is_standing": is_standing}


def out_of_stock(amount: str, *, is_standing: bool = True) -> dict[str, object]:
    return {"rule": "out_of_stock_charge", "amount": amount, "is_standing": is_standing}


LATE_ONLY = Item()
NOW_OUT_OF_STOCK = Item(cancelled_at="Wed 09:00", cancel_reason="out_of_stock")


def of(commission: str, item: Item = NOW_OUT_OF_STOCK) -> Item:
    return {**item, "commission": commission}


# Given: the item as it is now, and its charges of earlier cycles.
EARLIER = [
    Case(
        "a late charge stands: the out-of-stock charge is the difference",
        (of("1000.00"), [late("1000.00")]),
        ("1000.00", None),
    ),
    Case(
        "the difference to the cap, where the cap binds",
        (of("2000.00"), [late("2000.00")]),
        ("500.00", None),
    ),
    Case("no difference, no action", (of("2500.00"), [late("2500.00")]), (None, None)),
    Case(
        "a late charge that was withdrawn or reversed is not deducted, nor made again",
        (of("1000.00"), [late("1000.00", is_standing=False)]),
        ("2000.00", None),
    ),
    Case(
        "what was charged is deducted, not what would be charged now",
        (of("700.00"), [late("1000.00")]),
        ("400.00", None),
    ),
    Case(
        "more was charged than is due now: no action, and no credit",
        (of("300.00"), [late("1000.00")]),
        (None, None),
    ),
    Case("a late charge is never made twice", (LATE_ONLY, [late("1000.00")]), (None, None)),
    Case(
        "not even after it was withdrawn",
        (LATE_ONLY, [late("1000.00", is_standing=False)]),
        (None, None),
    ),
    Case(
        "an out-of-stock charge is never made twice",
        (NOW_OUT_OF_STOCK, [out_of_stock("2000.00")]),
        (None, None),
    ),
    Case(
        "not even after it was reversed, and nothing for lateness in its stead",
        (NOW_OUT_OF_STOCK, [out_of_stock("2000.00", is_standing=False)]),
        (None, None),
    ),
    Case(
        "late, with an out-of-stock charge that stands, though no longer shown as cancelled",
        (LATE_ONLY, [out_of_stock("2000.00")]),
        (None, None),
    ),
    Case(
        "late, with an out-of-stock charge that was withdrawn",
        (LATE_ONLY, [out_of_stock("2000.00", is_standing=False)]),
        (None, None),
    ),
    Case(
        "a returns charge on the same item is none of the family",
        (
            NOW_OUT_OF_STOCK,
            [{"rule": "returns_charge", "amount": "1500.00", "is_standing": True}],
        ),
        ("2000.00", None),
    ),
]


@pytest.fixture(scope="module")
def after_earlier_cycles(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    marketplace = Marketplace()
    for sentence, (item, charges), _ in EARLIER:
        marketplace.item({"order_item_id": sentence, **item})
        for charge in charges:
            marketplace.remember("charges", order_item_id=sentence, **charge)
    return marketplace.decide(tmp_path_factory.mktemp("earlier"), OUT_OF_STOCK, LATE)


@each(EARLIER)
def test_the_family_together_never_exceeds_the_out_of_stock_amount(
    after_earlier_cycles: Decided, sentence: str, expected: Amounts
) -> None:
    assert amounts(after_earlier_cycles, sentence) == decimals(expected)


def test_a_difference_states_what_was_deducted(after_earlier_cycles: Decided) -> None:
    sentence = "a late charge stands: the out-of-stock charge is the difference"
    row = after_earlier_cycles.row(OUT_OF_STOCK, order_item_id=sentence)
    assert row is not None
    assert row["late_charge_deducted"] == Decimal("1000.00")


# --- the policy in force on the event's date ------------------------------------------------------

# Amended from Wednesday 2026-11-11, within the observed week; commission 2,000.00.
DATED = [
    Case(
        "the last microsecond of Tuesday has the old cap",
        Item(cancelled_at="Tue 08:00", cancel_reason="out_of_stock"),
        ("2500.00", None),
    ),
    Case(
        "Wednesday 00:00 has the new one",
        Item(cancelled_at="Wed 00:00", cancel_reason="out_of_stock", ready_to_ship_at="Mon 10:00"),
        ("3000.00", None),
    ),
    Case(
        "Wednesday 00:30 is Wednesday here, though still Tuesday in UTC",
        Item(cancelled_at="Wed 00:30", cancel_reason="out_of_stock", ready_to_ship_at="Mon 10:00"),
        ("3000.00", None),
    ),
    Case("due on Tuesday has the old multiple", Item(), (None, "2000.00")),
    Case(
        "due on Wednesday 00:00 has the new one, whenever it was ordered",
        Item(pending_at="Tue 00:00"),
        (None, "1000.00"),
    ),
]


@pytest.fixture(scope="module")
def under_an_amended_policy(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    folder = tmp_path_factory.mktemp("dated")
    policy = amended(
        folder,
        ("out_of_stock_charge.cap", "2026-11-11", "3000"),
        ("late_fulfilment_charge.commission_multiple", "2026-11-11", "0.5"),
        ("out_of_stock_charge.exempt_first_days", "2026-11-11", "60"),
    )
    marketplace = Marketplace(policy=policy)
    for sentence, item, _ in DATED:
        marketplace.item({"order_item_id": sentence, "commission": "2000.00", **item})
    seller = marketplace.seller(onboarded_at="2026-10-01T00:00")
    for day in ("Tue 08:00", "Wed 08:00"):
        item = Item(seller_id=seller, cancelled_at=day, cancel_reason="out_of_stock")
        marketplace.item({"order_item_id": f"40 days old on {day}", **item})
    return marketplace.decide(folder, OUT_OF_STOCK, LATE)


@each(DATED)
def test_the_policy_of_the_events_local_date_decides(
    under_an_amended_policy: Decided, sentence: str, expected: Amounts
) -> None:
    assert amounts(under_an_amended_policy, sentence) == decimals(expected)


@pytest.mark.parametrize(
    ("order_item_id", "expected"),
    [("40 days old on Tue 08:00", "2000.00"), ("40 days old on Wed 08:00", None)],
)
def test_the_exemption_is_that_of_the_events_local_date(
    under_an_amended_policy: Decided, order_item_id: str, expected: str | None
) -> None:
    charged = amounts(under_an_amended_policy, order_item_id)[0]
    assert charged == (expected and Decimal(expected))


def test_the_highest_commission_that_the_warehouse_can_hold_is_capped_like_any(
    tmp_path: Path,
) -> None:
    marketplace = Marketplace()
    marketplace.item(
        Item(
            order_item_id="absurd",
            commission="999999999999.99",
            cancelled_at="Mon 18:00",
            cancel_reason="out_of_stock",
        )
    )
    assert amounts(marketplace.decide(tmp_path, OUT_OF_STOCK, LATE), "absurd") == (
        Decimal("2500.00"),
        None,
    )
