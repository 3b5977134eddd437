"""Rulebook §14: one action from the row in the warehouse to the mail, the posting, the reversal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from rules.marketplace import amended
from slots.claims.cases import STOCKLESS, Desk, burden, new_desk, order

from vibes_pipeline.answers.actions import Explained, explain
from vibes_pipeline.answers.moment import Moment
from vibes_pipeline.answers.page import lines
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.actions import SHOWN_COLUMNS

HOSTILE = "S\x1b[2J\u202e-2"
AT = "Wed+2 12:00"
OUT_OF_STOCK, LATE = "out_of_stock_charge", "late_fulfilment_charge"


@pytest.fixture(scope="module")
def asked(administration: sa.Engine) -> Iterator[Desk]:
    """Two sellers who bear everything; of the first a claim is upheld after the implementation."""
    with new_desk(administration) as desk:
        burden(desk, "S-1", item_2={"commission": "900.00"})
        burden(desk, HOSTILE)
        for n in range(3):
            desk.item(
                HOSTILE, f"kept{n}", {"ready_to_ship_at": "Mon 10:00", "shipped_at": "Mon 11:00"}
            )
        desk.seller("S-3")
        for n in range(60):
            desk.item(
                "S-3", f"sent{n}", {"ready_to_ship_at": "Mon 10:00", "shipped_at": "Mon 11:00"}
            )
        for n in range(4):
            desk.item("S-3", f"lost{n}", STOCKLESS)
        desk.late_alert("Thu 06:00")
        desk.late_cancel("Thu 23:00")
        desk.alert()
        desk.implement()
        desk.upheld("C-1", "S-1", "Mon+2 12:00", order_number=order("S-1"), reason="returns_charge")
        desk.settle("Mon+2 12:00")
        yield desk


def moment(desk: Desk) -> Moment:
    return Moment.of(desk.ledger, desk.settings(), desk.policy, desk.market.at(AT))


def one(desk: Desk, rule: str, subject: str) -> Explained:
    (explained,) = explain(moment(desk), desk.reference(rule, subject))
    return explained


def everything(desk: Desk) -> list[Explained]:
    (references,) = zip(*desk.rows(sa.select(schema.actions.c.reference)), strict=True)
    return [explained for name in references for explained in explain(moment(desk), name)]


def test_a_reversed_charge_is_told_from_its_event_to_its_credit(asked: Desk) -> None:
    document = one(asked, "returns_charge", "S-1-1").document
    assert list(document) == [
        *("action", "clause", "facts", "arithmetic", "events", "notices", "postings", "claims"),
        "now",
    ]
    assert list(document["action"]) == list(SHOWN_COLUMNS)
    assert (document["action"]["state"], document["action"]["amount"]) == ("reversed", "1500.00")
    assert document["arithmetic"] == "1500.00"
    (amount,) = (
        value
        for value in document["clause"]["values"]
        if value["key"] == "returns_charge.amounts.wrong_item"
    )
    assert (amount["value"], amount["from"]) == ("1500", "2016-01-01")
    assert amount["references"][0]["sentence"].startswith("Wrong item N1,500")
    assert document["facts"] == {"reason": "wrong_item"}
    assert [(e["state"], e["at"]) for e in document["events"]] == [
        ("proposed", "2026-11-18T07:00:00+01:00"),
        ("alerted", "2026-11-18T07:00:00+01:00"),
        ("implemented", "2026-11-21T09:00:00+01:00"),
        ("reversed", "2026-11-23T12:00:00+01:00"),
    ]
    kinds = [notice["kind"] for notice in document["notices"]]
    assert kinds == ["weekly_alert", "weekly_implementation", "claim_outcome"]
    assert all(n["message_id"].endswith("@marketplace.example>") for n in document["notices"])
    assert [(p["kind"], p["amount"], p["claim_id"]) for p in document["postings"]] == [
        ("debit", "1500.00", None),
        ("reversal", "-1500.00", "C-1"),
    ]
    assert [(c["claim_id"], c["state"]) for c in document["claims"]] == [("C-1", "upheld")]
    assert document["now"] == "shown"


def test_of_every_action_the_arithmetic_evaluates_to_its_amount_or_limit(asked: Desk) -> None:
    told = everything(asked)
    assert len({one.action["rule"] for one in told}) == 9
    assert {one.action["band"] for one in told} == {None, 2, 3}
    for explained in told:
        action = explained.action
        decided = action["daily_order_limit"] if action["amount"] is None else action["amount"]
        arithmetic = explained.document["arithmetic"]
        assert (arithmetic is None) == (decided is None), action["rule"]
        if arithmetic is not None:
            assert Decimal(str(evaluated(arithmetic))) == decided, arithmetic


def evaluated(arithmetic: str) -> Any:
    return eval(arithmetic, {"__builtins__": {}, "min": min, "max": max, "round": round})


def test_a_person_reads_the_arithmetic_written_out(asked: Desk) -> None:
    text = "\n".join(lines(one(asked, OUT_OF_STOCK, "S-1-2")))
    assert "2 × ₦900.00 = ₦1,800.00, at most ₦2,500.00\n" in text
    assert "V: Out-of-stock canceled 2x commission N2500 per item" in text
    text = "\n".join(lines(one(asked, "order_regulation", "S-1")))
    assert "cancellation rate: 1 ÷ 2 = 50.00%, band 3" in text
    assert "\n  2 orders a day, fixed\n" in text
    text = "\n".join(lines(one(asked, "order_regulation", "S-3")))
    assert "50% × 60 shipped orders ÷ 6 fulfilment days = 5.00, rounded down, at least 2: 5" in text
    assert "2 × 5 = 10 orders between pending and shipped" in text


@pytest.mark.parametrize(
    ("rule", "item", "change", "now"),
    [
        ("returns_charge", "1", {"return_reason": "defective_item"}, "contradicted"),
        ("returns_charge", "1", {"commission": "-1.00"}, "missing"),
        (OUT_OF_STOCK, "2", {}, "shown"),
        ("late_pending_cancellation", "3", {}, "shown"),
        ("late_pending_cancellation", "3", {"ready_to_ship_at": "Wed 10:00"}, "contradicted"),
        ("late_pending_cancellation", "3", {"pending_at": None}, "missing"),
    ],
)
def test_it_says_what_the_warehouse_shows_now(
    asked: Desk, rule: str, item: str, change: dict[str, Any], now: str
) -> None:
    row = asked.row("order_items", f"S-1-{item}")
    before = dict(row)
    row.update(change)
    try:
        assert one(asked, rule, f"S-1-{item}").document["now"] == now
    finally:
        row.update(before)


@pytest.mark.parametrize(
    ("rule", "table"),
    [("dropoff_qc_charge", "dropoff_qc"), ("counterfeit_charge", "counterfeit_cases")],
)
def test_a_check_or_a_case_that_is_of_another_item_now_contradicts(
    asked: Desk, rule: str, table: str
) -> None:
    row = next(r for r in asked.market.raw[table] if r["order_item_id"] == "S-1-1")
    row["order_item_id"] = "S-1-2"
    try:
        assert one(asked, rule, "S-1-1").document["now"] == "contradicted"
    finally:
        row["order_item_id"] = "S-1-1"


def test_an_action_is_found_by_every_name_of_what_belongs_to_it(asked: Desk) -> None:
    charge = one(asked, "returns_charge", "S-1-1")
    number = charge.action["action_id"]
    p, n = schema.postings.c, schema.notice_actions.c
    postings = asked.rows(sa.select(p.posting_id).where(p.action_id == number))
    notices = asked.rows(sa.select(n.notice_id).where(n.action_id == number))
    for (name,) in [(number,), *postings]:
        (found,) = explain(moment(asked), str(name))
        assert found.document == charge.document
    assert [e.document for e in explain(moment(asked), charge.action["reference"].lower())] == [
        charge.document
    ]
    for (name,) in [*notices, ("C-1",)]:
        assert number in {e.action["action_id"] for e in explain(moment(asked), str(name))}
    with pytest.raises(UsageError, match="knows no action, posting, notice or claim 'C-0'"):
        explain(moment(asked), "C-0")
    with pytest.raises(UsageError, match="knows no action"):
        explain(moment(asked), str(UUID(int=7)))


def test_what_was_decided_under_a_former_policy_is_told_by_that_one(asked: Desk) -> None:
    before, policy = one(asked, OUT_OF_STOCK, "S-1-2").document, asked.policy
    asked.policy = amended(
        asked.home,
        ("out_of_stock_charge.cap", "2016-01-02", "2000"),
        ("out_of_stock_charge.commission_multiple", "2016-01-02", "3"),
    )
    try:
        assert one(asked, OUT_OF_STOCK, "S-1-2").document["clause"] == before["clause"]
    finally:
        asked.policy = policy


def test_hostile_text_is_valid_json_and_harmless_on_a_terminal(asked: Desk) -> None:
    explained = one(asked, LATE, f"{HOSTILE}-1")
    assert json.loads(json.dumps(explained.document))["action"]["seller_id"] == HOSTILE
    assert all(line.isprintable() for line in lines(explained))
