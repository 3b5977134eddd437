"""Rulebook §14: each code that an item's charge rule may have, with what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from answers.evaluator import RULES, Evaluator
from answers.read import exported, raw_tables
from rules.marketplace import Item, amended
from slots.claims.cases import Desk, new_desk
from slots.whole_slots import GOOD, OLD

from vibes_pipeline.answers.items import explain_item, write_all
from vibes_pipeline.answers.moment import Moment

STOCK, LATE, RETURN, CHECK, FAKE = RULES
READY = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00")
GONE = Item(cancelled_at="Tue 10:00", cancel_reason="out_of_stock")
BACK = Item(return_reason="wrong_item")
# The alert of the first cycle is over: the next one's week runs.
AT = "Thu+1 12:00"


class Told(NamedTuple):
    """An item, what a rule says of it and a part of the text."""

    item: str
    columns: Item
    rule: str
    code: str
    text: str
    cycle: int | None = None
    claim: str | None = None


TOLD = [
    Told("charged", {**READY, **GONE}, STOCK, "acted", "of cycle 2026-11-09", 0),
    Told("bad", {**READY, "commission": "-1.00"}, STOCK, "set_aside", "commission is negative"),
    Told("calm", GOOD, STOCK, "no_event", "not cancelled as out of stock"),
    Told("calm", GOOD, RETURN, "no_event", "not returned for quality"),
    Told("calm", GOOD, CHECK, "no_event", "no failed check"),
    Told("calm", GOOD, FAKE, "no_event", "no proven counterfeit case"),
    Told("calm", GOOD, LATE, "in_time", "ready to ship at Mon 2026-11-09 10:00, by its deadline"),
    Told(
        "called off",
        {"cancelled_at": "Mon 18:00", "cancel_reason": "other"},
        LATE,
        "cancelled_in_time",
        "cancelled at Mon 2026-11-09 18:00, before its deadline Tue 2026-11-10 09:00",
    ),
    Told("new order", {"pending_at": "Thu+1 10:00"}, LATE, "not_due", "Fri 2026-11-20 10:00"),
    Told(
        "excused", {**READY, **GONE}, STOCK, "excused", "claim C-upheld, upheld", claim="C-upheld"
    ),
    Told("of the new", {**READY, **GONE}, STOCK, "new_seller", "the seller's first 30 days"),
    Told(
        "long ago",
        {**OLD, **BACK, "returned_at": "Sun-1 23:59"},
        RETURN,
        "before_first_cycle",
        "before this ledger's first cycle, 2026-11-09",
    ),
    Told("not told", OLD, FAKE, "not_notified", "its seller was never notified"),
    Told("told late", OLD, FAKE, "evidence_open", "evidence until Sat 2026-11-21 00:00"),
    Told("held", OLD, FAKE, "held", "claim C-held is complete and undecided", claim="C-held"),
    Told("late and gone", GONE | {"cancelled_at": "Wed 10:00"}, LATE, "in_family", "out-of-stock"),
    Told(
        "late, then gone",
        {"commission": "2500.00", "cancelled_at": "Wed+1 12:00", "cancel_reason": "out_of_stock"},
        STOCK,
        "in_family",
        "the late charge that stands leaves no difference",
    ),
    Told("for free", {**READY, **GONE, "commission": "0.00"}, STOCK, "no_amount", "₦0.00"),
    Told("came late", {**READY, **GONE}, STOCK, "too_late", "cycle 2026-11-16 does not take it in"),
    Told(
        "this week",
        {**READY, **GONE, "cancelled_at": "Tue+1 10:00", "commission": "900.00"},
        STOCK,
        "awaits_cycle",
        "₦1,800.00 for the event of Tue 2026-11-17 10:00 in cycle 2026-11-16, "
        "whose alert is due Wed 2026-11-25 07:00",
        1,
    ),
]
LOADED_LATER = ("came late",)


@pytest.fixture(scope="module")
def asked(administration: sa.Engine) -> Iterator[Desk]:
    """The marketplace of the cases, whose first cycle is decided; nothing is late by a day more."""
    with new_desk(administration) as desk:
        desk.policy = amended(
            desk.home,
            ("late_data.late_arrival_days", "2016-01-02", "0"),
            ("warehouse.bad_row_limit_pct", "2016-01-02", "100"),
        )
        desk.seller("S")
        desk.seller("New", onboarded_at="Mon-2 09:00")
        add(desk, {told.item: told for told in TOLD if told.item not in LOADED_LATER})
        desk.market.counterfeit_case("not told", notified_at=None)
        desk.market.counterfeit_case(
            "told late", notified_at="Wed+1 10:00", proven_at="Thu+1 08:00"
        )
        # The case that comes furthest answers.
        desk.market.counterfeit_case("held", notified_at=None)
        desk.market.counterfeit_case("held", notified_at="Mon 10:00", proven_at="Thu 10:00")
        order = {"order_number": "O-held", "sku": "K-S"}
        desk.claim("C-held", "S", "counterfeit", raised_at="Tue 10:00", **order)
        desk.upheld(
            "C-upheld", "S", "Mon+1 10:00", category="vibes_action", order_number="O-excused"
        )
        desk.alert()
        add(desk, {told.item: told for told in TOLD if told.item in LOADED_LATER})
        yield desk


def add(desk: Desk, cases: dict[str, Told]) -> None:
    for item, told in cases.items():
        desk.item("New" if item == "of the new" else "S", item, told.columns)


def moment(desk: Desk, at: str = AT) -> Moment:
    return Moment.of(desk.ledger, desk.settings(), desk.policy, desk.market.at(at))


@pytest.fixture(scope="module")
def answered(asked: Desk) -> dict[tuple[str, str], dict[str, Any]]:
    """Every item's records by item and rule."""
    file = asked.home / "all.jsonl"
    write_all(moment(asked), file)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["order_item_id"] for line in lines] == sorted({told.item for told in TOLD})
    return {(line["order_item_id"], rule["rule"]): rule for line in lines for rule in line["rules"]}


@pytest.mark.parametrize("told", TOLD, ids=lambda told: f"{told.code}: {told.item}, {told.rule}")
def test_each_code_is_told_with_what_belongs_to_it(
    answered: dict[tuple[str, str], dict[str, Any]], asked: Desk, told: Told
) -> None:
    record = answered[told.item, told.rule]
    assert record["code"] == told.code
    assert told.text in record["text"]
    assert record["claim"] == told.claim
    monday = asked.market.monday
    assert record["cycle"] == (
        None if told.cycle is None else str(monday.fromordinal(monday.toordinal() + 7 * told.cycle))
    )
    is_acted = told.code == "acted"
    assert record["action"] == (asked.reference(told.rule, told.item) if is_acted else None)


def test_one_item_is_answered_as_among_all(
    answered: dict[tuple[str, str], dict[str, Any]], asked: Desk
) -> None:
    at = moment(asked)
    for item in ("held", "late and gone", "bad"):
        answer = explain_item(at, item)
        assert answer["order_item_id"] == item
        assert answer["rules"] == [answered[item, rule] for rule in RULES]


def test_the_slow_evaluator_says_the_same(
    answered: dict[tuple[str, str], dict[str, Any]], asked: Desk
) -> None:
    settings = asked.settings()
    evaluator = Evaluator(
        raw_tables(settings.warehouse),
        exported(asked.ledger, asked.policy, settings.lake),
        asked.policy,
        asked.market.at(AT),
    )
    told = {
        (item, r): a.code for item in evaluator.known() for r, a in evaluator.answers(item).items()
    }
    assert told == {key: record["code"] for key, record in answered.items()}


def test_an_item_that_the_warehouse_does_not_know_is_unknown_unless_it_was_acted_on(
    asked: Desk,
) -> None:
    at = moment(asked)
    assert {r["code"] for r in explain_item(at, "never\0heard of")["rules"]} == {"unknown"}
    rows = asked.market.raw["order_items"]
    lost = asked.row("order_items", "charged")
    rows.remove(lost)
    try:
        codes = {r["rule"]: r["code"] for r in explain_item(moment(asked), "charged")["rules"]}
    finally:
        rows.append(lost)
    assert codes == {**dict.fromkeys(RULES, "unknown"), STOCK: "acted"}


def test_of_the_past_only_is_said_what_was_known_then(asked: Desk) -> None:
    codes = {
        at: {r["rule"]: r["code"] for r in explain_item(moment(asked, at), "charged")["rules"]}
        for at in ("Mon 08:59", "Mon 09:00", "Tue 10:00", "Wed+1 06:59", "Wed+1 07:00")
    }
    assert [code[STOCK] for code in codes.values()] == [
        *("unknown", "no_event", "awaits_cycle", "awaits_cycle", "acted"),
    ]
    assert [code[LATE] for code in codes.values()] == ["unknown", "not_due", *["in_time"] * 3]
    before_the_claim = explain_item(moment(asked, "Mon+1 09:00"), "excused")["rules"][0]
    assert before_the_claim["code"] == "awaits_cycle"


def test_hostile_ids_are_valid_json_and_harmless_text(desk: Desk, tmp_path: Path) -> None:
    item, claim = "I-\x1b[2J\u202e\n7", "C-\x1b]0;x\x07"
    desk.item(desk.seller("S"), item, {**READY, **GONE, "order_number": "O-1"})
    desk.upheld(claim, "S", "Wed 10:00", category="vibes_action", order_number="O-1")
    desk.settle("Wed 10:00")
    answer = explain_item(moment(desk), item)
    assert answer["order_item_id"] == item
    assert answer["rules"][0]["code"] == "excused"
    assert answer["rules"][0]["text"].isprintable()
    write_all(moment(desk), tmp_path / "all.jsonl")
    (line,) = (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"order_item_id": item, "rules": answer["rules"]}
