-- The stored rows of the order items that an answer is about, one row per stored copy (Rulebook §13, §14): of one
-- item, of one seller's items, of one product's, of those that the given charges name, or of all, as the parameters
-- say; null asks for all. They stand in for `warehouse.stored_items`. As there, of an item with a copy since $horizon
-- the older copies are judged only if a check, a case or an open charge names it. Of an item that was not touched since
-- then all are, for an answer may be about it.
-- ephemeral
-- grain: every stored row
WITH matching AS (
    SELECT *
    FROM raw.order_items
    WHERE
        order_item_id IS NOT NULL
        AND CAST($item AS VARCHAR) IS NULL
        AND NOT CAST($of_charges AS BOOLEAN)
        AND (CAST($seller AS VARCHAR) IS NULL OR seller_id = CAST($seller AS VARCHAR))
        AND (CAST($product AS VARCHAR) IS NULL OR sku = CAST($product AS VARCHAR))
),

asked AS (
    SELECT CAST($item AS VARCHAR) AS order_item_id
    WHERE CAST($item AS VARCHAR) IS NOT NULL
    UNION
    SELECT order_item_id
    FROM ledger.open_charges
    WHERE CAST($of_charges AS BOOLEAN)
    UNION
    SELECT order_item_id
    FROM raw.dropoff_qc
    WHERE CAST($of_charges AS BOOLEAN) AND qc_id IN (SELECT qc_id FROM ledger.open_charges)
    UNION
    SELECT order_item_id
    FROM raw.counterfeit_cases
    WHERE CAST($of_charges AS BOOLEAN) AND case_id IN (SELECT case_id FROM ledger.open_charges)
    UNION
    SELECT order_item_id
    FROM matching
),

-- Items with a row that does not match. Most often there are none, and whole rows are read of those that match alone.
others AS (
    SELECT DISTINCT order_item_id
    FROM raw.order_items
    WHERE
        order_item_id IN (SELECT order_item_id FROM asked)
        AND NOT (
            CAST($item AS VARCHAR) IS NULL
            AND NOT CAST($of_charges AS BOOLEAN)
            AND (CAST($seller AS VARCHAR) IS NULL OR COALESCE(seller_id = CAST($seller AS VARCHAR), FALSE))
            AND (CAST($product AS VARCHAR) IS NULL OR COALESCE(sku = CAST($product AS VARCHAR), FALSE))
        )
),

-- When these were pending leads to their whole rows, for which all other row groups can be skipped.
times_of_others AS (
    SELECT
        order_item_id,
        pending_at
    FROM raw.order_items
    WHERE order_item_id IN (SELECT order_item_id FROM others)
),

stored_copies AS (
    SELECT m.*
    FROM matching AS m
    LEFT JOIN others AS o ON m.order_item_id = o.order_item_id
    WHERE o.order_item_id IS NULL
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE
        pending_at IN (SELECT pending_at FROM times_of_others)
        AND order_item_id IN (SELECT order_item_id FROM others)
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE
        pending_at IS NULL
        AND order_item_id IN (SELECT order_item_id FROM times_of_others WHERE pending_at IS NULL)
),

copies AS (
    SELECT
        i.*,
        i.pending_at IS NULL
        OR GREATEST(
            i.pending_at,
            i.ready_to_ship_at,
            i.shipped_at,
            i.delivered_at,
            i.cancelled_at,
            i.rejected_at,
            i.returned_at
        ) >= $horizon AS is_recent
    FROM stored_copies AS i
),

-- By what is asked, which is known to be little; of the copies the planner would expect many.
named AS (
    SELECT order_item_id
    FROM raw.dropoff_qc
    WHERE order_item_id IN (SELECT order_item_id FROM asked)
    UNION
    SELECT order_item_id
    FROM raw.counterfeit_cases
    WHERE order_item_id IN (SELECT order_item_id FROM asked)
    UNION
    SELECT order_item_id FROM ledger.open_charges
),

-- With a copy since then, and not named.
recent AS (
    SELECT order_item_id
    FROM copies
    WHERE is_recent
    EXCEPT
    SELECT order_item_id
    FROM named
)

SELECT
    c.order_item_id,        -- as stored
    c.order_number,         -- as stored
    c.seller_id,            -- as stored
    c.sku,                  -- as stored
    c.item_price,           -- as stored, naira
    c.commission,           -- as stored, naira
    c.pending_at,           -- as stored
    c.ready_to_ship_at,     -- as stored
    c.shipped_at,           -- as stored
    c.delivered_at,         -- as stored
    c.cancelled_at,         -- as stored
    c.cancel_reason,        -- as stored
    c.rejected_at,          -- as stored
    c.returned_at,          -- as stored
    c.return_reason,        -- as stored
    CASE
        WHEN c.rejected_at IS NOT NULL OR c.returned_at IS NOT NULL THEN SHA256($customer_key || c.customer_id)
    END AS customer_hash    -- who refused or returned it, hashed with the home's key; else null
FROM copies AS c
LEFT JOIN recent AS r ON c.order_item_id = r.order_item_id
WHERE c.is_recent OR r.order_item_id IS NULL
