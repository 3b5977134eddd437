"""Which state intake gives a claim: what is missing, what is unknown, what came too late (§11).

`judge` alone, over claims as the warehouse gives them: blank text has become None by then, which
`test_settle` covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from ledger.made import local
from rules.marketplace import NIGERIA

from vibes_pipeline.ledger import schema
from vibes_pipeline.policy.claims import ClaimField
from vibes_pipeline.rules import Rule
from vibes_pipeline.slots.claims.intake import Claim, Judgement, judge
from vibes_pipeline.warehouse.contract import CONTRACT

SECOND = timedelta(seconds=1)
RAISED_AT = local("2026-11-10 10:00")
NOW = local("2026-11-30 10:00")
CLOSES_AT = local("2026-11-12 00:00")

# A claim of each category that states what is asked for and nothing else.
COMPLETE: Mapping[str, Mapping[str, Any]] = {
    "counterfeit": {
        "shop_name": "Shop",
        "order_number": "O-1",
        "sku": "K-1",
        "country": "NG",
        "attachments": ["brand.pdf", "authenticity.pdf"],
    },
    "seko_warehouse": {
        "shop_name": "Shop",
        "country": "NG",
        "order_number": "O-1",
        "tracking_number": "T-1",
        "attachments": ["table.xlsx"],
    },
    "cancel_wrong_orders": {
        "shop_name": "Shop",
        "country": "NG",
        "order_number": "O-1",
        "sku": "K-1",
        "reason": "store_on_holiday",
        "comment": "We were away.",
    },
    "bill_problem": {
        "shop_name": "Shop",
        "country": "NG",
        "statement_period": "2026-11-16",
        "transaction_type": "penalty",
        "amount": Decimal("3000.00"),
        "comment": "What is this for?",
    },
    "vibes_action": {"order_number": "O-1", "comment": "It was not our fault."},
}
# Of these one is enough; each fault names all of them.
ONE_OF = {
    "cancel_wrong_orders": "comment or attachments",
    "bill_problem": "comment or attachments",
    "vibes_action": "order_number or action_reference",
}


def claim(category: str | None, **changes: Any) -> Claim:
    """A complete claim of the category with some fields changed, about an order of its seller's."""
    stated: dict[str, Any] = {
        "claim_id": "C-1",
        "category": category,
        "seller_id": "S-1",
        "is_known_seller": True,
        "raised_at": RAISED_AT,
        "content_hash": "of what is stated",
        "order_created_at": local("2026-11-01 10:00"),
        "seller_items": 2,
        "claimed_items": 1,
        **COMPLETE.get(category or "", {}),
        **changes,
    }
    return Claim(**{**dict.fromkeys(Claim.__dataclass_fields__), **stated})


def judged(category: str | None, **changes: Any) -> Judgement:
    return judge(claim(category, **changes), NIGERIA, NOW)


def faults(category: str | None, **changes: Any) -> dict[str, str]:
    """Why a claim is incomplete; it must be."""
    judgement = judged(category, **changes)
    assert judgement.state == "incomplete"
    return dict(judgement.faults)


def named(category: str, field: str) -> str:
    """How a fault names the field: together with the other one that would do instead."""
    alternatives = ONE_OF.get(category, "")
    return alternatives if field in alternatives.split(" or ") else field


# --- complete, and short of each field ------------------------------------------------------------


@pytest.mark.parametrize("category", COMPLETE)
def test_a_claim_that_states_what_its_category_asks_for_is_accepted(category: str) -> None:
    assert judged(category) == Judgement("accepted", {})


def test_every_category_of_the_policy_is_tried() -> None:
    assert COMPLETE.keys() == NIGERIA.claims.categories.keys()


def test_the_complete_claims_state_what_the_policy_asks_for() -> None:
    for name, category in NIGERIA.claims.categories.items():
        value = category.on(RAISED_AT.date())
        asked = {*value.must_state, *(fields[0] for fields in value.must_state_one_of)}
        assert set(COMPLETE[name]) == asked, name


@pytest.mark.parametrize(
    ("category", "field"),
    [
        pytest.param(category, field, id=f"{category}-{field}")
        for category, stated in COMPLETE.items()
        for field in stated
    ],
)
def test_a_field_left_out_is_named_and_no_other(category: str, field: str) -> None:
    assert faults(category, **{field: None}) == {named(category, field): "missing"}


@pytest.mark.parametrize("category", COMPLETE)
def test_all_that_is_missing_is_named_at_once(category: str) -> None:
    nothing = dict.fromkeys(COMPLETE[category])
    expected = {named(category, field) for field in nothing}
    assert faults(category, **nothing) == dict.fromkeys(expected, "missing")


@pytest.mark.parametrize(
    ("category", "instead"),
    [
        ("cancel_wrong_orders", {"comment": None, "attachments": ["screen.png"]}),
        ("bill_problem", {"comment": None, "attachments": ["bill.pdf"]}),
        (
            "vibes_action",
            {
                "order_number": None,
                "action_reference": "NG-AAAAAAAA",
                "has_referenced_action": True,
            },
        ),
    ],
)
def test_where_one_of_two_is_asked_for_either_will_do(
    category: str, instead: dict[str, Any]
) -> None:
    assert judged(category, **instead).state == "accepted"


@pytest.mark.parametrize(
    ("attachments", "expected"),
    [
        pytest.param(None, "missing", id="none"),
        pytest.param([], "missing", id="an empty list"),
        pytest.param(["", " \t\n", None], "missing", id="blank names"),
        pytest.param(["brand.pdf"], "2 are needed, 1 given", id="one of two"),
        pytest.param(["brand.pdf", " "], "2 are needed, 1 given", id="one and a blank one"),
    ],
)
def test_a_counterfeit_claim_needs_two_attachments(
    attachments: list[Any] | None, expected: str
) -> None:
    assert faults("counterfeit", attachments=attachments) == {"attachments": expected}


def test_more_attachments_than_needed_are_no_fault() -> None:
    assert judged("counterfeit", attachments=["a", "b", "c"]).state == "accepted"


@pytest.mark.parametrize("category", COMPLETE)
def test_when_it_was_raised_and_by_whom_are_asked_of_every_claim(category: str) -> None:
    assert faults(category, raised_at=None) == {"raised_at": "missing"}
    assert faults(category, seller_id=None, is_known_seller=False) == {"seller_id": "missing"}
    assert faults(category, is_known_seller=False) == {"seller_id": "unknown"}


def test_of_a_claim_without_anything_seller_time_and_category_are_missing() -> None:
    nothing = {"seller_id": None, "is_known_seller": False, "raised_at": None}
    assert faults(None, **nothing) == dict.fromkeys(
        ("raised_at", "seller_id", "category"), "missing"
    )


# --- what nobody knows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "changes", "expected"),
    [
        pytest.param("refund", {}, {"category": "unknown"}, id="category"),
        pytest.param("Counterfeit", {}, {"category": "unknown"}, id="category in other letters"),
        pytest.param(
            "cancel_wrong_orders", {"reason": "bored"}, {"reason": "unknown"}, id="reason"
        ),
        pytest.param(
            "cancel_wrong_orders",
            {"reason": "package_loss"},
            {"reason": "unknown"},
            id="reason of another category",
        ),
        pytest.param(
            "bill_problem",
            {"transaction_type": "bribe"},
            {"transaction_type": "unknown"},
            id="transaction type",
        ),
        pytest.param(
            "bill_problem",
            {"transaction_type": "Penalty"},
            {"transaction_type": "unknown"},
            id="transaction type by its name",
        ),
        pytest.param(
            "vibes_action",
            {"order_number": "O-9", "seller_items": 0, "claimed_items": 0},
            {"order_number": "unknown"},
            id="order number",
        ),
        pytest.param(
            "counterfeit",
            {"sku": "K-9", "claimed_items": 0},
            {"sku": "unknown"},
            id="SKU, not in that order",
        ),
        pytest.param(
            "vibes_action",
            {"order_number": None, "action_reference": "NG-AAAAAAAA"},
            {"action_reference": "unknown"},
            id="reference",
        ),
        pytest.param(
            "vibes_action",
            {"order_number": "O-9", "seller_items": 0, "action_reference": "NG-AAAAAAAA"},
            {"action_reference": "unknown"},
            id="reference, which counts instead of the order",
        ),
    ],
)
def test_what_nobody_knows_is_named(
    category: str, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    assert faults(category, **changes) == expected


def test_unknown_and_missing_are_named_together() -> None:
    changes = {"reason": "bored", "order_number": "O-9", "seller_items": 0, "comment": None}
    assert faults("cancel_wrong_orders", **changes) == {
        "reason": "unknown",
        "order_number": "unknown",
        "comment or attachments": "missing",
    }


def test_of_an_unknown_seller_the_order_is_not_asked_after() -> None:
    unknown = {"is_known_seller": False, "seller_items": 0, "claimed_items": 0}
    assert faults("vibes_action", **unknown) == {"seller_id": "unknown"}


@pytest.mark.parametrize(
    "transaction_type",
    NIGERIA.claims.categories["bill_problem"].on(RAISED_AT.date()).transaction_types,
)
def test_each_of_the_fourteen_transaction_types_is_accepted(transaction_type: str) -> None:
    assert judged("bill_problem", transaction_type=transaction_type).state == "accepted"


def test_there_are_the_thirteen_transaction_types_of_the_source_and_the_delayed_receivable() -> (
    None
):
    types = NIGERIA.claims.categories["bill_problem"].on(RAISED_AT.date()).transaction_types
    assert len(types) == 14
    assert "delayed_receivable" in types


REASONS = {
    "sku_deleted_still_ordered",
    "sku_deleted_alive_on_alice",
    "sku_inactive_still_ordered",
    "sku_inactive_alive_on_alice",
    "store_on_holiday",
}


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_each_reason_for_a_wrong_order_is_accepted_without_an_endpoint(reason: str) -> None:
    assert judged("cancel_wrong_orders", reason=reason).state == "accepted"


def test_an_api_issue_needs_the_endpoint() -> None:
    api = {"reason": "api_issue"}
    assert faults("cancel_wrong_orders", **api) == {"api_endpoint": "missing"}
    stated = {**api, "api_endpoint": "https://api.example/orders"}
    assert judged("cancel_wrong_orders", **stated).state == "accepted"


@pytest.mark.parametrize("reason", [None, *Rule])
def test_a_claim_about_an_action_may_name_any_rule_or_none(reason: str | None) -> None:
    assert judged("vibes_action", reason=reason).state == "accepted"


@pytest.mark.parametrize("reason", ["anything", "Out_of_stock_charge", "stock", "store_on_holiday"])
def test_a_reason_that_is_no_rule_s_name_is_unknown(reason: str) -> None:
    assert faults("vibes_action", reason=reason) == {"reason": "unknown"}


def test_with_an_action_s_reference_the_reason_does_not_matter() -> None:
    referenced = {"action_reference": "NG-AAAAAAAA", "has_referenced_action": True}
    assert judged("vibes_action", reason="anything", **referenced).state == "accepted"


# --- in time --------------------------------------------------------------------------------------

# How a moment lies to the end of a time limit, which is half-open.
EDGES = [
    pytest.param(-SECOND, "accepted", id="one second before"),
    pytest.param(timedelta(), "out_of_time", id="at"),
    pytest.param(SECOND, "out_of_time", id="one second after"),
]


@pytest.mark.parametrize(("after", "state"), EDGES)
def test_a_counterfeit_claim_must_be_raised_within_the_evidence_window(
    after: timedelta, state: str
) -> None:
    given = {"evidence_closes_at": CLOSES_AT, "raised_at": CLOSES_AT + after}
    assert judged("counterfeit", **given).state == state
    # It is the instant that counts, not how its zone writes it.
    given["raised_at"] = (CLOSES_AT + after).astimezone(UTC)
    assert judged("counterfeit", **given).state == state


def test_without_a_notification_no_window_has_closed() -> None:
    assert judged("counterfeit", evidence_closes_at=None).state == "accepted"


@pytest.mark.parametrize("category", sorted(COMPLETE.keys() - {"counterfeit"}))
def test_no_other_claim_is_bound_to_the_evidence_window(category: str) -> None:
    late = {"evidence_closes_at": CLOSES_AT, "raised_at": CLOSES_AT + SECOND}
    assert judged(category, **late).state == "accepted"


THREE_MONTHS = [
    pytest.param("2026-08-10 10:00", "2026-11-10 10:00", id="the same day of the month"),
    pytest.param("2025-11-30 10:00", "2026-02-28 10:00", id="30 November: February has no 30th"),
    pytest.param("2023-11-30 10:00", "2024-02-29 10:00", id="30 November before a leap year"),
    pytest.param("2026-11-30 00:00", "2027-02-28 00:00", id="the very beginning of 30 November"),
    pytest.param("2026-11-29 23:59:59", "2027-02-28 23:59:59", id="the last second of the 29th"),
    pytest.param("2026-10-31 10:00", "2027-01-31 10:00", id="over the turn of the year"),
    pytest.param("2026-12-01 00:30", "2027-03-01 00:30", id="locally December, in UTC November"),
    pytest.param("2026-08-31 08:00", "2026-11-30 08:00", id="31 August: November has no 31st"),
]


@pytest.mark.parametrize(("after", "state"), EDGES)
@pytest.mark.parametrize(("created_at", "until"), THREE_MONTHS)
@pytest.mark.parametrize("is_utc", [False, True], ids=["local", "read as UTC"])
def test_a_seko_claim_must_be_raised_within_three_calendar_months_of_the_order(
    created_at: str, until: str, is_utc: bool, after: timedelta, state: str
) -> None:
    created, raised = local(created_at), local(until) + after
    if is_utc:
        created, raised = created.astimezone(UTC), raised.astimezone(UTC)
    given = {"order_created_at": created, "raised_at": raised}
    assert judged("seko_warehouse", **given).state == state


@pytest.mark.parametrize("category", sorted(COMPLETE.keys() - {"seko_warehouse"}))
def test_no_other_claim_is_bound_to_three_months(category: str) -> None:
    assert judged(category, order_created_at=local("2024-01-01 10:00")).state == "accepted"


def test_a_claim_that_is_late_and_incomplete_is_incomplete() -> None:
    late = {"evidence_closes_at": CLOSES_AT, "raised_at": CLOSES_AT}
    assert faults("counterfeit", country=None, **late) == {"country": "missing"}


def test_it_is_the_policy_of_the_day_it_was_raised_on_that_counts() -> None:
    # The slot may run long after; without a time of its own, the slot's day counts.
    undated = claim("vibes_action", raised_at=None)
    assert undated.day(NIGERIA, local("2026-11-30 00:30")) == date(2026, 11, 30)
    at_night = replace(undated, raised_at=datetime(2026, 11, 9, 23, 30, tzinfo=UTC))
    assert at_night.day(NIGERIA, NOW) == date(2026, 11, 10)


@pytest.mark.parametrize("category", COMPLETE)
def test_a_claim_raised_before_the_policy_begins_is_judged_by_its_first_values(
    category: str,
) -> None:
    long_ago = claim(category, raised_at=local("2014-05-13 10:00"))
    assert long_ago.day(NIGERIA, NOW) == NIGERIA.calendar.first_day
    assert judge(long_ago, NIGERIA, NOW) == Judgement("accepted", {})


# --- answered by somebody else --------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="complete"),
        pytest.param(dict.fromkeys(COMPLETE["seko_warehouse"]), id="stating nothing else"),
        pytest.param({"order_created_at": local("2020-01-01 10:00")}, id="late"),
        pytest.param({"seller_items": 0}, id="about an unknown order"),
    ],
)
def test_a_lost_package_is_redirected_whatever_else_the_claim_states(
    changes: dict[str, Any],
) -> None:
    redirected = judged("seko_warehouse", reason="package_loss", **changes)
    assert redirected == Judgement("redirected", {})


@pytest.mark.parametrize("reason", [None, "lost", "PACKAGE_LOSS"])
def test_no_other_reason_is_redirected(reason: str | None) -> None:
    assert judged("seko_warehouse", reason=reason).state == "accepted"


def test_whatever_names_a_claim_s_columns_names_those_of_the_warehouse() -> None:
    stored = set(CONTRACT["claims"].columns)
    assert set(get_args(ClaimField)) <= stored
    assert set(schema.CLAIM_COLUMNS) <= stored
    # Who decided what is no part of what was stated.
    assert stored - set(Claim.__dataclass_fields__) == {"decision", "decided_at", "decided_by"}
