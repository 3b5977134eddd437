"""A ledger and a lake in which something waits for every cause."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import claims, recorded, undecipherable
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.recorded import Decision
from vibes_pipeline.ledger.undecipherable import Undecipherable
from vibes_pipeline.settings import Settings

DAY = timedelta(days=1)
# The Monday after the implementation; its late alert was due at 06:00.
NOW = made.local("2026-11-23 07:30")
# Three working days have passed since Tuesday, and only two since Wednesday.
WITHIN = made.local("2026-11-18 09:00")
OVER = made.local("2026-11-17 23:59:59")
HELD, FREED = "CC-1", "CC-2"
HOSTILE = "<script>alert(1)</script>\r\nBcc: owner@shop.example"


def fill(ledger: Ledger, settings: Settings) -> None:
    """Let something wait for every cause, as of `NOW`."""
    begin_the_cycle(ledger)
    raise_claims(ledger)
    leave_partitions(settings)


def begin_the_cycle(ledger: Ledger) -> None:
    reviews = pl.DataFrame(
        [
            {"seller_id": s, "quality_returns": 1, "dropoff_failures": 0, "counterfeits": 0}
            for s in ("S-1", "S-2", "S-3", "kept", "recorded")
        ]
    )
    charges = [made.charge("S-1", f"I{n}", amount=f"{n}000.00") for n in (1, 2, 3)]
    unsent = [
        made.charge(seller, f"I{n}", amount="1500.00")
        for n, seller in enumerate(("no address", "refused", "lost", "stored", "later"), start=10)
    ]
    actions = [*charges, *unsent, made.account_delisting("S-3")]
    made.freeze_cycle(ledger, actions, reviews=reviews)
    made.accept(ledger, sellers=["S-1", "S-3"])
    tries = {
        "no address": ["undeliverable"],
        "refused": ["failed"],
        "lost": ["unknown", "unknown"],
        "stored": ["stored"],
        "later": ["deferred"],
    }
    for notice in made.open_notices(ledger):
        for attempt, status in enumerate(tries.get(notice.seller_id, []), start=1):
            if status != "undeliverable":
                made.record(ledger, notice, attempt, "sending", made.ALERT_AT)
            made.record(ledger, notice, attempt, status, made.ALERT_AT)
    made.implement_cycle(ledger, missing=[charges[2]["action_id"]])
    made.accept(ledger, made.IMPLEMENT_AT, sellers=["S-1", "S-3"])
    keep = Decision("keep", "Ada", seller_id="recorded")
    recorded.record(ledger, keep, made.IMPLEMENT_AT, made.LAGOS)


def raise_claims(ledger: Ledger) -> None:
    with ledger.writing(is_simulated=True, now=made.IMPLEMENT_AT) as connection:
        order = made.charge("S-1", "I1")["order_number"]
        reference = made.charge("S-1", "I2")["reference"]
        take_in(connection, "C-over", OVER, order_number=order)
        # Both are about the one charge: it is at stake once.
        take_in(connection, "C-1", WITHIN, action_reference=reference)
        take_in(connection, "C-2", WITHIN + DAY, action_reference=reference)
        take_in(connection, HOSTILE, WITHIN, seller_id="S-2", order_number=order)
        take_in(connection, "C-lacking", OVER, state="incomplete", order_number=order)
        take_in(connection, HELD, WITHIN, category="counterfeit", order_number="another")
        take_in(connection, FREED, WITHIN, category="counterfeit")
        decide(connection, FREED, "rejected", is_matched=True)
        take_in(connection, "C-unmatched", OVER)
        decide(connection, "C-unmatched", "upheld", is_matched=False)
    values = [
        Undecipherable(name, "claims", name, "S-1", "decided_at is null", "upheld")
        for name in ("C-8", "C-9")
    ]
    undecipherable.record_seen(ledger, values, is_simulated=True, now=made.IMPLEMENT_AT)
    undecipherable.record_seen(ledger, values[:1], is_simulated=True, now=made.IMPLEMENT_AT)


def take_in(connection: sa.Connection, claim_id: str, raised_at: datetime, **stated: Any) -> None:
    claim = {
        "claim_id": claim_id,
        "state": "accepted",
        "category": "vibes_action",
        "seller_id": "S-1",
        "order_number": None,
        "sku": None,
        "action_reference": None,
        "raised_at": raised_at,
        "faults": {},
        "content_hash": claim_id,
    }
    claims.record_intake(connection, "NG", {**claim, **stated}, made.IMPLEMENT_AT)


def decide(connection: sa.Connection, claim_id: str, decision: str, *, is_matched: bool) -> None:
    at = made.IMPLEMENT_AT
    claims.record_decision(connection, "NG", claim_id, decision, at, at, is_matched=is_matched)


def leave_partitions(settings: Settings) -> None:
    """What the weekly alert leaves of what the ledger does not hold."""
    case = {"seller_id": "S-9", "order_item_id": "I9", "event_at": WITHIN}
    left = {
        "claims.held_counterfeit_cases": [
            {"case_id": claim, "claim_id": claim, **case} for claim in (HELD, FREED)
        ],
        "events.counterfeit_findings": [
            {"case_id": "K-1", "notified_at": None, "evidence_closes_at": None, **case},
            {"case_id": "K-2", "notified_at": WITHIN, "evidence_closes_at": NOW, **case},
        ],
        "warehouse.latest_account_decisions": [
            {"seller_id": "kept", "decision": "keep", "decided_at": made.ALERT_AT},
            {"seller_id": "S-1", "decision": "keep", "decided_at": made.ALERT_AT - made.WEEK},
        ],
        "warehouse.older_open_items": [
            {"seller_id": "S-1", "open_items": 3, "oldest_pending_at": OVER},
            {"seller_id": "S-2", "open_items": 1, "oldest_pending_at": WITHIN},
        ],
        "warehouse.quarantine": [
            {"table_name": "order_items", "faults": "price is null"} for _ in range(2)
        ],
    }
    folder = settings.lake / "NG" / Slot.WEEKLY_ALERT / made.CYCLE.isoformat()
    for relation, rows in left.items():
        file = folder.joinpath(*relation.split(".")).with_suffix(".parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows).write_parquet(file)
