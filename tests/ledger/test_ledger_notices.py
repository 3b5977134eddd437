"""Notices in the ledger: which are open, and what an attempt leaves behind (Rulebook §2, §12)."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from ledger import made
from patience import PATIENCE_SECONDS

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.notices import (
    OpenNotice,
    actions_to_list,
    not_accepted,
    only_sender,
    plan_notices,
)

LATER = made.ALERT_AT + timedelta(minutes=3)


def withdraw(ledger: Ledger, *actions: made.Action) -> None:
    with ledger.writing(is_simulated=True, now=LATER) as connection:
        _withdraw(connection, *actions)


def _withdraw(connection: sa.Connection, *actions: made.Action) -> None:
    for action in actions:
        connection.execute(
            schema.action_events.insert().values(
                action_id=action["action_id"], state="withdrawn", at=LATER, cause="tried"
            )
        )


def one_alert(ledger: Ledger, *actions: made.Action) -> OpenNotice:
    made.freeze_cycle(ledger, actions or made.a_handful()[:1])
    (notice,) = made.open_notices(ledger)
    return notice


# --- which are open -----------------------------------------------------------------------------


def test_a_notice_is_open_until_a_server_has_accepted_it(ledger: Ledger) -> None:
    notice = one_alert(ledger)
    for attempt, status in enumerate(("deferred", "unknown", "stored", "failed"), start=1):
        assert made.record(ledger, notice, attempt, "sending", LATER)
        assert made.record(ledger, notice, attempt, status, LATER)
        (still,) = made.open_notices(ledger)
        assert (still.status, still.attempts, still.last_at) == (status, attempt, LATER)
    assert still.unknowns == 1
    made.accept(ledger)
    assert made.open_notices(ledger) == []


def test_the_oldest_notices_come_first(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    given = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(ledger, [made.charge("S-1", "I8", given=given)], cycle=made.NEXT_CYCLE)
    assert [n.period for n in made.open_notices(ledger)] == [made.CYCLE] * 3 + [made.NEXT_CYCLE]


def test_a_notice_tells_only_of_what_still_stands(ledger: Ledger) -> None:
    gone, kept = made.charge("S-1", "I1"), made.charge("S-1", "I2")
    made.freeze_cycle(ledger, [gone, kept])
    withdraw(ledger, gone)
    (notice,) = made.open_notices(ledger)
    assert list(notice.actions) == [kept["action_id"]]
    with ledger.engine.connect() as connection:
        told = actions_to_list(connection, [notice])[notice.notice_id]
    assert [row["order_item_id"] for row in told] == ["I2"]


def test_an_alert_of_which_nothing_stands_any_more_is_pointless(ledger: Ledger) -> None:
    actions = [made.charge("S-1", "I1"), made.charge("S-1", "I2")]
    made.freeze_cycle(ledger, actions)
    withdraw(ledger, *actions)
    assert made.open_notices(ledger) == []


def test_an_alert_is_pointless_once_its_regulations_have_expired(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.order_regulation("S-1"), made.charge("S-2", "I2")])
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    assert [n.seller_id for n in made.open_notices(ledger)] == ["S-2"]


def test_a_notice_with_an_end_is_pointless_from_then_on(ledger: Ledger) -> None:
    charge = made.charge("S-1", "I1")
    made.freeze_cycle(ledger, [charge])
    made.accept(ledger)
    end = made.local("2026-11-18 11:00")
    with ledger.writing(is_simulated=True, now=made.ALERT_AT) as connection:
        plan_notices(
            connection,
            country="NG",
            kind=NoticeKind.LATE_ALERT,
            period=date(2026, 11, 18),
            actions=made.proposal([charge]),
            now=made.ALERT_AT,
            pointless_at=end,
        )
    assert len(made.open_notices(ledger, end - timedelta(microseconds=1))) == 1
    assert made.open_notices(ledger, end) == []


def test_a_post_implementation_mail_is_due_once_the_actions_are_implemented(
    ledger: Ledger,
) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger)
    made.implement_cycle(ledger)
    mails = made.open_notices(ledger)
    assert {n.kind for n in mails} == {"weekly_implementation"}
    made.accept(ledger, made.IMPLEMENT_AT)
    assert made.open_notices(ledger) == []


def test_another_countrys_notices_are_not_open_here(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    assert made.open_notices(Ledger(ledger.engine, "KE")) == []


def test_sellers_whom_a_notice_did_not_reach_are_listed_with_its_state(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    made.accept(ledger, sellers=["S-1"])
    (notice,) = (n for n in made.open_notices(ledger) if n.seller_id == "S-3")
    assert made.record(ledger, notice, 1, "undeliverable", LATER)
    assert not_accepted(ledger, "weekly_alert", made.CYCLE) == [
        ("S-2", "queued"),
        ("S-3", "undeliverable"),
    ]
    assert not_accepted(ledger, "weekly_alert", made.NEXT_CYCLE) == []


# --- what an attempt leaves behind --------------------------------------------------------------


def test_an_accepted_alert_and_its_alerted_actions_are_one_transaction(ledger: Ledger) -> None:
    notice = one_alert(ledger, made.charge("S-1", "I1"), made.order_regulation("S-1"))
    made.record(ledger, notice, 1, "sending", made.ALERT_AT)
    reply_at = made.ALERT_AT + timedelta(seconds=7)
    made.record(ledger, notice, 1, "sent", reply_at, code=250, slot_now=made.ALERT_AT)

    with ledger.reading() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT 'delivery', at, xmin::text FROM ledger.deliveries WHERE status = 'sent' "
                "UNION ALL "
                "SELECT 'event', at, xmin::text FROM ledger.action_events WHERE state = 'alerted'"
            )
        ).fetchall()
    # The delivery bears the moment of the server's reply, the events the slot's instant.
    assert sorted((kind, at) for kind, at, _ in rows) == [
        ("delivery", reply_at),
        ("event", made.ALERT_AT),
        ("event", made.ALERT_AT),
    ]
    assert len({transaction for *_, transaction in rows}) == 1


def test_an_attempt_recorded_a_second_time_is_taken_by_another(ledger: Ledger) -> None:
    notice = one_alert(ledger)
    assert made.record(ledger, notice, 1, "sending", LATER)
    before = made.counts(ledger)
    assert not made.record(ledger, notice, 1, "sending", LATER)
    assert made.counts(ledger) == before


def test_an_attempt_the_database_refuses_for_another_reason_is_an_error(ledger: Ledger) -> None:
    # Taken for "another was first", a wrong clock would end all mail without a word.
    made.freeze_cycle(
        ledger, made.a_handful()[:1], now=made.local("2024-01-03 07:00"), is_simulated=False
    )
    (notice,) = made.open_notices(ledger)
    with pytest.raises(LedgerError, match="has not happened yet"):
        made.record(ledger, notice, 1, "sending", made.local("2999-01-02 07:00"))


@pytest.mark.parametrize("others", [0, 1])
def test_an_acceptance_is_recorded_though_an_action_is_withdrawn_meanwhile(
    ledger: Ledger, others: int
) -> None:
    # The mail is with its seller: lost, the acceptance would make the outbox send it again.
    withdrawn = made.charge("S-1", "I0")
    kept = [made.charge("S-1", f"I{n}") for n in range(1, 1 + others)]
    notice = one_alert(ledger, withdrawn, *kept)
    made.record(ledger, notice, 1, "sending", made.ALERT_AT)

    recorded: list[bool] = []

    def record() -> None:
        recorded.append(made.record(ledger, notice, 1, "sent", LATER, code=250))

    thread = threading.Thread(target=record)
    with ledger.writing(is_simulated=True, now=LATER) as connection:
        _withdraw(connection, withdrawn)
        thread.start()
        thread.join(0.3)
    thread.join(PATIENCE_SECONDS)

    assert recorded == [True]
    status = made.rows(ledger, views.notice_states.c.status)
    assert status == [("sent",)]
    assert made.states(ledger) == {
        ("returns_charge", "I0"): "withdrawn",
        **{("returns_charge", f"I{n}"): "alerted" for n in range(1, 1 + others)},
    }


# --- one sender ---------------------------------------------------------------------------------


def test_only_one_holds_the_outbox_at_a_time(ledger: Ledger) -> None:
    is_in = threading.Event()

    def hold() -> None:
        with only_sender(ledger):
            is_in.set()

    with only_sender(ledger):
        second = threading.Thread(target=hold)
        second.start()
        assert not is_in.wait(0.3)
    assert is_in.wait(PATIENCE_SECONDS)
    second.join()


def test_a_sender_that_failed_holds_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), only_sender(ledger):
        raise RuntimeError
    with only_sender(Ledger(ledger.engine, "NG")):
        pass


def test_slots_change_state_while_mail_goes_out(ledger: Ledger) -> None:
    with only_sender(ledger):
        made.freeze_cycle(ledger, made.a_handful())
    assert len(made.open_notices(ledger)) == 3
