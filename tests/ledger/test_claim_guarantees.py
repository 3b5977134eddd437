"""What the database itself refuses to undo or excuse without an upheld claim (Rulebook §11, §12)."""

from __future__ import annotations

import pytest
from ledger.plain_sql import SLOT, Desk, refused


def _claim(desk: Desk, claim_id: str, seller_id: str | None, decision: str | None = None) -> None:
    """A claim taken in, and decided if so told."""
    desk.run(
        "INSERT INTO ledger.claim_intakes (country, claim_id, state, at, seller_id, faults, "
        "content_hash) VALUES (%s, %s, 'accepted', %s, %s, '{}', %s)",
        desk.country,
        claim_id,
        SLOT,
        seller_id,
        claim_id,
    )
    if decision:
        desk.run(
            "INSERT INTO ledger.claim_decisions (country, claim_id, decision, decided_at, at, "
            "is_matched) VALUES (%s, %s, %s, %s, %s, true)",
            desk.country,
            claim_id,
            decision,
            SLOT,
            SLOT,
        )


# What becomes of two claims, statement by statement, and which then wait for a person.
STEPS = [
    ("claim_intakes", [("C-a", "incomplete"), ("C-b", "accepted")], {"C-b"}),
    ("claim_intakes", [("C-a", "accepted")], {"C-a", "C-b"}),
    ("claim_intakes", [("C-a", "out_of_time"), ("C-b", "redirected")], set()),
    (
        "claim_intakes",
        [("C-a", "incomplete"), ("C-a", "accepted"), ("C-b", "accepted")],
        {"C-a", "C-b"},
    ),
    ("claim_decisions", [("C-a", "rejected")], {"C-b"}),
    ("claim_intakes", [("C-a", "accepted")], {"C-b"}),
    ("claim_decisions", [("C-a", "upheld"), ("C-b", "rejected")], set()),
    ("claim_intakes", [("C-b", "accepted")], set()),
]


def test_the_claims_that_wait_are_those_accepted_and_not_decided(desk: Desk) -> None:
    for step, (table, rows, expected) in enumerate(STEPS):
        if table == "claim_intakes":
            columns = "state, faults, content_hash", "'{}', n::text"
        else:
            columns = "decision, decided_at, is_matched", "at, true"
        desk.run(
            f"INSERT INTO ledger.{table} (country, claim_id, at, {columns[0]}) "
            f"SELECT %s, claim_id, at, state, {columns[1]} FROM (SELECT %s::timestamptz AS at) AS a, "
            "unnest(%s, %s, %s) AS row (claim_id, state, n)",
            desk.country,
            SLOT,
            [claim for claim, _ in rows],
            [state for _, state in rows],
            [100 * step + n for n in range(len(rows))],
        )
        ids = "SELECT claim_id FROM ledger.{} WHERE claim_id IN ('C-a', 'C-b')"
        waiting = set(desk.rows(ids.format("open_claims")))
        assert waiting == {(claim,) for claim in expected}, step
        assert waiting == set(desk.rows(ids.format("claim_states") + " AND state = 'accepted'"))


# Claims that undo nothing of S-9's, each under the id that the tries below name.
NO_CLAIM_OF_THEIRS = [
    pytest.param(None, None, id="a claim that does not exist"),
    pytest.param("S-9", None, id="one that is not decided"),
    pytest.param("S-9", "rejected", id="a rejected one"),
    pytest.param("S-10", "upheld", id="another seller's"),
    pytest.param(None, "upheld", id="nobody's"),
]


@pytest.mark.parametrize(("seller_id", "decision"), NO_CLAIM_OF_THEIRS)
@pytest.mark.parametrize("state", ["withdrawn", "reversed"])
def test_only_an_upheld_claim_of_its_seller_undoes_an_action(
    desk: Desk, state: str, seller_id: str | None, decision: str | None
) -> None:
    action = _standing(desk, state)
    if seller_id or decision:
        _claim(desk, "C-tried", seller_id, decision)
    with refused("claim C-tried is no upheld claim of its seller"):
        _undo(desk, action, state, "C-tried")


@pytest.mark.parametrize("state", ["withdrawn", "reversed"])
def test_an_upheld_claim_undoes_an_action_of_its_seller(desk: Desk, state: str) -> None:
    action = _standing(desk, state)
    _claim(desk, "C-good", "S-9", "upheld")
    _undo(desk, action, state, "C-good")


@pytest.mark.parametrize(("seller_id", "decision"), NO_CLAIM_OF_THEIRS)
def test_only_an_upheld_claim_of_the_seller_excuses_anything(
    desk: Desk, seller_id: str | None, decision: str | None
) -> None:
    if seller_id or decision:
        _claim(desk, "C-tried", seller_id, decision)
    with refused("claim C-tried is no upheld claim of seller S-9: it excuses nothing"):
        _excuse(desk, "C-tried", order_item_id="I-1")


@pytest.mark.parametrize(
    ("of", "why"),
    [
        pytest.param({}, "excuses_check", id="of nothing"),
        pytest.param({"order_number": "O", "order_item_id": "I"}, "excuses_check", id="of both"),
        pytest.param(
            {"order_item_id": "I", "event": "bad luck"}, "event_check", id="no such event"
        ),
    ],
)
def test_an_excuse_is_of_an_order_or_of_an_item_and_names_an_event(
    desk: Desk, of: dict[str, str], why: str
) -> None:
    _claim(desk, "C-good", "S-9", "upheld")
    with refused(why):
        _excuse(desk, "C-good", **of)


def test_a_claim_excuses_an_event_once(desk: Desk) -> None:
    _claim(desk, "C-good", "S-9", "upheld")
    _excuse(desk, "C-good", order_number="O-1")
    _excuse(desk, "C-good", order_number="O-1", sku="K-1")
    with refused("an_excuse_once"):
        _excuse(desk, "C-good", order_number="O-1")


@pytest.mark.parametrize("decision", ["upheld", "rejected"])
def test_a_claim_is_decided_one_way_once(desk: Desk, decision: str) -> None:
    _claim(desk, "C-good", "S-9", decision)
    with refused("claim_decisions_country_claim_id_decision_key"):
        desk.run(
            "INSERT INTO ledger.claim_decisions (country, claim_id, decision, decided_at, at, "
            "is_matched) VALUES ('NG', 'C-good', %s, now(), now(), true)",
            decision,
        )


def _standing(desk: Desk, until: str) -> str:
    """An action that can be withdrawn, or reversed, next."""
    action = desk.action()
    desk.alerted(action)
    if until == "reversed":
        desk.event(action, "implemented")
    return action


def _undo(desk: Desk, action: str, state: str, claim_id: str) -> None:
    desk.run(
        "INSERT INTO ledger.action_events (action_id, state, at, cause, claim_id) "
        "VALUES (%s, %s, %s, 'claim upheld', %s)",
        action,
        state,
        SLOT,
        claim_id,
    )


def _excuse(desk: Desk, claim_id: str, **of: str) -> None:
    given = {"event": "return", **of}
    desk.run(
        "INSERT INTO ledger.excuses (country, claim_id, seller_id, order_number, sku, "
        "order_item_id, event) VALUES ('NG', %s, 'S-9', %s, %s, %s, %s)",
        claim_id,
        given.get("order_number"),
        given.get("sku"),
        given.get("order_item_id"),
        given["event"],
    )
