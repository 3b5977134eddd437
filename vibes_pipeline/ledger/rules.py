"""Which rules belong together, by the rulebook's names; each is explained where it is decided."""

from __future__ import annotations

CHARGES = (
    "out_of_stock_charge",
    "late_fulfilment_charge",
    "returns_charge",
    "dropoff_qc_charge",
    "counterfeit_charge",
)
LATE_RULES = ("late_pending_cancellation", "late_ready_to_ship_cancellation")

# Decided and implemented weekly, each by `sql/decisions/<rule>s.sql`.
WEEKLY_RULES = (
    "order_regulation",
    *CHARGES,
    "sales_regulation",
    "product_delisting",
    "account_delisting",
)
# They do not outlive their cycle: the next one decides anew (Rulebook §2).
CYCLE_BOUND_RULES = ("order_regulation", "sales_regulation", "product_delisting")
# They strike an item once, ever; every other rule strikes its subject once a cycle (Rulebook §12).
ITEM_RULES = (*CHARGES, *LATE_RULES)
SKU_RULES = ("sales_regulation", "product_delisting")
