"""The raw contract: the tables of schema `raw`, their columns and types (Rulebook §13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

VARCHAR = "VARCHAR"
BOOLEAN = "BOOLEAN"
MONEY = "DECIMAL(14,2)"
INSTANT = "TIMESTAMP WITH TIME ZONE"

# A good instant lies in [earliest, latest), the years 1970 to 2200: Python and readers of Parquet
# cannot hold infinity or the far ends of the type.
EARLIEST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_INSTANT = datetime(2201, 1, 1, tzinfo=UTC)

# The most characters that a good id has: an index entry of the ledger holds at most 2,704 bytes.
LONGEST_ID = 200

# VISIBLE matches a character that a person can see; a text without one counts as empty. INVISIBLE
# matches controls, separators, and five letters and symbols that show nothing.
INVISIBLE = r"[\p{C}\p{Z}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}]"
VISIBLE = f"[^{INVISIBLE.removeprefix('[')}"

# The bounds of a good row, as parameters of the SQL that judges rows.
INSTANT_BOUNDS = {"earliest_instant": EARLIEST_INSTANT, "latest_instant": LATEST_INSTANT}
BOUNDS: Mapping[str, datetime | int | str] = {
    **INSTANT_BOUNDS,
    "longest_id": LONGEST_ID,
    "visible": VISIBLE,
    "invisible": INVISIBLE,
}


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

# What each column holds. A column's name means the same in every table.
MEANINGS: Mapping[str, str] = {
    "seller_id": "the seller's account",
    "shop_name": "the shop's name in the seller's own words; in a claim, as the claim states it",
    "email": "the address that the seller is written to",
    "country": "ISO 3166 alpha-2; only sellers of the policy's country are considered",
    "is_jumia_express": "whether the seller is exempt from order regulation; null is false",
    "onboarded_at": "when the seller began to sell; null: the seller is not new",
    "sku": "one product of one seller",
    "product_name": "the product's name in the seller's own words",
    "category": "the product's category; in a claim, what the claim is about",
    "product_type": "GM or Fashion",
    "order_item_id": "one unit of one product in one order",
    "order_number": "the order; it may hold items of several sellers",
    "customer_id": "the customer who ordered",
    "item_price": "the price in naira",
    "commission": "the commission in naira",
    "tracking_number": "the number of the parcel",
    "pending_at": "when the seller got the order; the fulfilment clock starts",
    "ready_to_ship_at": "when the seller set the item ready to ship; null: never",
    "shipped_at": "when the item was shipped",
    "delivered_at": "when the customer got the item",
    "cancelled_at": "when the item was cancelled, by anyone",
    "cancel_reason": "why the item was cancelled; a cancelled item needs it",
    "rejected_at": "when the customer refused the item at the door",
    "returned_at": "when the item came back",
    "return_reason": "why the item came back; a returned item needs it",
    "qc_id": "one check at drop-off",
    "checked_at": "when the item was checked at drop-off",
    "result": "passed or failed",
    "failure_reason": "why the check failed; a failed check needs it",
    "case_id": "one counterfeit case",
    "notified_at": "when the seller was told of the case; the evidence window starts",
    "proven_at": "when the case was proven; null: it is open",
    "claim_id": "one claim",
    "reason": "the reason of the claim or of the decision, as it is stated",
    "api_endpoint": "the endpoint that a claim about the API is about",
    "statement_period": "the statement period that a claim about a bill is about",
    "transaction_type": "the kind of transaction that a claim about a bill is about",
    "amount": "the amount in naira that a claim about a bill is about",
    "action_reference": "the action that the claim is about, such as NG-ABCDEFGH",
    "comment": "the error in the seller's own words",
    "attachments": "the names of the files that the seller attached",
    "raised_at": "when the seller raised the claim",
    "decision": "what a person decided: upheld or rejected; on an account, delist or keep",
    "decided_at": "when the person decided",
    "decided_by": "the person who decided",
    "decision_id": "one decision on an account",
    "table_name": "one table of the schema raw",
    "loaded_through": "the instant up to which the table is complete",
}

# `raw.loads` tells up to when each of the seven tables is complete. A warehouse may lack it.
LOADS = RawTable("loads", {"table_name": VARCHAR, "loaded_through": INSTANT}, is_optional=True)

CONTRACT = {**RAW_TABLES, LOADS.name: LOADS}
