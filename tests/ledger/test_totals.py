"""Totals by rule are what the events and postings add up to, whatever was appended and how."""

from __future__ import annotations

import sqlalchemy as sa
from ledger import made

from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger

A, E, P = schema.actions.c, schema.action_events.c, schema.postings.c
EVENTS, POSTINGS = schema.event_totals.c, schema.posting_totals.c


def test_totals_are_the_sums_of_what_was_appended(ledger: Ledger) -> None:
    charges = [made.charge("S-1", f"I{n}", amount=f"{n}000.10") for n in (1, 2, 3)]
    made.freeze_cycle(ledger, [*charges, made.order_regulation("S-2")])
    made.accept(ledger, sellers=["S-1"])
    made.implement_cycle(ledger)
    made.reverse(ledger, charges[0], made.IMPLEMENT_AT, claim_id=None)
    counted = sa.select(A.rule, E.state, sa.func.count()).join_from(
        schema.action_events, schema.actions, A.action_id == E.action_id
    )
    summed = sa.select(A.rule, P.kind, sa.func.count(), sa.func.sum(P.amount)).join_from(
        schema.postings, schema.actions, A.action_id == P.action_id
    )
    with ledger.reading() as connection:
        events = set(connection.execute(counted.group_by(A.rule, E.state)))
        postings = set(connection.execute(summed.group_by(A.rule, P.kind)))
    assert ("returns_charge", "reversed", 1) in events
    assert ("order_regulation", "proposed", 1) in events
    assert set(made.rows(ledger, EVENTS.rule, EVENTS.state, EVENTS.events)) == events
    columns = (POSTINGS.rule, POSTINGS.kind, POSTINGS.postings, POSTINGS.amount)
    assert set(made.rows(ledger, *columns)) == postings
    assert {kind for _, kind, _, _ in postings} == {"debit", "reversal"}
