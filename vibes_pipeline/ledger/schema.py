"""The ledger's tables as SQLAlchemy names them, for building statements.

What creates them, with their constraints and triggers, is `migrations`; a test compares the two.
The views over them stand in `views`, what others read of them in `feeds`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

metadata = sa.MetaData(schema="ledger")

INSTANT = TIMESTAMP(timezone=True)
MONEY = sa.Numeric(14, 2)
SUM = sa.Numeric(18, 2)

ledgers = sa.Table(
    "ledgers",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("is_simulated", sa.Boolean, nullable=False),
    sa.Column("opened_at", INSTANT, nullable=False),
)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("policy_version", sa.Text, primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("recorded_at", INSTANT, nullable=False),
)

cycles = sa.Table(
    "cycles",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("cycle", sa.Date, primary_key=True),
    sa.Column("frozen_at", INSTANT, nullable=False),
    sa.Column("proposal_hash", sa.Text, nullable=False),
    sa.Column("actions", sa.Integer, nullable=False),
    sa.Column("policy_version", sa.Text, nullable=False),
)

slots = sa.Table(
    "slots",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("period", sa.Date, primary_key=True),
    sa.Column("due_at", INSTANT, nullable=False),
    sa.Column("effected_at", INSTANT, nullable=False),
    sa.Column("finished_at", INSTANT),
    sa.Column("outcome", sa.Text, nullable=False, server_default="done"),
    sa.Column("detail", sa.Text),
)


# Marks the columns of an action that its decision gives; the others follow from the slot.
DECIDED = {"is_decided": True}


def action_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("action_id", UUID, primary_key=True),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("cycle", sa.Date, nullable=False),
        sa.Column("seller_id", sa.Text, nullable=False, info=DECIDED),
        sa.Column("sku", sa.Text, info=DECIDED),
        sa.Column("order_number", sa.Text, info=DECIDED),
        sa.Column("order_item_id", sa.Text, info=DECIDED),
        sa.Column("amount", MONEY, info=DECIDED),
        sa.Column("currency", sa.Text),
        sa.Column("band", sa.Integer, info=DECIDED),
        sa.Column("daily_order_limit", sa.Integer, info=DECIDED),
        sa.Column("pending_to_shipped_limit", sa.Integer, info=DECIDED),
        sa.Column("grounds", sa.Text, info=DECIDED),
        sa.Column("occurrence", sa.Integer, info=DECIDED),
        sa.Column("event_at", INSTANT, info=DECIDED),
        sa.Column("notice_hours", sa.Integer, nullable=False),
        sa.Column("evidence", JSONB, nullable=False),
        sa.Column("policy_version", sa.Text, nullable=False),
    ]


actions = sa.Table("actions", metadata, *action_columns())

action_events = sa.Table(
    "action_events",
    metadata,
    sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("action_id", UUID, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("claim_id", sa.Text),
    sa.Column("notice_id", UUID),
)

postings = sa.Table(
    "postings",
    metadata,
    sa.Column("posting_id", UUID, primary_key=True),
    sa.Column("action_id", UUID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("amount", MONEY, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("posted_at", INSTANT, nullable=False),
    sa.Column("statement_period", sa.Date, nullable=False),
    sa.Column("claim_id", sa.Text),
)

charge_accounts = sa.Table(
    "charge_accounts",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("since", INSTANT, primary_key=True),
    sa.Column("receivable_account", sa.Text, nullable=False),
    sa.Column("income_account", sa.Text, nullable=False),
)

period_closes = sa.Table(
    "period_closes",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("statement_period", sa.Date, primary_key=True),
    sa.Column("ends_at", INSTANT, nullable=False),
    sa.Column("closed_at", INSTANT, nullable=False),
    sa.Column("postings", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
)


def sums_by_kind() -> list[sa.Column[object]]:
    """What is summed of a rule's postings."""
    return [
        sa.Column("debits", SUM, nullable=False),
        sa.Column("reversals", SUM, nullable=False),
        sa.Column("net", SUM, nullable=False),
        sa.Column("debit_postings", sa.BigInteger, nullable=False),
        sa.Column("reversal_postings", sa.BigInteger, nullable=False),
    ]


period_close_totals = sa.Table(
    "period_close_totals",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("statement_period", sa.Date, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("currency", sa.Text, primary_key=True),
    *sums_by_kind(),
)


def notice_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("notice_id", UUID, primary_key=True),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("is_alert", sa.Boolean, nullable=False),
        sa.Column("period", sa.Date, nullable=False),
        sa.Column("seller_id", sa.Text, nullable=False),
        sa.Column("planned_at", INSTANT, nullable=False),
        sa.Column("pointless_at", INSTANT),
        sa.Column("claim_event_id", sa.BigInteger),
    ]


notices = sa.Table("notices", metadata, *notice_columns())

notice_actions = sa.Table(
    "notice_actions",
    metadata,
    sa.Column("notice_id", UUID, primary_key=True),
    sa.Column("action_id", UUID, primary_key=True),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("notice_id", UUID, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("at", INSTANT, nullable=False),
    sa.Column("code", sa.Integer),
    sa.Column("detail", sa.Text),
    sa.Column("address_hash", sa.Text),
)

address_keys = sa.Table(
    "address_keys",
    metadata,
    sa.Column("key_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
)

account_reviews = sa.Table(
    "account_reviews",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("cycle", sa.Date, primary_key=True),
    sa.Column("seller_id", sa.Text, primary_key=True),
    sa.Column("quality_returns", sa.Integer, nullable=False),
    sa.Column("dropoff_failures", sa.Integer, nullable=False),
    sa.Column("counterfeits", sa.Integer, nullable=False),
)

reviewed_counterfeits = sa.Table(
    "reviewed_counterfeits",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("cycle", sa.Date, primary_key=True),
    sa.Column("seller_id", sa.Text, primary_key=True),
    sa.Column("order_item_id", sa.Text, primary_key=True),
)

# The sequence of the actions' events numbers these too, so that all events have one order.
_EVENT_ID = sa.text("nextval(pg_get_serial_sequence('ledger.action_events', 'event_id'))")


def claim_columns() -> list[sa.Column[object]]:
    """What the ledger keeps of what a claim states."""
    return [
        sa.Column("category", sa.Text),
        sa.Column("seller_id", sa.Text),
        sa.Column("order_number", sa.Text),
        sa.Column("sku", sa.Text),
        sa.Column("action_reference", sa.Text),
        sa.Column("raised_at", INSTANT),
    ]


CLAIM_COLUMNS = tuple(column.name for column in claim_columns())

claim_intakes = sa.Table(
    "claim_intakes",
    metadata,
    sa.Column("event_id", sa.BigInteger, primary_key=True, server_default=_EVENT_ID),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("claim_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
    *claim_columns(),
    sa.Column("faults", JSONB, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
)

claim_decisions = sa.Table(
    "claim_decisions",
    metadata,
    sa.Column("event_id", sa.BigInteger, primary_key=True, server_default=_EVENT_ID),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("claim_id", sa.Text, nullable=False),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("decided_at", INSTANT, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
    sa.Column("is_matched", sa.Boolean, nullable=False),
)

excuses = sa.Table(
    "excuses",
    metadata,
    sa.Column("event_id", sa.BigInteger, primary_key=True, server_default=_EVENT_ID),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("claim_id", sa.Text, nullable=False),
    sa.Column("seller_id", sa.Text, nullable=False),
    sa.Column("order_number", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("order_item_id", sa.Text),
    sa.Column("event", sa.Text, nullable=False),
)

recorded_decisions = sa.Table(
    "recorded_decisions",
    metadata,
    sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("claim_id", sa.Text),
    sa.Column("seller_id", sa.Text),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("decided_at", INSTANT, nullable=False),
)


def undecipherable_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("country", sa.Text, primary_key=True),
        sa.Column("content_hash", sa.Text, primary_key=True),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("row_id", sa.Text),
        sa.Column("seller_id", sa.Text),
        sa.Column("faults", sa.Text, nullable=False),
        sa.Column("written", sa.Text, nullable=False),
    ]


undecipherable_values = sa.Table("undecipherable_values", metadata, *undecipherable_columns())

undecipherable_events = sa.Table(
    "undecipherable_events",
    metadata,
    sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", INSTANT, nullable=False),
)

missing_evidence = sa.Table(
    "missing_evidence",
    metadata,
    sa.Column("action_id", UUID, primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("period", sa.Date, primary_key=True),
    sa.Column("at", INSTANT, nullable=False),
)

# What the events leave open; the database's own triggers keep them.
open_actions = sa.Table("open_actions", metadata, sa.Column("action_id", UUID, primary_key=True))
unsent_notices = sa.Table(
    "unsent_notices", metadata, sa.Column("notice_id", UUID, primary_key=True)
)
open_claims = sa.Table(
    "open_claims",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("claim_id", sa.Text, primary_key=True),
)

# How many actions entered each state, and what was posted; likewise kept by triggers.
event_totals = sa.Table(
    "event_totals",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),
    sa.Column("events", sa.BigInteger, nullable=False),
)
posting_totals = sa.Table(
    "posting_totals",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("currency", sa.Text, primary_key=True),
    sa.Column("postings", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.Numeric(20, 2), nullable=False),
)

# The newest name of each seller's shop; rewritten, unlike all above, when a cycle is frozen.
shops = sa.Table(
    "shops",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("seller_id", sa.Text, primary_key=True),
    sa.Column("shop_name", sa.Text),
)


def standing_columns() -> list[sa.Column[object]]:
    """What a standing says besides whose it is and of when (Rulebook §15)."""
    return [
        sa.Column("week", sa.Date, nullable=False),
        sa.Column("shipped_items", sa.BigInteger, nullable=False),
        sa.Column("shipped_orders", sa.BigInteger, nullable=False),
        sa.Column("cancelled_items", sa.BigInteger, nullable=False),
        sa.Column("cancellation_rate_pct", sa.Numeric(9, 4)),
        sa.Column("band", sa.Integer),
        sa.Column("daily_order_limit", sa.Integer),
        sa.Column("pending_to_shipped_limit", sa.Integer),
        sa.Column("shipments_to_lighter_band", sa.BigInteger),
        sa.Column("shipments_to_no_limit", sa.BigInteger),
        sa.Column("cancellations_to_heavier_band", sa.BigInteger),
        sa.Column("is_exempt", sa.Boolean, nullable=False),
        sa.Column("is_delisted", sa.Boolean, nullable=False),
    ]


# Each seller's newest standing; rewritten too, by each late alert.
standings = sa.Table(
    "standings",
    metadata,
    sa.Column("country", sa.Text, primary_key=True),
    sa.Column("seller_id", sa.Text, primary_key=True),
    sa.Column("as_of", INSTANT, nullable=False),
    *standing_columns(),
)

operators_mails = sa.Table(
    "operators_mails",
    metadata,
    sa.Column("mail_id", UUID, primary_key=True),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("told", JSONB, nullable=False),
    sa.Column("planned_at", INSTANT, nullable=False),
    sa.Column("pointless_at", INSTANT, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("html", sa.Text),
)

operators_deliveries = sa.Table(
    "operators_deliveries",
    metadata,
    sa.Column("mail_id", UUID, primary_key=True),
    sa.Column("address_hash", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("at", INSTANT, nullable=False),
    sa.Column("code", sa.Integer),
    sa.Column("detail", sa.Text),
)
