"""The ledger's views as SQLAlchemy names them: what its tables say at present.

What creates them is `migrations`; a test compares the two. The same as of an instant is
`states_at`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from vibes_pipeline.ledger.schema import (
    INSTANT,
    MONEY,
    action_columns,
    claim_columns,
    notice_columns,
    undecipherable_columns,
)

metadata = sa.MetaData(schema="ledger")

action_states = sa.Table(
    "action_states",
    metadata,
    *action_columns(),
    sa.Column("state", sa.Text),
    sa.Column("proposed_at", INSTANT),
    sa.Column("alerted_at", INSTANT),
    sa.Column("implemented_at", INSTANT),
    sa.Column("reversed_at", INSTANT),
    sa.Column("withdrawn_at", INSTANT),
    sa.Column("expired_at", INSTANT),
    sa.Column("cause", sa.Text),
    sa.Column("claim_id", sa.Text),
)

moments = sa.Table(
    "moments",
    metadata,
    sa.Column("country", sa.Text),
    sa.Column("at", INSTANT),
)

notice_states = sa.Table(
    "notice_states",
    metadata,
    *notice_columns(),
    sa.Column("status", sa.Text),
    sa.Column("attempts", sa.Integer),
    sa.Column("last_at", INSTANT),
    sa.Column("code", sa.Integer),
    sa.Column("detail", sa.Text),
    sa.Column("address_hash", sa.Text),
    sa.Column("unknowns", sa.BigInteger),
)

cancellations = sa.Table(
    "cancellations",
    metadata,
    sa.Column("country", sa.Text),
    sa.Column("day", sa.Date),
    sa.Column("order_item_id", sa.Text),
    sa.Column("order_number", sa.Text),
    sa.Column("seller_id", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("cancelled_at", INSTANT),
    sa.Column("reference", sa.Text),
    sa.Column("action_id", UUID),
    sa.Column("reversed_at", INSTANT),
    sa.Column("claim_id", sa.Text),
)

claim_states = sa.Table(
    "claim_states",
    metadata,
    sa.Column("country", sa.Text),
    sa.Column("claim_id", sa.Text),
    *claim_columns(),
    sa.Column("state", sa.Text),
    sa.Column("intake_state", sa.Text),
    sa.Column("faults", JSONB),
    sa.Column("taken_in_at", INSTANT),
    sa.Column("content_hash", sa.Text),
    sa.Column("decision", sa.Text),
    sa.Column("decided_at", INSTANT),
    sa.Column("applied_at", INSTANT),
    sa.Column("is_matched", sa.Boolean),
)

undecipherable_states = sa.Table(
    "undecipherable_states",
    metadata,
    *undecipherable_columns(),
    sa.Column("state", sa.Text),
    sa.Column("last_at", INSTANT),
    sa.Column("seen_at", INSTANT),
)

awaiting_evidence = sa.Table(
    "awaiting_evidence",
    metadata,
    sa.Column("country", sa.Text),
    sa.Column("action_id", UUID),
    sa.Column("reference", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("cycle", sa.Date),
    sa.Column("seller_id", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("order_number", sa.Text),
    sa.Column("order_item_id", sa.Text),
    sa.Column("amount", MONEY),
    sa.Column("currency", sa.Text),
    sa.Column("slots_in_vain", sa.BigInteger),
    sa.Column("missing_since", INSTANT),
    sa.Column("last_looked_at", INSTANT),
)

operators_mail_states = sa.Table(
    "operators_mail_states",
    metadata,
    sa.Column("mail_id", UUID),
    sa.Column("country", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("about", sa.Text),
    sa.Column("planned_at", INSTANT),
    sa.Column("pointless_at", INSTANT),
    sa.Column("address_hash", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("attempt", sa.Integer),
    sa.Column("last_at", INSTANT),
    sa.Column("code", sa.Integer),
    sa.Column("detail", sa.Text),
    sa.Column("unknowns", sa.BigInteger),
)
