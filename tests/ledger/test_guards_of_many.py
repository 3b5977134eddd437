"""What the database refuses of many rows in one statement, and of two writers at once (§2, §12).

What it refuses of one row is in `test_guarantees`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg2
import pytest
import sqlalchemy as sa
from ledger import made
from ledger.plain_sql import NOTICE, SLOT, Connection, Desk, plain_url, refused
from patience import PATIENCE_SECONDS

from vibes_pipeline.ledger.ledger import Ledger

ROWS = 300
MANY_ROWS = 20_000


def add_events(desk: Desk, *events: tuple[str, str]) -> None:
    """Events of several actions, (action, state) each, by one statement."""
    actions, states = zip(*events, strict=True)
    desk.run(
        "INSERT INTO ledger.action_events (action_id, state, at, cause) "
        "SELECT action_id::uuid, state, %s, 'tried' FROM unnest(%s, %s) AS t (action_id, state)",
        SLOT,
        [*actions],
        [*states],
    )


def _out_of_order(desk: Desk, good: str) -> None:
    add_events(desk, (good, "withdrawn"), (desk.action(), "withdrawn"))


def _twice(desk: Desk, good: str) -> None:
    add_events(desk, (good, "withdrawn"), (good, "withdrawn"))


def _ended_twice(desk: Desk, good: str) -> None:
    add_events(desk, (good, "withdrawn"), (good, "expired"))


def _without_notice(desk: Desk, good: str) -> None:
    late = desk.action()
    desk.alerted(late, SLOT - NOTICE / 2)
    add_events(desk, (good, "implemented"), (late, "implemented"))


def add_deliveries(desk: Desk, *deliveries: tuple[str, int, str]) -> None:
    """Deliveries of several notices, (notice, attempt, status) each, by one statement."""
    notices, attempts, statuses = zip(*deliveries, strict=True)
    desk.run(
        "INSERT INTO ledger.deliveries (notice_id, attempt, status, at, code) "
        "SELECT notice_id::uuid, attempt, status, %s, 250 "
        "FROM unnest(%s, %s, %s) AS t (notice_id, attempt, status)",
        SLOT,
        [*notices],
        [*attempts],
        [*statuses],
    )


def _without_a_beginning(desk: Desk, good: str) -> None:
    begun, unbegun = desk.notice(good), desk.notice(good)
    add_deliveries(desk, (begun, 1, "sending"), (begun, 1, "sent"), (unbegun, 1, "sent"))


def _begun_after_its_acceptance(desk: Desk, good: str) -> None:
    notice = desk.notice(good)
    add_deliveries(desk, (notice, 1, "sending"), (notice, 1, "sent"), (notice, 2, "sending"))


def _accepted_before(desk: Desk, good: str) -> None:
    accepted, other = desk.notice(good), desk.notice(good)
    desk.attempt(accepted, "sent", SLOT)
    add_deliveries(desk, (other, 1, "sending"), (other, 1, "sent"), (accepted, 2, "sending"))


def _listed_with_another_seller(desk: Desk, good: str) -> None:
    notice = desk.notice()
    desk.run(
        "INSERT INTO ledger.notice_actions SELECT %s, unnest(%s::uuid[])",
        notice,
        [good, desk.action(seller_id="S-10")],
    )


def _listed_unknown(desk: Desk, good: str) -> None:
    desk.run(
        "INSERT INTO ledger.notice_actions VALUES (%s, %s), (%s, gen_random_uuid())",
        *(notice := desk.notice(), good, notice),
    )


def _posted_wrongly(desk: Desk, good: str) -> None:
    desk.run(
        "INSERT INTO ledger.postings SELECT gen_random_uuid(), action_id, 'debit', amount, 'NGN', "
        "%s, '2026-11-16' FROM unnest(%s::uuid[], '{3000, 2999}'::numeric[]) AS t (action_id, amount)",
        SLOT,
        [desk.implemented("3000.00"), desk.implemented("3000.00")],
    )


def _posted_unknown(desk: Desk, good: str) -> None:
    desk.posting("00000000-0000-0000-0000-000000000000", "3000.00")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        pytest.param(_out_of_order, "withdrawn does not follow nothing", id="out of order"),
        pytest.param(_twice, "withdrawn does not follow withdrawn", id="twice"),
        pytest.param(_ended_twice, "expired does not follow withdrawn", id="two ends"),
        pytest.param(_without_notice, "was accepted 72 hours before", id="too little notice"),
        pytest.param(_without_a_beginning, "an outcome but no beginning", id="no beginning"),
        pytest.param(_begun_after_its_acceptance, "a second mail is refused", id="two mails"),
        pytest.param(_accepted_before, "a second mail is refused", id="accepted before"),
        pytest.param(_listed_with_another_seller, "is not to the seller", id="another's"),
        pytest.param(_listed_unknown, "is not to the seller", id="no such action"),
        pytest.param(_posted_wrongly, "2999.00 NGN is not the action's amount", id="amount"),
        pytest.param(_posted_unknown, "is not the action's amount", id="nothing posted"),
    ],
)
def test_one_bad_row_among_good_ones_refuses_the_statement(
    desk: Desk, statement: Callable[[Desk, str], None], why: str
) -> None:
    good = desk.action()
    desk.alerted(good)
    with refused(why):
        statement(desk, good)


def test_states_that_follow_one_another_may_come_in_one_statement(desk: Desk) -> None:
    action, other = desk.action(), desk.action()
    add_events(desk, (action, "proposed"), (other, "proposed"), (action, "withdrawn"))


def test_attempts_that_follow_one_another_may_come_in_one_statement(desk: Desk) -> None:
    one, other = desk.notice(desk.action()), desk.notice(desk.action())
    attempts = ((1, "sending"), (1, "deferred"), (2, "sending"), (2, "sent"))
    add_deliveries(desk, *((notice, *attempt) for attempt in attempts for notice in (one, other)))


def test_an_event_slipped_in_before_others_is_refused(desk: Desk) -> None:
    action = desk.action()
    desk.alerted(action)
    with refused("withdrawn does not follow nothing"):
        desk.run(
            "INSERT INTO ledger.action_events (event_id, action_id, state, at, cause) "
            "OVERRIDING SYSTEM VALUE VALUES (-1, %s, 'withdrawn', %s, 'tried')",
            action,
            SLOT,
        )


def test_guards_read_a_few_rows_for_each_row_whatever_their_plans_were_made_for(
    desk: Desk,
) -> None:
    # A session keeps its plans: these were made for one row, in tables known to hold a handful.
    desk.run("ANALYZE ledger.actions, ledger.action_events, ledger.notices, ledger.notice_actions")
    # How the server looks up what a foreign key points to is the next test's matter.
    desk.run("ALTER TABLE ledger.action_events DROP CONSTRAINT action_events_action_id_fkey")
    desk.notice(first := desk.action())
    desk.event(first, "proposed")
    actions = [desk.action() for _ in range(ROWS)]
    before = rows_read(desk)
    add_events(desk, *((action, "proposed") for action in actions))
    desk.run(
        "INSERT INTO ledger.notice_actions SELECT %s, unnest(%s::uuid[])", desk.notice(), actions
    )
    notices = [desk.notice() for _ in range(ROWS)]
    add_deliveries(desk, *((notice, 1, "sending") for notice in notices))
    assert rows_read(desk) - before < 30 * ROWS


def test_what_is_checked_row_by_row_is_planned_once_and_by_an_index(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
    with ledger.engine.connect() as connection:
        connection.execute(sa.text("ANALYZE ledger.actions"))
        connection.commit()
    with ledger.writing(is_simulated=True, now=SLOT) as connection:
        desk = Desk(connection.connection.dbapi_connection)  # type: ignore[arg-type]
        desk.event(desk.action(), "proposed")
        actions = [desk.action() for _ in range(ROWS)]
        before = rows_read(desk)
        add_events(desk, *((action, "proposed") for action in actions))
        assert rows_read(desk) - before < 20 * ROWS
        connection.rollback()


def test_open_actions_are_struck_off_by_index_even_where_the_server_has_seen_none(
    desk: Desk,
) -> None:
    # What is listed of actions is the matter here, not the actions.
    desk.run("ALTER TABLE ledger.action_events DROP CONSTRAINT action_events_action_id_fkey")
    desk.event(desk.action(), "proposed")
    withdraw_what_is_open(desk)
    desk.run("ANALYZE ledger.open_actions")
    # Where each of them is compared with each, so many take half a minute.
    desk.run("SET LOCAL statement_timeout = '5s'")
    desk.run(
        "INSERT INTO ledger.action_events (action_id, state, at, cause) "
        "SELECT gen_random_uuid(), 'proposed', %s, 'tried' FROM generate_series(1, %s)",
        SLOT,
        MANY_ROWS,
    )
    withdraw_what_is_open(desk)
    with desk.connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger.open_actions")
        assert cursor.fetchall() == [(0,)]


def withdraw_what_is_open(desk: Desk) -> None:
    desk.run(
        "INSERT INTO ledger.action_events (action_id, state, at, cause) "
        "SELECT action_id, 'withdrawn', %s, 'tried' FROM ledger.open_actions",
        SLOT,
    )


def rows_read(desk: Desk) -> int:
    """Rows of the ledger's tables that this transaction has read so far."""
    with desk.connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables "
            "WHERE schemaname = 'ledger'"
        )
        ((read,),) = cursor.fetchall()
    return int(read)


# --- two writers --------------------------------------------------------------------------------


def _withdraws(desk: Desk, action: str) -> None:
    desk.event(action, "withdrawn")


def _expires(desk: Desk, action: str) -> None:
    desk.event(action, "expired")


def _sends(desk: Desk, action: str) -> None:
    notice, _ = noticed(desk, action)
    desk.delivery(notice, "sending", SLOT)


def _lists_another(desk: Desk, action: str) -> None:
    notice, seller = noticed(desk, action)
    desk.list_(notice, desk.action(seller_id=seller))


def noticed(desk: Desk, action: str) -> tuple[str, str]:
    with desk.connection.cursor() as cursor:
        cursor.execute(
            "SELECT notice_id, seller_id FROM ledger.notices JOIN ledger.notice_actions "
            "USING (notice_id) WHERE action_id = %s",
            (action,),
        )
        ((notice, seller),) = cursor.fetchall()
    return str(notice), str(seller)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        pytest.param(_withdraws, _expires, "expired does not follow withdrawn", id="two ends"),
        pytest.param(_sends, _lists_another, "is being sent", id="listed when it is being sent"),
    ],
)
def test_a_second_writer_waits_and_is_judged_by_what_the_first_wrote(
    ledger: Ledger,
    first: Callable[[Desk, str], None],
    second: Callable[[Desk, str], None],
    why: str,
) -> None:
    charge = made.charge("S-1", "I1")
    made.freeze_cycle(ledger, [charge])
    action, refusals = str(charge["action_id"]), list[str]()

    def try_second(connection: Connection) -> None:
        try:
            second(Desk(connection), action)
        except psycopg2.errors.IntegrityError as error:
            refusals.append(str(error))

    one, other = (psycopg2.connect(plain_url(ledger.engine.url)) for _ in range(2))
    first(Desk(one), action)
    thread = threading.Thread(target=try_second, args=[other])
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    one.commit()
    thread.join(PATIENCE_SECONDS)
    for connection in (one, other):
        connection.close()
    assert len(refusals) == 1
    assert why in refusals[0]
