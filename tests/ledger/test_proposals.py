"""Freezing a cycle's proposal: once, in order, on what is known, hashed (Rulebook §2, §12)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import history, schema, views
from vibes_pipeline.ledger.actions import actions_of, proposal_hash
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.proposals import frozen_cycle, is_unchanged, record_proposed

# --- what is recorded ---------------------------------------------------------------------------


def test_every_action_is_proposed_and_told_of_in_one_alert_to_its_seller(ledger: Ledger) -> None:
    actions = made.a_handful()
    frozen = made.freeze_cycle(ledger, actions)

    assert frozen_cycle(ledger, made.CYCLE) == frozen
    assert (frozen.actions, frozen.frozen_at) == (len(actions), made.ALERT_AT)
    assert set(made.states(ledger).values()) == {"proposed"}
    alerts = made.open_notices(ledger)
    assert {n.seller_id: set(n.actions) for n in alerts} == {
        seller: {a["action_id"] for a in actions if a["seller_id"] == seller}
        for seller in ("S-1", "S-2", "S-3")
    }
    assert {(n.kind, n.is_alert, n.period) for n in alerts} == {("weekly_alert", True, made.CYCLE)}
    assert made.effected_at(ledger, Slot.WEEKLY_ALERT, made.CYCLE) == made.ALERT_AT


def test_the_policy_that_was_decided_under_is_kept_with_the_cycle(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    p = schema.policies.c
    assert made.rows(ledger, p.policy_version, p.content) == [
        ("made policy", "the text of the made policy")
    ]


def test_sellers_for_review_are_kept_with_their_counts(ledger: Ledger) -> None:
    reviews = pl.DataFrame(
        {
            "seller_id": ["S-1", "S-2"],
            "quality_returns": [3, 0],
            "dropoff_failures": [0, 1],
            "counterfeits": [0, 2],
        }
    )
    made.freeze_cycle(ledger, [], reviews=reviews)
    assert sorted(made.rows(ledger, *schema.account_reviews.c)) == [
        ("NG", made.CYCLE, "S-1", 3, 0, 0),
        ("NG", made.CYCLE, "S-2", 0, 1, 2),
    ]


def test_a_week_without_actions_is_a_frozen_cycle_without_alerts(ledger: Ledger) -> None:
    frozen = made.freeze_cycle(ledger, [])
    assert frozen.actions == 0
    assert frozen_cycle(ledger, made.CYCLE) == frozen
    assert made.open_notices(ledger) == []
    assert is_unchanged(ledger, frozen)


def test_an_action_keeps_every_column_of_its_decision_the_rest_as_evidence(ledger: Ledger) -> None:
    regulation = made.sales_regulation(
        "S-2", "SKU-A", rejection_over_pct=Decimal("6.0000"), since=made.local("2026-11-10 08:15")
    )
    made.freeze_cycle(ledger, [regulation])
    a = schema.actions.c
    ((sku, grounds, occurrence, evidence),) = made.rows(
        ledger, a.sku, a.grounds, a.occurrence, a.evidence
    )
    assert (sku, grounds, occurrence) == ("SKU-A", "rejection_rate,return_rate", 4)
    assert evidence["rejected_items"] == 9
    # Exact, and the same instant whatever the zone of the session.
    assert (evidence["rejection_over_pct"], evidence["since"]) == (
        "6",
        "2026-11-10T07:15:00+00:00",
    )


# --- once, in order, on what is known -----------------------------------------------------------


def test_a_cycle_frozen_again_changes_nothing_whatever_it_would_be_now(ledger: Ledger) -> None:
    first = made.freeze_cycle(ledger, made.a_handful())
    before = made.counts(ledger)
    again = made.freeze_cycle(
        ledger,
        [made.charge("S-7", "I7"), made.order_regulation("S-8")],
        now=made.ALERT_AT + timedelta(hours=5),
        seen_event=0,
    )
    assert again == first
    assert made.counts(ledger) == before


def test_a_cycle_frozen_again_after_it_was_implemented_is_still_the_same(ledger: Ledger) -> None:
    first = made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    assert made.freeze_cycle(ledger, made.a_handful()) == first


def test_a_cycle_before_one_that_is_frozen_is_refused(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    before = made.counts(ledger)
    with pytest.raises(LedgerError) as refusal:
        made.freeze_cycle(ledger, made.a_handful())
    assert str(refusal.value) == (
        "cycle 2026-11-09 comes before 2026-11-16, which is frozen already: cycles are decided in "
        "order; replay history on an empty ledger (another VIBES_HOME or database)"
    )
    assert made.counts(ledger) == before


def test_a_proposal_decided_on_an_older_ledger_is_refused(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    seen = history.take(ledger).last_event
    made.accept(ledger)
    before = made.counts(ledger)
    with pytest.raises(LedgerError) as refusal:
        made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE, seen_event=seen)
    assert str(refusal.value) == (
        "the ledger changed while cycle 2026-11-16 was being decided; run the slot again"
    )
    assert made.counts(ledger) == before


def test_events_of_another_country_do_not_make_a_proposal_old(ledger: Ledger) -> None:
    seen = history.take(ledger).last_event
    kenya = Ledger(ledger.engine, "KE")
    made.freeze_cycle(
        kenya,
        [made.charge("S-1", "I1", given=made.terms(country="KE", policy_version="Kenya's"))],
        policy_version="Kenya's",
    )
    made.freeze_cycle(ledger, made.a_handful(), seen_event=seen)


def test_a_freeze_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    twice = made.charge("S-1", "I1")
    with pytest.raises((LedgerError, sa.exc.IntegrityError)):
        made.freeze_cycle(ledger, [twice, twice])
    assert not any(made.counts(ledger).values())
    assert ledger.mode() is LedgerMode.EMPTY


# --- what does not outlive its cycle ------------------------------------------------------------

CYCLE_BOUND = {
    ("order_regulation", "S-1"),
    ("sales_regulation", "SKU-A"),
    ("product_delisting", "SKU-A"),
}


@pytest.mark.parametrize("state", ["proposed", "alerted"])
def test_regulations_not_implemented_expire_when_the_next_cycle_is_frozen(
    ledger: Ledger, state: str
) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    if state == "alerted":
        made.accept(ledger)
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)

    after = made.states(ledger)
    assert {action for action, now in after.items() if now == "expired"} == CYCLE_BOUND
    assert {now for action, now in after.items() if action not in CYCLE_BOUND} == {state}
    s = views.action_states.c
    expired = made.rows(ledger, s.expired_at, s.cause, s.state)
    assert {row[:2] for row in expired if row[2] == "expired"} == {
        (made.ALERT_AT + made.WEEK, "not implemented when 2026-11-16 was frozen")
    }


def test_what_is_implemented_does_not_expire(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    assert set(made.states(ledger).values()) == {"implemented"}


def test_the_new_cycles_own_regulations_do_not_expire(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.order_regulation("S-1")])
    given = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(ledger, [made.order_regulation("S-1", given=given)], cycle=made.NEXT_CYCLE)
    s = views.action_states.c
    assert sorted(made.rows(ledger, s.cycle, s.state)) == [
        (made.CYCLE, "expired"),
        (made.NEXT_CYCLE, "proposed"),
    ]


# --- the hash -----------------------------------------------------------------------------------

CHANGED: dict[str, Any] = {
    "action_id": uuid4(),
    "reference": "NG-AAAAAAAA",
    "country": "KE",
    "rule": "counterfeit_charge",
    "cycle": date(2026, 11, 16),
    "seller_id": "S-2",
    "sku": "SKU-B",
    "order_number": "1",
    "order_item_id": "I2",
    "amount": Decimal("3000.01"),
    "currency": "USD",
    "band": 0,
    "daily_order_limit": 0,
    "pending_to_shipped_limit": 0,
    "grounds": "return_rate",
    "occurrence": 1,
    "event_at": made.local("2026-11-11 10:31"),
    "notice_hours": 71,
    "evidence": {"reason": "wrong_item"},
    "policy_version": "another policy",
}


def test_every_column_of_an_action_is_tried_below() -> None:
    assert list(CHANGED) == list(schema.actions.c.keys())


@pytest.mark.parametrize("column", CHANGED)
def test_the_hash_tells_a_change_of_any_column(column: str) -> None:
    charge = made.charge("S-1", "I1")
    assert hash_of([charge]) != hash_of([{**charge, column: CHANGED[column]}])


def test_the_hash_tells_one_action_more_or_less() -> None:
    actions = made.a_handful()
    assert len({hash_of(actions[:n]) for n in range(len(actions) + 1)}) == len(actions) + 1


@given(st.permutations(made.a_handful()))
def test_the_hash_is_the_same_in_whatever_order(actions: list[made.Action]) -> None:
    assert hash_of(actions) == hash_of(made.a_handful())


@given(st.decimals("0.01", "999999999999.99", places=2), st.integers(0, 4))
def test_one_amount_has_one_hash_however_many_places_it_is_computed_to(
    amount: Decimal, places: int
) -> None:
    charge = made.proposal([made.charge("S-1", "I1")])
    given = charge.with_columns(amount=pl.lit(amount, dtype=pl.Decimal(14, 2)))
    computed = charge.with_columns(amount=pl.lit(amount, dtype=pl.Decimal(20, 2 + places)))
    assert proposal_hash(given) == proposal_hash(computed)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(made.LAGOS))


@given(
    st.lists(
        st.tuples(
            texts,
            st.decimals("0.01", "999999999999.99", places=2),
            texts | st.none(),
            st.decimals(-1000, 1000, places=4) | st.none(),
            instants | st.none(),
            st.dates() | st.none(),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
            st.booleans() | st.none(),
        ),
        max_size=4,
    )
)
def test_the_hash_is_that_of_each_action_written_out_by_itself(rows: list[tuple[Any, ...]]) -> None:
    # Proposals were frozen with this hash for as long as there is a ledger.
    decisions = pl.DataFrame(
        [("S-1", f"I{n}", *row) for n, row in enumerate(rows)], schema=DECISION, orient="row"
    )
    actions = actions_of("returns_charge", decisions, made.terms())
    assert proposal_hash(actions) == hash_one_by_one(actions, decisions)


DECISION: dict[str, Any] = {
    "seller_id": pl.String,
    "order_item_id": pl.String,
    "order_number": pl.String,
    "amount": pl.Decimal(14, 2),
    "reason": pl.String,
    "rate": pl.Decimal(10, 4),
    "event_at": pl.Datetime("us", "Africa/Lagos"),
    "day": pl.Date,
    "items": pl.Int64,
    "is_first": pl.Boolean,
}
EVIDENCE = ("reason", "rate", "day", "items", "is_first")


def hash_one_by_one(actions: pl.DataFrame, decisions: pl.DataFrame) -> str:
    """The hash worked out from Python's values, an action at a time."""
    lines = []
    pairs = zip(actions.iter_rows(named=True), decisions.iter_rows(named=True), strict=True)
    for action, decision in pairs:
        evidence = {name: plain(decision[name]) for name in EVIDENCE}
        written = {name: plain(value) for name, value in action.items()} | {"evidence": evidence}
        text = json.dumps(written, sort_keys=True, separators=(",", ":"))
        lines.append((action["action_id"], text + "\n"))
    return hashlib.sha256("".join(text for _, text in sorted(lines)).encode()).hexdigest()


def plain(value: object) -> object:
    match value:
        case Decimal():
            return format(value.normalize(), "f")
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case str():
            return value.replace("\0", "\ufffd")
        case _:
            return value


def test_evidence_that_would_not_read_the_same_from_the_database_is_refused() -> None:
    with pytest.raises(TypeError, match="rate of Float64 does not read the same from the database"):
        made.charge("S-1", "I1", rate=0.1)


# --- what is frozen stays as it was -------------------------------------------------------------


def test_a_frozen_proposal_reads_from_the_database_as_it_was_hashed(ledger: Ledger) -> None:
    awkward = made.charge(
        "S-'9\u202e",
        "I9",
        amount="999999999999.99",
        event_at=made.local("2026-11-11 10:30:00.000001"),
        order_number='=HYPERLINK("x")\r\n',
        commission=Decimal("2500.00"),
        shares=Decimal("0.000001"),
        noted="₦\u00e9\u0301",
    )
    frozen = made.freeze_cycle(ledger, [*made.a_handful(), awkward])
    assert is_unchanged(ledger, frozen)
    made.accept(ledger)
    made.implement_cycle(ledger)
    assert is_unchanged(ledger, frozen)


@pytest.mark.parametrize("column", ["order_number", "note"])
def test_a_text_that_the_database_cannot_hold_does_not_stop_the_cycle(
    ledger: Ledger, column: str
) -> None:
    # One order number with a NUL must not leave every other seller without their alert.
    odd: dict[str, Any] = {column: "36\x0012"}
    frozen = made.freeze_cycle(ledger, [made.charge("S-1", "I1", **odd), *made.a_handful()[1:]])
    assert is_unchanged(ledger, frozen)
    assert len(made.open_notices(ledger)) == 3


def test_an_action_slipped_into_a_frozen_cycle_shows(ledger: Ledger) -> None:
    frozen = made.freeze_cycle(ledger, made.a_handful())
    _slip_in(ledger, made.charge("S-1", "I8"))
    assert not is_unchanged(ledger, frozen)


def test_late_orders_of_the_cycles_monday_are_not_of_its_proposal(ledger: Ledger) -> None:
    frozen = made.freeze_cycle(ledger, made.a_handful())
    late = made.decided(
        "late_pending_cancellation",
        {"seller_id": "S-1", "order_item_id": "I1", "order_number": "1", "sku": "SKU-A"},
        made.terms(notice_hours=12),
    )
    _slip_in(ledger, late)
    assert is_unchanged(ledger, frozen)


def hash_of(actions: Sequence[made.Action]) -> str:
    return proposal_hash(made.proposal(actions))


def _slip_in(ledger: Ledger, action: made.Action) -> None:
    with ledger.writing(is_simulated=True, now=made.ALERT_AT) as connection:
        record_proposed(connection, made.proposal([action]), made.ALERT_AT, cause="tried")
