"""What others read of the ledger, as SQLAlchemy names it: schemas `finance` and `enforcement`.

What creates these views, says what their columns mean and who may read them, is `migrations`; a
test compares the two.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from vibes_pipeline.ledger.schema import INSTANT, MONEY, SUM, standing_columns, sums_by_kind
from vibes_pipeline.rules import Rule

# The rules with a column in `seller_statements`. A rule added since has rows in
# `seller_statement_lines` alone; a column for it would need a revision.
RULES_WITH_A_COLUMN = (
    Rule.OUT_OF_STOCK_CHARGE.value,
    Rule.LATE_FULFILMENT_CHARGE.value,
    Rule.RETURNS_CHARGE.value,
    Rule.DROPOFF_QC_CHARGE.value,
    Rule.COUNTERFEIT_CHARGE.value,
)

finance = sa.MetaData(schema="finance")
enforcement = sa.MetaData(schema="enforcement")
SCHEMAS = {"finance": finance, "enforcement": enforcement}

# Finance ------------------------------------------------------------------------------------------

charges = sa.Table(
    "charges",
    finance,
    sa.Column("posting_id", UUID),
    sa.Column("action_id", UUID),
    sa.Column("reference", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("amount", MONEY),
    sa.Column("currency", sa.Text),
    sa.Column("posted_at", INSTANT),
    sa.Column("statement_period", sa.Date),
    sa.Column("seller_id", sa.Text),
    sa.Column("shop_name", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("order_number", sa.Text),
    sa.Column("order_item_id", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("cycle", sa.Date),
    sa.Column("claim_id", sa.Text),
    sa.Column("country", sa.Text),
)

seller_statement_lines = sa.Table(
    "seller_statement_lines",
    finance,
    sa.Column("statement_period", sa.Date),
    sa.Column("seller_id", sa.Text),
    sa.Column("shop_name", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("currency", sa.Text),
    *sums_by_kind(),
    sa.Column("country", sa.Text),
)

seller_statements = sa.Table(
    "seller_statements",
    finance,
    sa.Column("statement_period", sa.Date),
    sa.Column("seller_id", sa.Text),
    sa.Column("shop_name", sa.Text),
    sa.Column("currency", sa.Text),
    *(sa.Column(rule, SUM) for rule in RULES_WITH_A_COLUMN),
    sa.Column("debits", SUM),
    sa.Column("reversals", SUM),
    sa.Column("net", SUM),
    sa.Column("postings", sa.BigInteger),
    sa.Column("country", sa.Text),
)

charge_totals = sa.Table(
    "charge_totals",
    finance,
    sa.Column("statement_period", sa.Date),
    sa.Column("rule", sa.Text),
    sa.Column("currency", sa.Text),
    *sums_by_kind(),
    sa.Column("country", sa.Text),
)

journal = sa.Table(
    "journal",
    finance,
    sa.Column("posted_at", INSTANT),
    sa.Column("statement_period", sa.Date),
    sa.Column("account", sa.Text),
    sa.Column("debit", MONEY),
    sa.Column("credit", MONEY),
    sa.Column("currency", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("seller_id", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("posting_id", UUID),
    sa.Column("country", sa.Text),
)

period_closes = sa.Table(
    "period_closes",
    finance,
    sa.Column("statement_period", sa.Date),
    sa.Column("closed_at", INSTANT),
    sa.Column("postings", sa.BigInteger),
    sa.Column("sha256", sa.Text),
    sa.Column("country", sa.Text),
)

period_close_totals = sa.Table(
    "period_close_totals",
    finance,
    sa.Column("statement_period", sa.Date),
    sa.Column("rule", sa.Text),
    sa.Column("currency", sa.Text),
    *sums_by_kind(),
    sa.Column("country", sa.Text),
)

standings = sa.Table(
    "standings",
    finance,
    sa.Column("seller_id", sa.Text),
    sa.Column("as_of", INSTANT),
    *standing_columns(),
    sa.Column("country", sa.Text),
)

# Enforcement --------------------------------------------------------------------------------------


def _columns_of_its_action() -> list[sa.Column[object]]:
    """What every row says of the action that brought the regulation or delisting."""
    return [
        sa.Column("reference", sa.Text),
        sa.Column("action_id", UUID),
        sa.Column("cycle", sa.Date),
        sa.Column("country", sa.Text),
    ]


order_regulations_in_force = sa.Table(
    "order_regulations_in_force",
    enforcement,
    sa.Column("seller_id", sa.Text),
    sa.Column("daily_order_limit", sa.Integer),
    sa.Column("pending_to_shipped_limit", sa.Integer),
    sa.Column("band", sa.Integer),
    sa.Column("in_force_from", INSTANT),
    sa.Column("in_force_until", INSTANT),
    *_columns_of_its_action(),
)

sales_regulations_in_force = sa.Table(
    "sales_regulations_in_force",
    enforcement,
    sa.Column("seller_id", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("grounds", sa.Text),
    sa.Column("occurrence", sa.Integer),
    sa.Column("in_force_from", INSTANT),
    sa.Column("in_force_until", INSTANT),
    *_columns_of_its_action(),
)

product_delistings = sa.Table(
    "product_delistings",
    enforcement,
    sa.Column("seller_id", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("in_force_from", INSTANT),
    *_columns_of_its_action(),
)

account_delistings = sa.Table(
    "account_delistings",
    enforcement,
    sa.Column("seller_id", sa.Text),
    sa.Column("in_force_from", INSTANT),
    *_columns_of_its_action(),
)

cancellations = sa.Table(
    "cancellations",
    enforcement,
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
    sa.Column("country", sa.Text),
)
