"""What an upheld claim cancels, and what it leaves: by category, by reference, at each time (§11).

All cases share one course of slots over one marketplace: each has a seller of its own, whose items
bear every charge and both late cancellations, and says what of that falls by its claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from rules.marketplace import Item
from slots.claims.cases import Desk, burden, new_desk, order, sku

OOS, LATE = "out_of_stock_charge", "late_fulfilment_charge"
RETURN, CHECK, FAKE = "returns_charge", "dropoff_qc_charge", "counterfeit_charge"
PENDING, READY = "late_pending_cancellation", "late_ready_to_ship_cancellation"
ORDERS, SALES = "order_regulation", "sales_regulation"
DAILY = {PENDING, READY}

# When a claim is raised and upheld, after which slots: the first late alert is on Thursday 06:00, the
# weekly alert on Wed+1, its implementation on Sat+1.
BEFORE_ALL, BETWEEN_LATE, BEFORE_ALERT, BETWEEN, AFTER = (
    "Wed 12:00",
    "Thu 12:00",
    "Tue+1 12:00",
    "Thu+1 12:00",
    "Mon+2 12:00",
)
MOMENTS = (BEFORE_ALL, BETWEEN_LATE, BEFORE_ALERT, BETWEEN, AFTER)
CYCLE, DEBITED, CREDITED = "2026-11-09", "2026-11-16", "2026-11-23"

Struck = tuple[str, str]

# --- the seller of each case ----------------------------------------------------------------------

# What the items that `burden` gives each seller bear when nobody claims.
BORNE: dict[Struck, Decimal | None] = {
    (LATE, "1"): Decimal("1000.00"),
    (CHECK, "1"): Decimal("3000.00"),
    (RETURN, "1"): Decimal("1500.00"),
    (FAKE, "1"): Decimal("50000.00"),
    (OOS, "2"): Decimal("2000.00"),
    (LATE, "3"): Decimal("900.00"),
    (PENDING, "3"): None,
    (READY, "4"): None,
    (ORDERS, ""): None,
    (SALES, "K3"): None,
}
LATENESS = {(LATE, "1"), (LATE, "3"), (PENDING, "3"), (READY, "4")}
STOCK = {(OOS, "2"), (ORDERS, "")}  # without it no item of the week was cancelled
OF_THE_ORDER = BORNE.keys() - {(SALES, "K3")}  # items 5 and 6 are of another one

# --- the cases ------------------------------------------------------------------------------------


class Told(NamedTuple):
    """Columns of a claim, or what gives them for the case's seller."""

    category: str
    columns: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    of: str = "1"  # the item whose order, and for some SKU, is stated
    with_sku: bool = False
    reference: Struck | None = None


@dataclass(frozen=True)
class Claimed:
    """A case: a claim, upheld at some moments, and what of `BORNE` falls by it."""

    sentence: str
    told: Told
    falls: set[Struck]
    moments: tuple[str, ...] = (BETWEEN, AFTER)
    is_matched: bool = True
    decision: str = "upheld"
    changes: dict[str, Item] = field(default_factory=dict)


BILL = {"statement_period": DEBITED}

CASES = [
    Claimed(
        "a counterfeit claim excuses the finding and nothing else",
        Told("counterfeit", with_sku=True),
        {(FAKE, "1")},
        MOMENTS,
    ),
    Claimed(
        "a claim about SEKO excuses lateness and the check at drop-off",
        Told("seko_warehouse"),
        LATENESS | {(CHECK, "1")},
        MOMENTS,
    ),
    Claimed(
        "a claim about SEKO that states a SKU is about that product only",
        Told("seko_warehouse", with_sku=True),
        (LATENESS | {(CHECK, "1")}) - {(READY, "4")},
    ),
    Claimed(
        "a lost package is redirected, but a person's decision stands",
        Told("seko_warehouse", {"reason": "package_loss"}),
        LATENESS | {(CHECK, "1")},
    ),
    Claimed(
        "a wrong order excuses stock and lateness of the SKU",
        Told("cancel_wrong_orders", with_sku=True),
        (STOCK | LATENESS) - {(READY, "4")},
        MOMENTS,
    ),
    Claimed(
        "a claim about actions that names no rule excuses all events of the order",
        Told("vibes_action"),
        set(OF_THE_ORDER),
        MOMENTS,
    ),
    Claimed(
        "a reason that is no rule's name is about nothing",
        Told("vibes_action", {"reason": "it rained"}),
        set(),
        is_matched=False,
    ),
    Claimed(
        "with a SKU it excuses all events of that product only",
        Told("vibes_action", of="4", with_sku=True),
        {(READY, "4")},
    ),
    Claimed(
        "about another order it touches this one's actions not at all",
        Told("vibes_action", of="5"),
        {(SALES, "K3")},
        MOMENTS,
    ),
    *(
        Claimed(
            f"named as reason, {rule} excuses what it rests on",
            Told("vibes_action", {"reason": rule}),
            falls,
        )
        for rule, falls in {
            ORDERS: STOCK | LATENESS,
            OOS: STOCK,
            LATE: LATENESS,
            RETURN: {(RETURN, "1")},
            CHECK: {(CHECK, "1")},
            FAKE: {(FAKE, "1")},
            SALES: {(RETURN, "1")},
            "product_delisting": {(RETURN, "1")},
            "account_delisting": {(RETURN, "1"), (CHECK, "1"), (FAKE, "1")},
            PENDING: LATENESS,
            READY: LATENESS,
        }.items()
    ),
    Claimed(
        "named as reason, sales_regulation excuses the order's rejections",
        Told("vibes_action", {"reason": SALES}, of="5"),
        {(SALES, "K3")},
    ),
    *(
        Claimed(
            f"a reference of {rule} on item {item or 'none'} is about that action",
            # What else the claim states does not matter then.
            Told("seko_warehouse", {"sku": None}, reference=(rule, item)),
            falls,
            (BETWEEN_LATE, BEFORE_ALERT, BETWEEN, AFTER) if rule in DAILY else (BETWEEN, AFTER),
        )
        for (rule, item), falls in {
            (OOS, "2"): STOCK,
            (LATE, "1"): {(LATE, "1")},
            (LATE, "3"): {(LATE, "3"), (PENDING, "3")},
            (PENDING, "3"): {(LATE, "3"), (PENDING, "3")},
            (READY, "4"): {(READY, "4")},
            (RETURN, "1"): {(RETURN, "1")},
            (CHECK, "1"): {(CHECK, "1")},
            (FAKE, "1"): {(FAKE, "1")},
            (ORDERS, ""): {(ORDERS, "")},
            (SALES, "K3"): {(SALES, "K3")},
        }.items()
    ),
    Claimed(
        "a reference is found however it is written",
        Told("vibes_action", {"action_reference": "  {reference} "}, reference=(RETURN, "1")),
        {(RETURN, "1")},
    ),
    Claimed(
        "a reference that the ledger does not know yet is about nothing",
        Told("vibes_action", reference=(RETURN, "1")),
        set(),
        (BEFORE_ALL, BEFORE_ALERT),
        is_matched=False,
    ),
    Claimed(
        "a reference that does not exist is about nothing",
        Told("vibes_action", {"action_reference": "NG-ABCDEFGH"}),
        set(),
        MOMENTS,
        is_matched=False,
    ),
    Claimed(
        "a penalty on the bill excuses the event of the one charge with its amount",
        Told("bill_problem", {**BILL, "amount": "3000.00"}),
        {(CHECK, "1")},
        (AFTER,),
    ),
    Claimed(
        "the event of a penalty on the bill may bear more than that charge",
        Told("bill_problem", {**BILL, "amount": "900.00"}),
        {(LATE, "3"), (PENDING, "3")},
        (AFTER,),
    ),
    Claimed(
        "a penalty that is not debited yet is on no bill",
        Told("bill_problem", {**BILL, "amount": "3000.00"}),
        set(),
        (BEFORE_ALL, BEFORE_ALERT, BETWEEN),
        is_matched=False,
    ),
    Claimed(
        "of two charges with the amount nobody knows which is meant",
        Told("bill_problem", {**BILL, "amount": "1000.00"}),
        set(),
        (AFTER,),
        is_matched=False,
        changes={"item_3": Item(commission="1000.00")},
    ),
    Claimed(
        "a penalty of another amount is no charge of the seller's",
        Told("bill_problem", {**BILL, "amount": "3000.01"}),
        set(),
        (AFTER,),
        is_matched=False,
    ),
    *(
        Claimed(
            f"the statement period {period!r} is not that of the debit",
            Told("bill_problem", {"statement_period": period, "amount": "3000.00"}),
            set(),
            (AFTER,),
            is_matched=False,
        )
        for period in (CYCLE, CREDITED, "2026-11-17", "November", "2026-11-16; --")
    ),
    *(
        Claimed(
            f"a claim about {kind} on the bill excuses nothing",
            Told("bill_problem", {**BILL, "amount": "3000.00", "transaction_type": kind}),
            set(),
            (AFTER,),
        )
        for kind in ("commission", "subsidy", "delayed_receivable")
    ),
    Claimed(
        "a claim about another bill item that bears a reference is about that action",
        Told("bill_problem", {"transaction_type": "commission"}, reference=(CHECK, "1")),
        {(CHECK, "1")},
    ),
    *(
        Claimed(
            f"a rejected claim cancels nothing: {what}",
            told,
            set(),
            MOMENTS,
            decision="rejected",
        )
        for what, told in {
            "about all events of an order": Told("vibes_action"),
            "about a counterfeit finding": Told("counterfeit", with_sku=True),
            "about one action": Told("vibes_action", reference=(ORDERS, "")),
        }.items()
    ),
    Claimed(
        "an order of another shop is about nothing",
        Told("vibes_action", {"order_number": "O-victim-a"}),
        set(),
        MOMENTS,
        is_matched=False,
    ),
    Claimed(
        "an order of another shop is about nothing, in whatever category",
        Told("seko_warehouse", {"order_number": "O-victim-a"}),
        set(),
        is_matched=False,
    ),
    Claimed(
        "a SKU of another shop is about nothing",
        Told("vibes_action", {"sku": "victim-K"}),
        set(),
        is_matched=False,
    ),
    Claimed(
        "a reference of another shop's action is about nothing",
        Told("vibes_action", {"action_reference": "{victim}"}),
        set(),
        is_matched=False,
    ),
    Claimed(
        "an order that nobody knows is about nothing",
        Told("vibes_action", {"order_number": "O-nowhere"}),
        set(),
        is_matched=False,
    ),
    Claimed(
        "a claim that does not say what it is about is about nothing",
        Told("vibes_action", {"order_number": None}),
        set(),
        is_matched=False,
    ),
    Claimed(
        "an incomplete claim that is upheld all the same is about its order",
        Told("seko_warehouse", {"tracking_number": None, "attachments": None}),
        LATENESS | {(CHECK, "1")},
    ),
    Claimed(
        "a claim of no known category is about nothing",
        Told("refund"),
        set(),
        is_matched=False,
    ),
]
SELLERS = {
    (case.sentence, moment): f"S{number}"
    for number, (case, moment) in enumerate((c, m) for c in CASES for m in c.moments)
}


assert len(SELLERS) == sum(len(case.moments) for case in CASES), "two cases bear one sentence"


def what_becomes(struck: Struck, moment: str) -> str | None:
    """The state of an action that falls by a claim upheld at the moment; None: it never was."""
    if struck[0] in DAILY:
        early = {BEFORE_ALL: None, BETWEEN_LATE: "withdrawn"}
        return early.get(moment, "reversed")
    return {BETWEEN: "withdrawn", AFTER: "reversed"}.get(moment)


def subject(seller: str, struck: str) -> str:
    return f"{seller}-{struck}" if struck else seller


def stated(desk: Desk, seller: str, told: Told) -> dict[str, Any]:
    """The claim's columns, for the seller of a case."""
    columns: dict[str, Any] = {"order_number": order(seller, told.of)}
    if told.with_sku:
        columns["sku"] = sku(seller, told.of)
    if told.category == "bill_problem":
        columns = {}
    columns |= told.columns
    words = {"victim": reference(desk, "victim", (RETURN, "1"))}
    if told.reference:
        words["reference"] = reference(desk, seller, told.reference)
        columns = {"action_reference": "{reference}", **columns}
    if columns.get("action_reference"):
        columns["action_reference"] = columns["action_reference"].format(**words)
    return columns


def reference(desk: Desk, seller: str, struck: Struck) -> str:
    return desk.reference(struck[0], subject(seller, struck[1]))


@pytest.fixture(scope="module")
def course(administration: sa.Engine) -> Iterator[Desk]:
    """Every case's seller and claim, and the slots of two weeks, one after the other."""
    with new_desk(administration) as desk:
        burden(desk, "victim")
        for case in CASES:
            for moment in case.moments:
                seller = SELLERS[case.sentence, moment]
                burden(desk, seller, **case.changes)
                claim_id = f"C-{seller}"
                columns = stated(desk, seller, case.told)
                desk.claim(claim_id, seller, case.told.category, raised_at=moment, **columns)
                desk.decide(claim_id, case.decision, moment)
        desk.settle(BEFORE_ALL)
        desk.late_alert("Thu 06:00")
        desk.settle(BETWEEN_LATE)
        desk.late_cancel("Thu 23:00")
        desk.settle(BEFORE_ALERT)
        desk.alert()
        desk.settle(BETWEEN)
        desk.implement()
        desk.settle(AFTER)
        yield desk


def test_a_seller_who_claims_nothing_bears_all_of_it(course: Desk) -> None:
    assert course.states("victim") == {
        (rule, subject("victim", struck)): "implemented" for rule, struck in BORNE
    }
    assert [posting[1:4] for posting in course.postings("victim")] == [
        ("debit", amount, DEBITED)
        for _, amount in sorted(
            ((item, rule), amount) for (rule, item), amount in BORNE.items() if amount is not None
        )
    ]


@pytest.mark.parametrize(
    ("case", "moment"),
    [
        pytest.param(case, moment, id=f"{case.sentence} ({moment})")
        for case in CASES
        for moment in case.moments
    ],
)
def test_what_rests_on_it_falls_and_the_rest_stays(
    course: Desk, case: Claimed, moment: str
) -> None:
    seller = SELLERS[case.sentence, moment]
    claim_id = f"C-{seller}"
    fates = {
        struck: what_becomes(struck, moment) if struck in case.falls else "implemented"
        for struck in BORNE
    }
    assert course.states(seller) == {
        (rule, subject(seller, struck)): fate
        for (rule, struck), fate in fates.items()
        if fate is not None
    }
    assert course.claim_state(claim_id) == (case.decision, case.is_matched)
    credited = [posting for posting in course.postings(seller) if posting[1] == "reversal"]
    amounts = {**BORNE, **({(LATE, "3"): Decimal("1000.00")} if case.changes else {})}
    assert sorted(credited) == sorted(
        (subject(seller, struck), "reversal", -amount, CREDITED, claim_id)
        for (rule, struck), fate in fates.items()
        if fate == "reversed" and (amount := amounts[rule, struck]) is not None
    )


def test_every_slot_run_again_finds_nothing_to_do(course: Desk) -> None:
    before = course.contents()
    again = course.settle(AFTER)
    assert not again.states
    assert (again.actions_undone, again.accounts_kept) == (0, 0)
    course.implement(at="Mon+2 12:00")
    course.alert(at="Mon+2 12:00")
    assert course.contents() == before
