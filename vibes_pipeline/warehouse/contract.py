"""The raw contract: the tables of schema `raw`, their columns and types (Rulebook §13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VARCHAR = "VARCHAR"
BOOLEAN = "BOOLEAN"
MONEY = "DECIMAL(14,2)"
INSTANT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True)
class RawTable:
    """One table of the warehouse; an optional one may be absent and is then empty."""

    name: str
    columns: Mapping[str, str]
    is_optional: bool = False


RAW_TABLES = {
    table.name: table
    for table in (
        RawTable(
            "sellers",
            {
                "seller_id": VARCHAR,
                "shop_name": VARCHAR,
                "email": VARCHAR,
                "country": VARCHAR,
                "is_jumia_express": BOOLEAN,
                "onboarded_at": INSTANT,
            },
        ),
        RawTable(
            "products",
            {
                "sku": VARCHAR,
                "seller_id": VARCHAR,
                "product_name": VARCHAR,
                "category": VARCHAR,
                "product_type": VARCHAR,
            },
        ),
        RawTable(
            "order_items",
            {
                "order_item_id": VARCHAR,
                "order_number": VARCHAR,
                "seller_id": VARCHAR,
                "sku": VARCHAR,
                "customer_id": VARCHAR,
                "item_price": MONEY,
                "commission": MONEY,
                "tracking_number": VARCHAR,
                "pending_at": INSTANT,
                "ready_to_ship_at": INSTANT,
                "shipped_at": INSTANT,
                "delivered_at": INSTANT,
                "cancelled_at": INSTANT,
                "cancel_reason": VARCHAR,
                "rejected_at": INSTANT,
                "returned_at": INSTANT,
                "return_reason": VARCHAR,
            },
        ),
        RawTable(
            "dropoff_qc",
            {
                "qc_id": VARCHAR,
                "order_item_id": VARCHAR,
                "checked_at": INSTANT,
                "result": VARCHAR,
                "failure_reason": VARCHAR,
            },
            is_optional=True,
        ),
        RawTable(
            "counterfeit_cases",
            {
                "case_id": VARCHAR,
                "order_item_id": VARCHAR,
                "notified_at": INSTANT,
                "proven_at": INSTANT,
            },
            is_optional=True,
        ),
        RawTable(
            "claims",
            {
                "claim_id": VARCHAR,
                "category": VARCHAR,
                "reason": VARCHAR,
                "country": VARCHAR,
                "shop_name": VARCHAR,
                "seller_id": VARCHAR,
                "order_number": VARCHAR,
                "sku": VARCHAR,
                "tracking_number": VARCHAR,
                "api_endpoint": VARCHAR,
                "statement_period": VARCHAR,
                "transaction_type": VARCHAR,
                "amount": MONEY,
                "action_reference": VARCHAR,
                "comment": VARCHAR,
                "attachments": "VARCHAR[]",
                "raised_at": INSTANT,
                "decision": VARCHAR,
                "decided_at": INSTANT,
                "decided_by": VARCHAR,
            },
            is_optional=True,
        ),
        RawTable(
            "account_decisions",
            {
                "decision_id": VARCHAR,
                "seller_id": VARCHAR,
                "decision": VARCHAR,
                "decided_at": INSTANT,
                "decided_by": VARCHAR,
                "reason": VARCHAR,
            },
            is_optional=True,
        ),
    )
}

# Tells up to when each table is complete; not one of the seven, for a warehouse may lack it.
LOADS = RawTable("loads", {"table_name": VARCHAR, "loaded_through": INSTANT}, is_optional=True)

CONTRACT = {**RAW_TABLES, LOADS.name: LOADS}
