"""What the database refuses of decisions that people record, and what their role may do (§11).

Plain SQL: nothing is checked but by the database itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg2
import pytest
from ledger import made
from ledger.plain_sql import SLOT, Connection, Desk, refused

# After everything that the filled ledger holds.
NOW = SLOT + timedelta(days=30)
MINUTE = timedelta(minutes=1)


def taken_in(desk: Desk, claim_id: str, seller_id: str | None = "S-1", at: datetime = SLOT) -> None:
    desk.run(
        "INSERT INTO ledger.claim_intakes (country, claim_id, state, at, seller_id, raised_at, "
        "faults, content_hash) VALUES (%s, %s, 'accepted', %s, %s, %s, '{}', %s)",
        *(desk.country, claim_id, at, seller_id, at - MINUTE, claim_id),
    )


def decided(desk: Desk, **columns: Any) -> None:
    """A good decision on C-7 but for the columns given."""
    good = {"country": desk.country, "claim_id": "C-7", "decision": "rejected", "decided_by": "Ada"}
    row = {**good, "decided_at": NOW, **columns}
    names, values = ", ".join(row), ", ".join(["%s"] * len(row))
    desk.run(f"INSERT INTO ledger.recorded_decisions ({names}) VALUES ({values})", *row.values())


def account(word: str, **columns: Any) -> dict[str, Any]:
    return {"claim_id": None, "seller_id": "S-1", "decision": word, **columns}


@pytest.fixture
def claimed(desk: Desk) -> Desk:
    """S-1 has a claim, C-7; S-1 is listed for review, and was delisted at the implementation."""
    taken_in(desk, "C-7")
    return desk


def test_who_is_whose_is_set_by_the_ledger(claimed: Desk) -> None:
    decided(claimed)
    with claimed.connection.cursor() as cursor:
        cursor.execute("SELECT seller_id FROM ledger.recorded_decisions WHERE claim_id = 'C-7'")
        assert cursor.fetchall() == [("S-1",)]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        pytest.param({"claim_id": "C-9"}, "has taken in no claim C-9", id="an unknown claim"),
        pytest.param({"seller_id": "S-2"}, "claim C-7 is not of seller S-2", id="a stranger's"),
        pytest.param({"country": "KE"}, "there is no ledger of KE", id="of another country"),
        pytest.param(
            {"decision": "uphold"}, "uphold is no decision on a claim", id="a typing slip"
        ),
        pytest.param({"decision": "delist"}, "delist is no decision on a claim", id="of accounts"),
        pytest.param({"decided_by": None}, "bears the name of the person", id="nobody"),
        pytest.param({"decided_by": " \t"}, "bears the name of the person", id="a blank name"),
        pytest.param({"decided_by": "A\x1b[2J"}, "bears the name of the person", id="an escape"),
        pytest.param({"decided_by": "A" * 101}, "at most 100 characters", id="a long name"),
        pytest.param({"decided_at": None}, "needs the instant", id="no instant"),
        pytest.param({"decided_at": "infinity"}, "needs the instant", id="no real instant"),
        pytest.param({"decided_at": SLOT - MINUTE}, "not back-dated", id="before the slots"),
        pytest.param(account("remove"), "remove is no decision on an account", id="a wrong word"),
        pytest.param(account("delist", seller_id="S-2"), "lists no seller S-2", id="no review"),
        pytest.param(account("keep", seller_id=None), "lists no seller", id="of nothing"),
        pytest.param(
            account("delist"), "seller S-1: delist was decided already, by Ada at ", id="twice"
        ),
    ],
)
def test_a_decision_that_nobody_could_have_made_is_refused(
    claimed: Desk, columns: dict[str, Any], why: str
) -> None:
    with refused(why):
        decided(claimed, **columns)


def test_no_decision_is_older_than_the_newest(claimed: Desk) -> None:
    taken_in(claimed, "C-8")
    decided(claimed, decided_at=NOW)
    with refused("not back-dated: at the earliest it is of 2026-12-21"):
        decided(claimed, claim_id="C-8", decided_at=NOW - MINUTE)


@pytest.mark.parametrize("first", ["upheld", "rejected"])
@pytest.mark.parametrize("second", ["upheld", "rejected"])
def test_only_a_rejected_claim_is_decided_again(claimed: Desk, first: str, second: str) -> None:
    decided(claimed, decision=first)
    if (first, second) == ("rejected", "upheld"):
        decided(claimed, decision=second)
        return
    with refused(f"claim C-7 was {first} already, by Ada at "):
        decided(claimed, decision=second)


def test_what_the_warehouse_decided_is_not_decided_again(claimed: Desk) -> None:
    claimed.run(
        "INSERT INTO ledger.claim_decisions (country, claim_id, decision, decided_at, at, "
        "is_matched) VALUES ('NG', 'C-7', 'upheld', %s, %s, true)",
        *(SLOT, SLOT),
    )
    with refused("upheld already, by a decision in the order warehouse at"):
        decided(claimed)


def test_a_claim_that_became_another_sellers_is_theirs_to_be_decided(claimed: Desk) -> None:
    decided(claimed)
    claimed.run(
        "INSERT INTO ledger.claim_intakes (country, claim_id, state, at, seller_id, faults, "
        "content_hash) VALUES ('NG', 'C-7', 'accepted', %s, 'S-2', '{}', 'anew')",
        NOW,
    )
    decided(claimed)


def test_a_live_ledger_sets_the_instant_itself(claimed: Desk) -> None:
    live = claimed.live()
    taken_in(live, "C-7", at=datetime.now(made.LAGOS))
    decided(live, decided_at=None)
    with live.connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() - decided_at < interval '1 minute' "
            "FROM ledger.recorded_decisions WHERE country = 'KE'"
        )
        assert cursor.fetchall() == [(True,)]


def test_a_live_ledger_takes_no_instant(claimed: Desk) -> None:
    live = claimed.live()
    taken_in(live, "C-7", at=datetime.now(made.LAGOS))
    with refused("the ledger of KE is live: it sets the instant of a decision itself"):
        decided(live, decided_at=datetime.now(made.LAGOS))


# The role ----------------------------------------------------------------------------------------


@pytest.fixture
def operator(claimed: Desk) -> Desk:
    """A person who has the role of operations and no other."""
    claimed.run("CREATE ROLE operator")
    claimed.run("GRANT vibes_operations TO operator")
    claimed.run("SET LOCAL ROLE operator")
    return claimed


def test_the_role_of_operations_records_decisions(operator: Desk) -> None:
    decided(operator)
    decided(operator, **account("keep"))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger.claim_decisions (country, claim_id, decision, decided_at, at, "
        "is_matched) VALUES ('NG', 'C-7', 'upheld', now(), now(), true)",
        "UPDATE ledger.recorded_decisions SET decision = 'keep'",
        "DELETE FROM ledger.recorded_decisions",
        "TRUNCATE ledger.recorded_decisions",
        "DELETE FROM ledger.actions",
        "SELECT * FROM ledger.address_keys",
        "SELECT * FROM finance.charges",
        "CREATE TABLE ledger.mine (n INTEGER)",
    ],
)
def test_it_may_do_nothing_else(operator: Desk, statement: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        operator.run(statement)


def test_another_role_records_none(raw: Connection, claimed: Desk) -> None:
    for reader in ("vibes_finance", "vibes_enforcement"):
        claimed.run("SAVEPOINT before")
        claimed.run(f"SET LOCAL ROLE {reader}")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            decided(claimed)
        claimed.run("ROLLBACK TO SAVEPOINT before")
