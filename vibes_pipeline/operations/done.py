"""What was done in a span of time: actions and naira by rule and state, mails accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import CANCELLED, State, Status
from vibes_pipeline.rules import REGISTRY

# What changes something for a seller, in the order in which people are told.
SHOWN = (State.IMPLEMENTED, *CANCELLED, State.EXPIRED)


@dataclass(frozen=True)
class DoneByRule:
    """Actions of a rule that entered a state, and their naira, if it is a charge."""

    rule: str
    state: str
    count: int
    amount: Decimal | None


@dataclass(frozen=True)
class Done:
    """What was done from one instant on, before another."""

    actions: Sequence[DoneByRule]
    mails: int


def done_between(ledger: Ledger, since: datetime, until: datetime) -> Done:
    """What entered a state, or was accepted by the mail server, in `[since, until)`."""
    a, e = schema.actions.c, schema.action_events.c
    n, d = schema.notices.c, schema.deliveries.c
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(a.rule, e.state, sa.func.count(), sa.func.sum(a.amount))
            .join(schema.actions, a.action_id == e.action_id)
            .where(
                a.country == ledger.country,
                e.at >= since,
                e.at < until,
                e.state.in_(SHOWN),
            )
            .group_by(a.rule, e.state)
        )
        actions = [DoneByRule(*row) for row in rows]
        mails = connection.execute(
            sa.select(sa.func.count())
            .select_from(schema.deliveries)
            .join(schema.notices, n.notice_id == d.notice_id)
            .where(
                n.country == ledger.country,
                d.status == Status.SENT,
                d.at >= since,
                d.at < until,
            )
        ).scalar_one()
    return Done(sorted(actions, key=_place), mails)


def _place(of: DoneByRule) -> tuple[int, int]:
    """A rule that a later program has recorded comes last."""
    rules = [rule.value for rule in REGISTRY]
    place = rules.index(of.rule) if of.rule in rules else len(rules)
    return place, SHOWN.index(State(of.state))
