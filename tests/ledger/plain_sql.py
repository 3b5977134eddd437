"""A desk that writes ledger rows in plain SQL: nothing is checked but by the database itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg2
import psycopg2.extensions
import pytest
import sqlalchemy as sa
from ledger import made

Connection = psycopg2.extensions.connection

SLOT = made.IMPLEMENT_AT
NOTICE = timedelta(hours=72)
INSTANT = timedelta(microseconds=1)


@dataclass
class Desk:
    """Writes ledger rows in plain SQL, with nothing checked but by the database."""

    connection: Connection
    country: str = "NG"
    notices: int = field(default=0, init=False)

    def run(self, statement: str, *values: Any) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

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


def refused(why: str) -> Any:
    return pytest.raises(psycopg2.errors.IntegrityError, match=why)


def plain_url(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
