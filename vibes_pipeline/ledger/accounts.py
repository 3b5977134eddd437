"""The accounts that charges are booked on, recorded before the first debit that bears them (§17).

The policy file names them by date and may be amended later; what is booked stays on the accounts
recorded here. Which accounts a posting bears says the view `finance.journal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import schema

# The receivable and the income account of a rule.
Accounts = tuple[str, str]


def record_accounts(
    connection: sa.Connection, country: str, accounts: Mapping[str, Accounts], now: datetime
) -> None:
    """Append the accounts of each rule that has others, or none, so far: they hold from `now` on.

    The first accounts of a rule hold for what was debited before, too.
    """
    known = known_accounts(connection, country)
    changed = {rule: given for rule, given in accounts.items() if given != known.get(rule)}
    _append(connection, country, changed, now)


def record_first_accounts(
    connection: sa.Connection, country: str, accounts: Mapping[str, Accounts], now: datetime
) -> None:
    """Append the accounts of each rule that has none: a ledger may be older than they are."""
    known = known_accounts(connection, country)
    first = {rule: given for rule, given in accounts.items() if rule not in known}
    _append(connection, country, first, now)


def without_accounts(rules: Collection[str]) -> LedgerError:
    """What is said when something posted bears no accounts."""
    return LedgerError(
        f"no accounts are recorded of {', '.join(sorted(rules))}: the next weekly implementation, "
        "or `vibes close` of a period, records those of the policy"
    )


def known_accounts(connection: sa.Connection, country: str) -> dict[str, Accounts]:
    """The newest accounts of each rule that has any."""
    c = schema.charge_accounts.c
    rows = connection.execute(
        sa.select(c.rule, c.receivable_account, c.income_account)
        .where(c.country == country)
        .order_by(c.since)
    )
    return {rule: (receivable, income) for rule, receivable, income in rows}


def _append(
    connection: sa.Connection, country: str, accounts: Mapping[str, Accounts], now: datetime
) -> None:
    rows = [
        {
            "country": country,
            "rule": rule,
            "since": now,
            "receivable_account": receivable,
            "income_account": income,
        }
        for rule, (receivable, income) in accounts.items()
    ]
    if rows:
        connection.execute(sa.insert(schema.charge_accounts), rows)
