"""The Olist data set (a Brazilian marketplace, 2016 to 2018) as an order warehouse.

Here belongs what an Olist column means in the words of Rulebook §13. Rows that break the rulebook's
order of events are imported as they are; the pipeline sets them aside and shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from vibes_pipeline.errors import WarehouseError, first_line
from vibes_pipeline.parquet import sql_rows
from vibes_pipeline.warehouse.file import count_rows, new_warehouse

OLIST_TIME_ZONE = "America/Sao_Paulo"
NAIRA_PER_REAL = Decimal(100)
COMMISSION_SHARE = Decimal("0.15")
ONBOARDED_BEFORE_FIRST_ORDER_DAYS = 365

# Only what the import reads; further columns of the data set may come or go.
SOURCE_COLUMNS: dict[str, tuple[str, ...]] = {
    "orders": (
        "order_id",
        "customer_id",
        "order_status",
        "order_purchase_timestamp",
        "order_approved_at",
        "order_delivered_carrier_date",
        "order_delivered_customer_date",
    ),
    "order_items": (
        "order_id",
        "order_item_id",
        "product_id",
        "seller_id",
        "shipping_limit_date",
        "price",
    ),
    "customers": ("customer_id", "customer_unique_id"),
    "products": ("product_id", "product_category_name"),
    "sellers": ("seller_id", "seller_city", "seller_state"),
    "category_translation": ("product_category_name", "product_category_name_english"),
}


@dataclass(frozen=True)
class OlistSummary:
    """What was imported: rows per table, and how many items shipped before their approval."""

    path: Path
    rows: dict[str, int]
    handed_over_before_approval: int


def import_olist(
    source: Path,
    out: Path,
    *,
    country: str,
    rate: Decimal = NAIRA_PER_REAL,
    overwrite: bool = False,
) -> OlistSummary:
    """Write the Olist Parquet files of folder `source` as an order warehouse at `out`.

    `country` (ISO 3166 alpha-2) is given to every seller, so that its policy applies; `rate` is
    that country's currency units per real. Every order item becomes one row. It is Pending from the
    approval (or the purchase, if never approved), ready to ship and shipped from the handover to
    the carrier; a cancelled item with a blank price costs 0. `raw.loads` says that every table is
    complete through the midnight after the last event.

    Raises WarehouseError for a missing file, a missing or mistyped column, or for items whose
    order, customer or seller is in no file; UsageError as `new_warehouse` does.
    """
    with new_warehouse(out, overwrite=overwrite) as con:
        _attach_source(con, source)
        try:
            _map_tables(con, country, rate)
        except (duckdb.BinderException, duckdb.ConversionException) as error:
            raise WarehouseError(
                f"{source}: a column is not of the published Olist type ({first_line(error)})"
            ) from error
        _require_every_item(con)
        (early,) = con.execute(_HANDED_OVER_BEFORE_APPROVAL).fetchall()[0]
        return OlistSummary(path=out, rows=count_rows(con), handed_over_before_approval=early)


def _attach_source(con: duckdb.DuckDBPyConnection, source: Path) -> None:
    """Make a view `source_<table>` of each source file; `WarehouseError` if one is not fit."""
    for table, columns in SOURCE_COLUMNS.items():
        file = source / f"{table}.parquet"
        if not file.is_file():
            raise WarehouseError(f"{file} is missing; the Olist folder needs it")
        try:
            relation = con.sql(f"SELECT * FROM {sql_rows([file])}")
        except duckdb.Error as error:
            raise WarehouseError(f"{file} is not a readable Parquet file") from error
        missing = [column for column in columns if column not in relation.columns]
        if missing:
            raise WarehouseError(f"{file} has no column {missing[0]}; the Olist import needs it")
        relation.create_view(f"source_{table}")


def _map_tables(con: duckdb.DuckDBPyConnection, country: str, rate: Decimal) -> None:
    con.execute(_LISTINGS)
    con.execute(_ITEMS, {"rate": rate, "zone": OLIST_TIME_ZONE, "share": COMMISSION_SHARE})
    con.execute(_SELLERS, {"country": country, "lead_days": ONBOARDED_BEFORE_FIRST_ORDER_DAYS})
    con.execute(_PRODUCTS)
    con.execute(_LOADS, {"zone": OLIST_TIME_ZONE})


def _require_every_item(con: duckdb.DuckDBPyConnection) -> None:
    (given,) = con.execute("SELECT count(*) FROM source_order_items").fetchall()[0]
    (brought,) = con.execute("SELECT count(*) FROM raw.order_items").fetchall()[0]
    if given != brought:
        raise WarehouseError(
            f"order_items.parquet has {given} items but {brought} of them find one order, customer "
            "and seller in the other files; the folder's files do not belong together"
        )


# One seller's listing of one product: the rulebook's product. Its SKU holds the first eight
# characters of the seller's id; if two sellers of a product share these, the whole id.
_LISTINGS = """
CREATE TEMP TABLE listings AS
SELECT
    product_id,
    seller_id,
    product_id || '-' || CASE
        WHEN count(*) OVER (PARTITION BY product_id, left(seller_id, 8)) > 1 THEN seller_id
        ELSE left(seller_id, 8)
    END AS sku
FROM (SELECT DISTINCT product_id, seller_id FROM source_order_items)
"""

# An item that the customer cancelled makes no out-of-stock charge, so its blank price becomes 0.
# Any other item without a price keeps none, and the pipeline sets it aside.
_ITEMS = """
INSERT INTO raw.order_items BY NAME
WITH priced AS (
    SELECT
        i.*,
        round(
            coalesce(i.price, CASE o.order_status WHEN 'canceled' THEN 0 END) * $rate, 2
        )::DECIMAL(14, 2) AS item_price
    FROM source_order_items AS i
    LEFT JOIN source_orders AS o USING (order_id)
)
SELECT
    i.order_id || '-' || lpad(i.order_item_id::VARCHAR, 2, '0') AS order_item_id,
    i.order_id AS order_number,
    i.seller_id,
    l.sku,
    c.customer_unique_id AS customer_id,
    i.item_price,
    round(i.item_price * $share, 2)::DECIMAL(14, 2) AS commission,
    timezone($zone, coalesce(o.order_approved_at, o.order_purchase_timestamp)) AS pending_at,
    timezone($zone, o.order_delivered_carrier_date) AS ready_to_ship_at,
    timezone($zone, o.order_delivered_carrier_date) AS shipped_at,
    timezone($zone, o.order_delivered_customer_date) AS delivered_at,
    CASE WHEN o.order_status IN ('canceled', 'unavailable')
        THEN timezone($zone, i.shipping_limit_date)
    END AS cancelled_at,
    CASE o.order_status
        WHEN 'unavailable' THEN 'out_of_stock'
        WHEN 'canceled' THEN 'customer_request'
    END AS cancel_reason
FROM priced AS i
JOIN source_orders AS o USING (order_id)
JOIN source_customers AS c USING (customer_id)
JOIN source_sellers AS s ON s.seller_id = i.seller_id
JOIN listings AS l ON l.product_id = i.product_id AND l.seller_id = i.seller_id
"""

_SELLERS = """
INSERT INTO raw.sellers BY NAME
WITH first_orders AS (
    SELECT seller_id, min(pending_at) AS first_order_at FROM raw.order_items GROUP BY seller_id
)
SELECT
    s.seller_id,
    array_to_string(
        list_transform(
            string_split(s.seller_city, ' '), lambda word: upper(word[1]) || word[2:]
        ),
        ' '
    ) || ' Shop ' || left(s.seller_id, 8) AS shop_name,
    s.seller_id || '@olist.example' AS email,
    $country AS country,
    FALSE AS is_jumia_express,
    f.first_order_at - to_days($lead_days) AS onboarded_at
FROM source_sellers AS s
LEFT JOIN first_orders AS f USING (seller_id)
"""

_PRODUCTS = """
INSERT INTO raw.products BY NAME
WITH named AS (
    SELECT
        l.sku,
        l.seller_id,
        p.product_category_name,
        replace(
            coalesce(t.product_category_name_english, p.product_category_name, 'uncategorised'),
            '_', ' '
        ) AS category
    FROM listings AS l
    LEFT JOIN source_products AS p USING (product_id)
    LEFT JOIN source_category_translation AS t USING (product_category_name)
)
SELECT
    sku,
    seller_id,
    category || ' ' || left(sku, 8) AS product_name,
    category,
    CASE WHEN starts_with(product_category_name, 'fashion_') THEN 'Fashion' ELSE 'GM' END
        AS product_type
FROM named
"""

# Cancellation times are planned dates, some of them years ahead: they are no event to count here.
_LOADS = """
INSERT INTO raw.loads BY NAME
WITH last_event AS (
    SELECT max(greatest(pending_at, shipped_at, delivered_at)) AS event_at FROM raw.order_items
)
SELECT
    tables.name AS table_name,
    timezone($zone, date_trunc('day', timezone($zone, event_at)) + INTERVAL 1 DAY)
        AS loaded_through
FROM last_event
CROSS JOIN (
    VALUES ('sellers'), ('products'), ('order_items'), ('dropoff_qc'),
        ('counterfeit_cases'), ('claims'), ('account_decisions')
) AS tables (name)
"""

_HANDED_OVER_BEFORE_APPROVAL = """
SELECT count(*) FROM raw.order_items WHERE shipped_at < pending_at
"""
