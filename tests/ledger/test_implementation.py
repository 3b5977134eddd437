"""Saturday: what was told of in time is implemented and posted, once (Rulebook §2, §12)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.implementation import implementation
from vibes_pipeline.ledger.ledger import Ledger

S, P = views.action_states.c, schema.postings.c
INSTANT = timedelta(microseconds=1)


def implemented_in(ledger: Ledger) -> dict[str, datetime]:
    """When each implemented charge was, by item."""
    found = made.rows(ledger, S.order_item_id, S.implemented_at)
    return {item: at for item, at in found if item and at}


def withdraw(ledger: Ledger, action: made.Action, at: datetime) -> None:
    with ledger.writing(is_simulated=True, now=at) as connection:
        connection.execute(
            schema.action_events.insert().values(
                action_id=action["action_id"], state="withdrawn", at=at, cause="tried"
            )
        )


# --- one cycle ----------------------------------------------------------------------------------


def test_everything_alerted_in_time_is_implemented_and_each_charge_debited(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    done = made.implement_cycle(ledger)

    assert set(made.states(ledger).values()) == {"implemented"}
    assert (done.cycle, done.effected_at, done.withdrawn) == (made.CYCLE, made.IMPLEMENT_AT, 0)
    assert done.by_rule == {
        "account_delisting": 1,
        "counterfeit_charge": 1,
        "order_regulation": 1,
        "out_of_stock_charge": 1,
        "product_delisting": 1,
        "returns_charge": 1,
        "sales_regulation": 1,
    }
    assert done.posted == Decimal("54234.50")
    debits = made.rows(ledger, P.kind, P.amount, P.currency, P.posted_at, P.statement_period)
    assert sorted(debits, key=lambda row: row[1]) == [
        ("debit", Decimal(amount), "NGN", made.IMPLEMENT_AT, date(2026, 11, 16))
        for amount in ("1234.50", "3000.00", "50000.00")
    ]


def test_each_seller_is_to_get_one_mail_about_what_was_implemented(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger, sellers=["S-1", "S-3"])
    made.implement_cycle(ledger)

    mails = [n for n in made.open_notices(ledger) if n.kind == "weekly_implementation"]
    assert {n.seller_id: len(n.actions) for n in mails} == {"S-1": 3, "S-3": 1}
    assert {(n.is_alert, n.period) for n in mails} == {(False, made.CYCLE)}


@pytest.mark.parametrize("state", ["not sent", "deferred", "kept in a folder"])
def test_nothing_is_implemented_that_its_seller_was_not_told_of(ledger: Ledger, state: str) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    for notice in made.open_notices(ledger) if state != "not sent" else ():
        status = {"deferred": "deferred", "kept in a folder": "stored"}[state]
        _attempt(ledger, notice.notice_id, status)
    done = made.implement_cycle(ledger)

    assert (done.by_rule, done.posted) == ({}, Decimal(0))
    assert set(made.states(ledger).values()) == {"proposed"}
    assert not made.rows(ledger, P.posting_id)


def _attempt(ledger: Ledger, notice_id: UUID, status: str) -> None:
    with ledger.engine.begin() as connection:
        for step in ("sending", status):
            connection.execute(
                schema.deliveries.insert().values(
                    notice_id=notice_id, attempt=1, status=step, at=made.ALERT_AT
                )
            )


@pytest.mark.parametrize(
    ("accepted_at", "is_in_time"),
    [
        (made.local("2026-11-18 07:00"), True),
        (made.local("2026-11-18 09:00"), True),
        (made.local("2026-11-18 09:00") + INSTANT, False),
        (made.local("2026-11-19 07:00"), False),
    ],
)
def test_an_alert_accepted_up_to_72_hours_before_is_in_time(
    ledger: Ledger, accepted_at: datetime, is_in_time: bool
) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger, accepted_at)
    made.implement_cycle(ledger)
    assert set(made.states(ledger).values()) == {"implemented" if is_in_time else "alerted"}


@pytest.mark.parametrize(
    ("now", "statement_period"),
    [
        (made.local("2026-11-21 09:00"), date(2026, 11, 16)),
        (made.local("2026-11-22 23:59"), date(2026, 11, 16)),
        # Still Sunday in UTC, already Monday where the seller is.
        (made.local("2026-11-23 00:30"), date(2026, 11, 23)),
        (made.local("2027-01-01 09:00"), date(2026, 12, 28)),
    ],
)
def test_a_debit_is_in_the_statement_of_the_local_week_it_is_posted_in(
    ledger: Ledger, now: datetime, statement_period: date
) -> None:
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
    made.accept(ledger)
    made.implement_cycle(ledger, now=now)
    assert made.rows(ledger, P.posted_at, P.statement_period) == [(now, statement_period)]


# --- run again ----------------------------------------------------------------------------------


def test_the_slot_run_again_gives_what_it_did_and_changes_nothing(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger, sellers=["S-1"])
    first = made.implement_cycle(ledger)
    made.accept(ledger, made.ALERT_AT, sellers=["S-2", "S-3"])
    before = made.counts(ledger)

    gone = [made.charge("S-2", "I3", rule="counterfeit_charge")["action_id"]]
    again = made.implement_cycle(
        ledger, now=made.IMPLEMENT_AT + timedelta(hours=3), contradicted=gone
    )
    assert again == first == implementation(ledger, made.CYCLE)
    assert made.counts(ledger) == before


def test_what_a_slot_did_cannot_be_asked_before_it_ran(ledger: Ledger) -> None:
    with pytest.raises(LookupError, match="the weekly implementation of 2026-11-09 has not run"):
        implementation(ledger, made.CYCLE)


def test_two_slots_at_one_instant_each_tell_what_they_did_themselves(ledger: Ledger) -> None:
    # Both were missed and are run, oldest first, by a clock that stands still.
    made.freeze_cycle(ledger, [made.charge("S-1", "I1"), made.charge("S-2", "I2")])
    made.accept(ledger)
    late = made.IMPLEMENT_AT + made.WEEK
    gone = [made.charge("S-2", "I2")["action_id"]]
    first = made.implement_cycle(ledger, now=late, contradicted=gone)
    second = made.implement_cycle(ledger, made.NEXT_CYCLE, now=late)
    assert (first.by_rule, first.withdrawn) == ({"returns_charge": 1}, 1)
    assert (second.by_rule, second.posted, second.withdrawn) == ({}, Decimal(0), 0)


# --- what waits, and what does not --------------------------------------------------------------


def test_a_charge_waits_for_the_first_slot_that_leaves_its_notice_72_hours(ledger: Ledger) -> None:
    accepted = {
        "S-1": made.local("2026-11-18 07:00"),
        "S-2": made.local("2026-11-19 10:00"),
        "S-3": made.local("2026-11-25 09:00"),
        "S-4": made.local("2026-11-25 09:01"),
        "S-5": None,
    }
    charges = [made.charge(seller, f"I{n}") for n, seller in enumerate(accepted)]
    made.freeze_cycle(ledger, charges)
    for week in range(3):
        slot = made.IMPLEMENT_AT + week * made.WEEK
        for seller, at in accepted.items():
            if at is not None and at <= slot:
                made.accept(ledger, at, sellers=[seller])
        made.implement_cycle(ledger, made.CYCLE + week * made.WEEK)

    assert implemented_in(ledger) == {
        "I0": made.local("2026-11-21 09:00"),
        "I1": made.local("2026-11-28 09:00"),
        "I2": made.local("2026-11-28 09:00"),
        "I3": made.local("2026-12-05 09:00"),
    }
    assert sorted(made.rows(ledger, P.statement_period)) == [
        (date(2026, 11, 16),),
        (date(2026, 11, 23),),
        (date(2026, 11, 23),),
        (date(2026, 11, 30),),
    ]


def test_an_account_delisting_waits_like_a_charge(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.account_delisting("S-3")])
    made.accept(ledger, made.local("2026-11-19 10:00"))
    made.implement_cycle(ledger)
    assert made.states(ledger) == {("account_delisting", "S-3"): "alerted"}
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    made.implement_cycle(ledger, made.NEXT_CYCLE)
    assert made.states(ledger) == {("account_delisting", "S-3"): "implemented"}


def test_a_late_charge_is_told_of_in_the_mail_of_the_slot_that_implements_it(
    ledger: Ledger,
) -> None:
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
    made.accept(ledger, made.local("2026-11-19 10:00"))
    made.implement_cycle(ledger)
    assert made.open_notices(ledger) == []
    made.implement_cycle(ledger, made.NEXT_CYCLE)
    (mail,) = made.open_notices(ledger)
    assert (mail.kind, mail.period) == ("weekly_implementation", made.NEXT_CYCLE)


def test_regulations_alerted_too_late_expire_and_the_next_cycles_own_take_their_place(
    ledger: Ledger,
) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger, made.local("2026-11-19 10:00"))
    made.implement_cycle(ledger)
    given = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(ledger, [made.order_regulation("S-1", given=given)], cycle=made.NEXT_CYCLE)
    made.accept(ledger, made.ALERT_AT + made.WEEK)
    done = made.implement_cycle(ledger, made.NEXT_CYCLE)

    assert done.by_rule == {
        "account_delisting": 1,
        "counterfeit_charge": 1,
        "order_regulation": 1,
        "out_of_stock_charge": 1,
        "returns_charge": 1,
    }
    for cycle, rule, state in made.rows(ledger, S.cycle, S.rule, S.state):
        bound_to_its_cycle = rule in ("order_regulation", "sales_regulation", "product_delisting")
        is_expired = cycle == made.CYCLE and bound_to_its_cycle
        assert (rule, state) == (rule, "expired" if is_expired else "implemented")


def test_an_earlier_cycles_slot_leaves_a_later_cycle_alone(ledger: Ledger) -> None:
    given = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(ledger, [])
    made.freeze_cycle(ledger, [made.charge("S-1", "I1", given=given)], cycle=made.NEXT_CYCLE)
    made.accept(ledger, made.ALERT_AT + made.WEEK)
    made.implement_cycle(ledger, now=made.IMPLEMENT_AT + made.WEEK)
    assert made.states(ledger) == {("returns_charge", "I1"): "alerted"}


# --- what is withdrawn --------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["proposed", "alerted"])
def test_a_charge_whose_event_the_warehouse_no_longer_holds_is_withdrawn(
    ledger: Ledger, state: str
) -> None:
    gone, kept = made.charge("S-1", "I1"), made.charge("S-2", "I2")
    made.freeze_cycle(ledger, [gone, kept])
    made.accept(ledger, sellers=["S-1", "S-2"] if state == "alerted" else ["S-2"])
    done = made.implement_cycle(ledger, contradicted=[gone["action_id"]])

    assert (done.withdrawn, done.posted) == (1, Decimal("3000.00"))
    assert made.states(ledger) == {
        ("returns_charge", "I1"): "withdrawn",
        ("returns_charge", "I2"): "implemented",
    }
    causes = dict(made.rows(ledger, S.order_item_id, S.cause))
    assert causes["I1"] == "evidence_gone"
    # Nothing was done to the seller, so there is nothing to write to them.
    mails = [n.seller_id for n in made.open_notices(ledger) if n.kind == "weekly_implementation"]
    assert mails == ["S-2"]


def test_what_was_implemented_before_is_not_withdrawn_for_want_of_evidence(ledger: Ledger) -> None:
    charge = made.charge("S-1", "I1")
    made.freeze_cycle(ledger, [charge])
    made.accept(ledger)
    made.implement_cycle(ledger)
    done = made.implement_cycle(ledger, made.NEXT_CYCLE, contradicted=[charge["action_id"]])
    assert done.withdrawn == 0
    assert made.states(ledger) == {("returns_charge", "I1"): "implemented"}


def test_a_charge_whose_evidence_is_missing_stays_open_and_is_not_implemented(
    ledger: Ledger,
) -> None:
    charges = [made.charge("S-1", "I1"), made.charge("S-1", "I2"), made.charge("S-2", "I3")]
    made.freeze_cycle(ledger, charges)
    made.accept(ledger, sellers=["S-1"])
    missing = [charges[0]["action_id"], charges[2]["action_id"]]
    done = made.implement_cycle(ledger, missing=missing)
    assert (done.withdrawn, done.awaiting, done.posted) == (0, 2, Decimal("3000.00"))
    assert made.states(ledger) == {
        ("returns_charge", "I1"): "alerted",
        ("returns_charge", "I2"): "implemented",
        ("returns_charge", "I3"): "proposed",
    }
    w = views.awaiting_evidence.c
    listed = made.rows(ledger, w.order_item_id, w.slots_in_vain, w.missing_since, w.amount)
    assert sorted(listed) == [
        (item, 1, made.IMPLEMENT_AT, Decimal("3000.00")) for item in ("I1", "I3")
    ]
    assert implementation(ledger, made.CYCLE) == done


def test_what_is_open_no_more_is_not_looked_for(ledger: Ledger) -> None:
    charge = made.charge("S-1", "I1")
    made.freeze_cycle(ledger, [charge])
    made.accept(ledger)
    withdraw(ledger, charge, made.ALERT_AT + timedelta(days=1))
    assert made.implement_cycle(ledger, missing=[charge["action_id"]]).awaiting == 0
    assert made.counts(ledger)["missing_evidence"] == 0


def test_a_withdrawn_action_is_not_implemented(ledger: Ledger) -> None:
    charge = made.charge("S-1", "I1")
    made.freeze_cycle(ledger, [charge, made.charge("S-1", "I2")])
    made.accept(ledger)
    withdraw(ledger, charge, made.ALERT_AT + timedelta(days=1))
    assert made.implement_cycle(ledger).posted == Decimal("3000.00")
    assert made.states(ledger)["returns_charge", "I1"] == "withdrawn"


def test_a_product_is_not_delisted_without_its_regulation(ledger: Ledger) -> None:
    regulation = made.sales_regulation("S-2", "SKU-A")
    others = [made.sales_regulation("S-2", "SKU-B"), made.product_delisting("S-2", "SKU-B")]
    made.freeze_cycle(ledger, [regulation, made.product_delisting("S-2", "SKU-A"), *others])
    made.accept(ledger)
    withdraw(ledger, regulation, made.ALERT_AT + timedelta(days=1))
    made.implement_cycle(ledger)
    assert made.states(ledger) == {
        ("sales_regulation", "SKU-A"): "withdrawn",
        ("product_delisting", "SKU-A"): "alerted",
        ("sales_regulation", "SKU-B"): "implemented",
        ("product_delisting", "SKU-B"): "implemented",
    }
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    assert made.states(ledger)["product_delisting", "SKU-A"] == "expired"


# --- live ---------------------------------------------------------------------------------------


def test_a_slot_that_found_nothing_to_do_is_done_all_the_same(ledger: Ledger) -> None:
    done = made.implement_cycle(ledger)
    assert (done.by_rule, done.posted, done.withdrawn) == ({}, Decimal(0), 0)
    assert made.effected_at(ledger, Slot.WEEKLY_IMPLEMENTATION, made.CYCLE) == made.IMPLEMENT_AT
