"""Rulebook §2: just before implementation each charge's evidence is looked up again.

Shown, contradicted and missing are told apart; what a slot then does is in `test_evidence_waiting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from marketplace import Case, Decided, Item, Marketplace, Row, each

EVIDENCE = "enforcement.evidence"
SHOWN, CONTRADICTED, MISSING = "shown", "contradicted", "missing"
CHARGED, OTHER, KENYAN = "S-charged", "S-other", "S-kenyan"

# The charges were proposed on Wednesday; it is Saturday 09:00 now. An old item, so that nothing but
# its charge keeps it in sight.
OLD = Item(pending_at="2026-06-01T09:00", ready_to_ship_at="2026-06-01T10:00")
STOCKLESS: Item = {**OLD, "cancelled_at": "Tue 10:00", "cancel_reason": "out_of_stock"}
RETURNED: Item = {**OLD, "returned_at": "Tue 10:00", "return_reason": "wrong_item"}
LATE = Item(pending_at="Mon 09:00", ready_to_ship_at="Wed 10:00")


@dataclass(frozen=True)
class Charge:
    """An open charge, and the rows that the warehouse holds now.

    `named` is the check or the case that the charge names, of those with that `id`.
    """

    rule: str
    reason: str
    item: Item | None
    others: Sequence[Row] = ()
    named: str | None = None
    copies: Sequence[Item] = ()


def stockless(**changes: object) -> Charge:
    return Charge("out_of_stock_charge", "out_of_stock", {**STOCKLESS, **changes})  # type: ignore[typeddict-item]


def late(**changes: object) -> Charge:
    return Charge("late_fulfilment_charge", "late", {**LATE, **changes})  # type: ignore[typeddict-item]


def returned(**changes: object) -> Charge:
    return Charge("returns_charge", "wrong_item", {**RETURNED, **changes})  # type: ignore[typeddict-item]


def failed(*checks: Row, named: str | None = "Q", item: Item | None = OLD) -> Charge:
    """A charge for the check `named`, None where it was frozen before charges named theirs."""
    return Charge("dropoff_qc_charge", "wrong_item", item, checks, named)


def counterfeit(*cases: Row, named: str | None = "F", item: Item | None = OLD) -> Charge:
    return Charge("counterfeit_charge", "counterfeit", item, cases, named)


def check(row_id: str = "Q", **columns: object) -> Row:
    """A check of the item, or of the one that `of` names."""
    return {"id": row_id, **columns}


def case(row_id: str = "F", **columns: object) -> Row:
    """A case on the item, or on the one that `of` names."""
    return {"id": row_id, **columns}


OF_ITEMS = [
    Case("still out of stock", stockless(), SHOWN),
    Case("the cancel reason was corrected", stockless(cancel_reason="customer_request"), CONTRADICTED),
    Case("the cancellation was undone", stockless(cancelled_at=None), CONTRADICTED),
    Case("the cancellation was moved to another day", stockless(cancelled_at="Thu 10:00"), SHOWN),
    Case("still late", late(), SHOWN),
    Case("it had been ready in time", late(ready_to_ship_at="Tue 09:00"), CONTRADICTED),
    Case(
        "it had been cancelled in time",
        late(cancelled_at="Mon 12:00", cancel_reason="other"),
        CONTRADICTED,
    ),
    Case("ready only since the alert: late none the less", late(ready_to_ship_at="Thu+1 10:00"), SHOWN),
    Case(
        "cancelled since the alert: likewise",
        late(ready_to_ship_at=None, cancelled_at="Thu+1 10:00", cancel_reason="late_pending"),
        SHOWN,
    ),
    Case("still returned", returned(), SHOWN),
    Case("the return was undone", returned(returned_at=None), CONTRADICTED),
    Case("the return was no matter of quality", returned(return_reason="change_of_mind"), CONTRADICTED),
    Case(
        "the return's reason was corrected to another chargeable one",
        returned(return_reason="used_refurbished"),
        CONTRADICTED,
    ),
    Case("it is returned only after this instant", returned(returned_at="Sun+1 10:00"), CONTRADICTED),
    Case("the item is another seller's by now", returned(seller_id=OTHER), CONTRADICTED),
    Case("the out-of-stock item likewise", stockless(seller_id=OTHER), CONTRADICTED),
    Case("the late item likewise", late(seller_id=OTHER), CONTRADICTED),
    Case("the item is a seller's of another country by now", returned(seller_id=KENYAN), CONTRADICTED),
    Case("the item is not there", Charge("returns_charge", "wrong_item", None), MISSING),
    Case("the out-of-stock item is a bad row now", stockless(commission=None), MISSING),
    Case("the late item is a bad row now", late(pending_at=None), MISSING),
    Case("the item's seller is not there", returned(seller_id="S-nobody"), MISSING),
    Case("the item's product is not there", returned(sku="K-nothing"), MISSING),
    Case("its SKU is another seller's", returned(sku="K-other"), MISSING),
    Case("the item is there twice", Charge("returns_charge", "wrong_item", RETURNED, copies=[RETURNED]), MISSING),
]  # fmt: skip

OF_CHECKS = [
    Case("the check is still failed", failed(check()), SHOWN),
    Case("the check is passed now", failed(check(result="passed")), CONTRADICTED),
    Case("the check's reason was corrected", failed(check(failure_reason="defective_item")), CONTRADICTED),
    Case("the check is another item's", failed(check(of="an item of its own")), CONTRADICTED),
    Case("the check comes only after this instant", failed(check(checked_at="Sun+1 10:00")), CONTRADICTED),
    Case("its item is another seller's", failed(check(), item={**OLD, "seller_id": OTHER}), CONTRADICTED),
    Case(
        "failed again since, for another reason",
        failed(check(), check("Q2", checked_at="Thu 10:00", failure_reason="used_refurbished")),
        SHOWN,
    ),
    Case(
        "an earlier failure for another reason came to light: the check still failed",
        failed(check(), check("Q0", checked_at="Mon 10:00", failure_reason="used_refurbished")),
        SHOWN,
    ),
    Case("passed now, though another failed alike", failed(check(result="passed"), check("Q2")), CONTRADICTED),
    Case("the check is not there", failed(), MISSING),
    Case("the check is not there, though another failed alike", failed(check("Q2")), MISSING),
    Case("the check is a bad row now", failed(check(result="unclear")), MISSING),
    Case("the check is there twice", failed(check(), check()), MISSING),
    Case("the check is there, its item is not", failed(check(), item=None), MISSING),
    Case("a charge that names no check: any of its item serves", failed(check("Q7"), named=None), SHOWN),
    Case("also one for another reason before it", failed(check("Q6", checked_at="Mon 10:00", failure_reason="defective_item"), check("Q7"), named=None), SHOWN),
    Case("no check of its item is failed", failed(check("Q7", result="passed"), named=None), CONTRADICTED),
    Case("its item has no check", failed(named=None), MISSING),
]  # fmt: skip

OF_CASES = [
    Case("the case is still proven", counterfeit(case()), SHOWN),
    Case("the case is no longer proven", counterfeit(case(proven_at=None)), CONTRADICTED),
    Case("the notification was taken back", counterfeit(case(notified_at=None)), CONTRADICTED),
    Case("neither is known any more", counterfeit(case(notified_at=None, proven_at=None)), CONTRADICTED),
    Case("the case is another item's", counterfeit(case(of="another item of its own")), CONTRADICTED),
    Case("the accused item is another seller's", counterfeit(case(), item={**OLD, "seller_id": OTHER}), CONTRADICTED),
    Case("another case was proven before it", counterfeit(case(), case("F0", proven_at="Mon 09:00", notified_at="Mon 08:00")), SHOWN),
    Case("withdrawn, though another case is proven", counterfeit(case(proven_at=None), case("F2")), CONTRADICTED),
    Case("the case is not there", counterfeit(), MISSING),
    Case("the case is not there, though another is proven", counterfeit(case("F2")), MISSING),
    Case("the case is there twice", counterfeit(case(), case()), MISSING),
    Case("the case is there, its item is not", counterfeit(case(), item=None), MISSING),
    Case("its item is set aside", counterfeit(case(), item={**OLD, "commission": "-1.00"}), MISSING),
]  # fmt: skip

CHARGES = [*OF_ITEMS, *OF_CHECKS, *OF_CASES]


def furnished() -> Marketplace:
    market = Marketplace()
    for seller, country in ((CHARGED, "NG"), (OTHER, "NG"), (KENYAN, "KE")):
        market.seller(seller_id=seller, country=country)
    market.product(OTHER, sku="K-other")
    return market


def place(market: Marketplace, item_id: str, charge: Charge) -> None:
    """The warehouse's rows of a charge, whose ids begin with its item's."""
    for item in [charge.item, *charge.copies]:
        if item is not None:
            market.item({"seller_id": CHARGED, **item, "order_item_id": item_id})
    for other in charge.others:
        columns = {name: value for name, value in other.items() if name not in ("id", "of")}
        of = item_id
        if "of" in other:
            of = market.item({**OLD, "order_item_id": other["of"]})
        if charge.rule == "counterfeit_charge":
            market.counterfeit_case(of, case_id=f"{item_id} {other['id']}", **columns)
        else:
            market.check(of, qc_id=f"{item_id} {other['id']}", **columns)
    names = {"counterfeit_charge": "case_id", "dropoff_qc_charge": "qc_id"}
    named = {names[charge.rule]: f"{item_id} {charge.named}"} if charge.named else {}
    market.remember(
        "open_charges",
        action_id=item_id,
        rule=charge.rule,
        seller_id=CHARGED,
        order_item_id=item_id,
        reason=charge.reason,
        **named,
    )


@pytest.fixture(scope="module")
def looked_up(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    market = furnished()
    for sentence, charge, _ in CHARGES:
        place(market, sentence, charge)
    # Not charged: an event of its own accord brings nothing here.
    market.item(RETURNED)
    return market.look_up(tmp_path_factory.mktemp("looked_up"), EVIDENCE)


@each(CHARGES, "action", "outcome")
def test_evidence_is_shown_contradicted_or_missing(
    looked_up: Decided, action: str, outcome: str
) -> None:
    row = looked_up.row(EVIDENCE, action_id=action)
    assert row is not None
    assert row["outcome"] == outcome


def test_each_open_charge_and_nothing_else_is_looked_up(looked_up: Decided) -> None:
    actions = sorted(row["action_id"] for row in looked_up.rows(EVIDENCE))
    assert actions == sorted(case.sentence for case in CHARGES)


def test_a_charge_on_one_item_is_not_held_by_another_rules_event(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A failed check is for the same reason as a return, and yet another event."""
    market = furnished()
    place(market, "checked", Charge("returns_charge", "wrong_item", OLD))
    market.check("checked")
    decided = market.look_up(tmp_path_factory.mktemp("crossed"), EVIDENCE)
    assert [row["outcome"] for row in decided.rows(EVIDENCE)] == [CONTRADICTED]


@pytest.mark.parametrize("table", ["order_items", "sellers", "products"])
def test_an_empty_table_makes_every_charge_s_evidence_missing(
    table: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    market = furnished()
    charges = [stockless(), late(), returned(), failed(check()), counterfeit(case())]
    for number, charge in enumerate(charges):
        place(market, f"I-{number}", charge)
    market.raw[table] = []
    decided = market.look_up(tmp_path_factory.mktemp(table), EVIDENCE)
    assert [row["outcome"] for row in decided.rows(EVIDENCE)] == [MISSING] * len(charges)
