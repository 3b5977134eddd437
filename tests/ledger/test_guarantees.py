"""What the database itself refuses, whoever asks (Rulebook §2, §12): plain SQL, no code of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from ledger import made
from ledger.plain_sql import INSTANT, NOTICE, SLOT, Desk, refused

# --- the notice guarantee -----------------------------------------------------------------------

Flaw = Callable[[Desk, str], str | None]


def _no_alert(desk: Desk, action: str) -> str | None:
    return None


def _lists_another(desk: Desk, action: str) -> str:
    notice = desk.notice(desk.action())
    desk.attempt(notice, "sent", SLOT - 2 * NOTICE)
    return notice


def _to_another_seller(desk: Desk, action: str) -> str:
    notice = desk.notice(action, seller_id="S-10")
    desk.attempt(notice, "sent", SLOT - 2 * NOTICE)
    return notice


def _no_alert_kind(desk: Desk, action: str) -> str:
    notice = desk.notice(action, is_alert=False)
    desk.attempt(notice, "sent", SLOT - 2 * NOTICE)
    return notice


def _ended(outcome: str) -> Flaw:
    def flaw(desk: Desk, action: str) -> str:
        notice = desk.notice(action)
        desk.attempt(notice, outcome, SLOT - 2 * NOTICE)
        return notice

    return flaw


NO_NOTICE: dict[str, Flaw] = {
    "there is no alert": _no_alert,
    "it lists another action": _lists_another,
    "it is to another seller": _to_another_seller,
    "it is no alert but a post-implementation mail": _no_alert_kind,
    "it is being sent, the server has not answered": _ended("sending"),
    "the server deferred it": _ended("deferred"),
    "the server refused it": _ended("failed"),
    "nobody knows whether the server took it": _ended("unknown"),
    "it lies in a folder, no server has it": _ended("stored"),
}


@pytest.mark.parametrize("flaw", NO_NOTICE.values(), ids=NO_NOTICE.keys())
def test_an_action_is_not_alerted_when(desk: Desk, flaw: Flaw) -> None:
    action = desk.action()
    with refused("no accepted alert lists it|not to the seller"):
        notice = flaw(desk, action)
        desk.event(action, "proposed", SLOT - NOTICE)
        desk.event(action, "alerted", SLOT - NOTICE, notice)


@pytest.mark.parametrize("flaw", NO_NOTICE.values(), ids=NO_NOTICE.keys())
def test_an_action_alerted_too_late_is_not_implemented_though_of_an_early_notice(
    desk: Desk, flaw: Flaw
) -> None:
    action = desk.action()
    desk.alerted(action, SLOT - timedelta(hours=1))
    with refused("was accepted 72 hours before|not to the seller"):
        flaw(desk, action)
        desk.event(action, "implemented")


@pytest.mark.parametrize(
    ("notice_hours", "accepted_before", "is_in_time"),
    [
        (72, timedelta(hours=72), True),
        (72, timedelta(hours=72) - INSTANT, False),
        (72, timedelta(hours=71, minutes=59), False),
        (72, timedelta(hours=74), True),
        # A late-order cancellation needs fewer hours.
        (12, timedelta(hours=12), True),
        (12, timedelta(hours=12) - INSTANT, False),
    ],
)
def test_an_action_is_implemented_only_its_hours_after_the_alert_was_accepted(
    desk: Desk, notice_hours: int, accepted_before: timedelta, is_in_time: bool
) -> None:
    action = desk.action(notice_hours=notice_hours)
    desk.alerted(action, SLOT - accepted_before)
    if is_in_time:
        desk.event(action, "implemented")
    else:
        with refused(f"was accepted {notice_hours} hours before"):
            desk.event(action, "implemented")


def test_one_alert_in_time_is_enough_though_another_was_late(desk: Desk) -> None:
    action = desk.action()
    desk.alerted(action, SLOT - NOTICE)
    desk.attempt(desk.notice(action), "sent", SLOT - INSTANT)
    desk.event(action, "implemented")


@pytest.mark.parametrize("outcome", ["sending", "sent"])
def test_a_notice_on_its_way_gets_no_further_actions(desk: Desk, outcome: str) -> None:
    # Its seller would not be told of them, though an accepted alert listed them.
    notice = desk.notice(desk.action())
    desk.attempt(notice, outcome, SLOT - 2 * NOTICE)
    untold = desk.action()
    with refused("notice"):
        desk.list_(notice, untold)


# --- the states of an action --------------------------------------------------------------------

PATHS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "proposed": ("proposed",),
    "alerted": ("proposed", "alerted"),
    "implemented": ("proposed", "alerted", "implemented"),
    "withdrawn": ("proposed", "withdrawn"),
    "expired": ("proposed", "expired"),
    "reversed": ("proposed", "alerted", "implemented", "reversed"),
}
LEGAL = {
    ("nothing", "proposed"),
    ("proposed", "alerted"),
    ("proposed", "withdrawn"),
    ("proposed", "expired"),
    ("alerted", "implemented"),
    ("alerted", "withdrawn"),
    ("alerted", "expired"),
    ("implemented", "reversed"),
}


@pytest.mark.parametrize("to", [state for state in PATHS if state != "nothing"])
@pytest.mark.parametrize("present", PATHS)
def test_states_follow_one_another_as_the_rulebook_has_them(
    desk: Desk, present: str, to: str
) -> None:
    action = desk.action()
    notice = desk.notice(action)
    desk.attempt(notice, "sent", SLOT - NOTICE)
    for state in PATHS[present]:
        desk.event(action, state, notice=notice)
    if (present, to) in LEGAL:
        desk.event(action, to, notice=notice)
    else:
        with refused(f"{to} does not follow {present}"):
            desk.event(action, to, notice=notice)


def test_a_state_of_no_name_is_refused(desk: Desk) -> None:
    with refused("check constraint|does not follow"):
        desk.event(desk.action(), "forgotten")


# --- postings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "posting"),
    [
        ("more than the action's amount", {"amount": "3000.01"}),
        ("less than the action's amount", {"amount": "2999.99"}),
        ("a debit is positive", {"amount": "-3000.00"}),
        ("another currency", {"amount": "3000.00", "currency": "USD"}),
        ("at another instant than its event", {"amount": "3000.00", "at": SLOT + INSTANT}),
        ("nothing was reversed", {"amount": "-3000.00", "kind": "reversal"}),
        ("a kind of no name", {"amount": "3000.00", "kind": "gift"}),
    ],
)
def test_a_posting_that_is_not_its_events_is_refused(
    desk: Desk, why: str, posting: dict[str, Any]
) -> None:
    action = desk.implemented("3000.00")
    with refused("posting"):
        desk.posting(action, **posting)


def test_a_charge_that_is_not_implemented_is_not_posted(desk: Desk) -> None:
    action = desk.action("3000.00")
    desk.alerted(action)
    with refused("no event of .* causes a debit"):
        desk.posting(action, "3000.00")


def test_a_regulation_is_not_posted(desk: Desk) -> None:
    action = desk.action()
    desk.alerted(action)
    desk.event(action, "implemented")
    with refused("is not the action's amount"):
        desk.posting(action, "1.00")


def test_a_charge_is_posted_once(desk: Desk) -> None:
    action = desk.implemented("3000.00")
    desk.posting(action, "3000.00")
    with refused("postings_action_id_kind_key"):
        desk.posting(action, "3000.00")


def test_a_statement_period_is_named_by_a_monday(desk: Desk) -> None:
    action = desk.implemented("3000.00")
    with refused("statement_period"):
        desk.run(
            "INSERT INTO ledger.postings VALUES (%s, %s, 'debit', 3000, 'NGN', %s, '2026-11-17')",
            str(uuid4()),
            action,
            SLOT,
        )


@pytest.mark.parametrize("is_posted", [True, False])
def test_an_implemented_charge_is_posted_in_its_transaction(desk: Desk, is_posted: bool) -> None:
    action = desk.implemented("3000.00")
    if is_posted:
        desk.posting(action, "3000.00")
        desk.run("SET CONSTRAINTS ALL IMMEDIATE")
    else:
        with refused("implemented without its posting"):
            desk.connection.commit()


@pytest.mark.parametrize("is_posted", [True, False])
def test_a_reversed_charge_is_credited_in_its_transaction(desk: Desk, is_posted: bool) -> None:
    action = desk.implemented("3000.00")
    desk.posting(action, "3000.00")
    desk.event(action, "reversed", SLOT + NOTICE)
    if is_posted:
        desk.posting(action, "-3000.00", kind="reversal", at=SLOT + NOTICE)
        desk.run("SET CONSTRAINTS ALL IMMEDIATE")
    else:
        with refused("reversed without its posting"):
            desk.connection.commit()


def test_a_reversal_of_another_amount_is_refused(desk: Desk) -> None:
    action = desk.implemented("3000.00")
    desk.posting(action, "3000.00")
    desk.event(action, "reversed", SLOT + NOTICE)
    with refused("is not the action's amount"):
        desk.posting(action, "-2999.99", kind="reversal", at=SLOT + NOTICE)


@pytest.mark.parametrize("amount", ["0.00", "-5.00"])
def test_an_action_has_a_positive_amount_or_none(desk: Desk, amount: str) -> None:
    with refused("amount"):
        desk.action(amount)


# --- deliveries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [None, 200, 251, 252, 354, 550])
def test_only_the_servers_250_is_an_acceptance(desk: Desk, code: int | None) -> None:
    notice = desk.notice(desk.action())
    desk.delivery(notice, "sending", SLOT)
    with refused("check constraint"):
        desk.delivery(notice, "sent", SLOT, code=code)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("sending", "a second mail is refused"),
        ("sent", "sent_at_most_once"),
        ("failed", "a second mail is refused"),
        ("undeliverable", "a second mail is refused"),
    ],
)
def test_a_notice_that_was_accepted_is_not_attempted_again(
    desk: Desk, status: str, why: str
) -> None:
    notice = desk.notice(desk.action())
    desk.attempt(notice, "sent", SLOT)
    with refused(why):
        desk.delivery(notice, status, SLOT, attempt=2, code=250)


@pytest.mark.parametrize("status", ["sent", "stored", "deferred", "failed", "unknown"])
def test_an_attempt_that_did_not_begin_has_no_outcome(desk: Desk, status: str) -> None:
    notice = desk.notice(desk.action())
    with refused("an outcome but no beginning"):
        desk.delivery(notice, status, SLOT, code=250)


def test_an_attempt_has_one_outcome(desk: Desk) -> None:
    notice = desk.notice(desk.action())
    desk.attempt(notice, "deferred", SLOT)
    with refused("one_outcome_per_attempt"):
        desk.delivery(notice, "sent", SLOT, code=250)


def test_nothing_is_delivered_without_its_notice(desk: Desk) -> None:
    with refused("there is no notice"):
        desk.delivery(str(uuid4()), "sending", SLOT)


def test_an_attempt_begins_once(desk: Desk) -> None:
    notice = desk.notice(desk.action())
    desk.delivery(notice, "sending", SLOT)
    with refused("deliveries_pkey"):
        desk.delivery(notice, "sending", SLOT + INSTANT)


def test_a_seller_gets_one_notice_of_a_slot(desk: Desk) -> None:
    notice = "INSERT INTO ledger.notices VALUES (%s, 'NG', 'k', true, '2026-11-09', 'S-9', now())"
    desk.run(notice, str(uuid4()))
    with refused("one_notice_a_slot"):
        desk.run(notice, str(uuid4()))


# --- live and simulated -------------------------------------------------------------------------

FUTURE = datetime(2999, 1, 1, tzinfo=made.LAGOS)


def test_a_live_ledger_refuses_an_event_of_the_future(desk: Desk) -> None:
    live = desk.live()
    with refused("the ledger of KE is live: .* has not happened yet"):
        live.event(live.action(), "proposed", FUTURE)


def test_a_live_ledger_refuses_a_delivery_of_the_future(desk: Desk) -> None:
    live = desk.live()
    notice = live.notice(live.action())
    with refused("the ledger of KE is live: .* has not happened yet"):
        live.delivery(notice, "sending", FUTURE)


def test_a_live_ledger_takes_the_present(desk: Desk) -> None:
    live = desk.live()
    live.run(
        "INSERT INTO ledger.action_events (action_id, state, at, cause) "
        "VALUES (%s, 'proposed', clock_timestamp(), 'tried')",
        live.action(),
    )


def test_a_simulated_ledger_takes_the_future(desk: Desk) -> None:
    action = desk.action()
    desk.event(action, "proposed", FUTURE)
    desk.attempt(desk.notice(action), "sent", FUTURE)


def test_a_ledger_stays_what_it_was_first(desk: Desk) -> None:
    with refused("ledgers_pkey"):
        desk.run("INSERT INTO ledger.ledgers VALUES ('NG', false, now())")
