-- The stored order items that sellers' records of the running week rest on, one row per stored row (Rulebook §4, §13,
-- §15): those with a time since $horizon. They stand in for `warehouse.stored_items` where standings give nothing but
-- these records. As there, what is older but moved since is first looked for in few columns, by one range of one time
-- at a time.
-- Of rows that enter no record but make the other copies of their id bad, the ids are enough: rows without pending_at,
-- which lie anywhere in the history, and older copies that were pending since $since.
-- ephemeral
-- grain: every stored row
WITH older AS (
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND ready_to_ship_at >= $horizon
    UNION ALL
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND shipped_at >= $horizon
    UNION ALL
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND delivered_at >= $horizon
    UNION ALL
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND cancelled_at >= $horizon
    UNION ALL
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND rejected_at >= $horizon
    UNION ALL
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND returned_at >= $horizon
),

newer AS (
    SELECT *
    FROM raw.order_items
    WHERE pending_at >= $horizon
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE
        pending_at < $horizon
        AND pending_at IN (SELECT pending_at FROM older)
        AND GREATEST(ready_to_ship_at, shipped_at, delivered_at, cancelled_at, rejected_at, returned_at) >= $horizon
),

ids AS (
    SELECT
        order_item_id,
        seller_id,
        pending_at
    FROM raw.order_items
    WHERE pending_at IS NULL
    UNION ALL
    SELECT
        order_item_id,
        seller_id,
        pending_at
    FROM raw.order_items
    WHERE
        pending_at >= $since
        AND pending_at < $horizon
        AND COALESCE(
            GREATEST(ready_to_ship_at, shipped_at, delivered_at, cancelled_at, rejected_at, returned_at) < $horizon, TRUE
        )
        AND order_item_id IN (SELECT order_item_id FROM newer)
)

SELECT
    order_item_id,          -- as stored
    order_number,           -- as stored
    seller_id,              -- as stored
    sku,                    -- as stored
    item_price,             -- as stored, naira
    commission,             -- as stored, naira
    pending_at,             -- as stored
    ready_to_ship_at,       -- as stored
    shipped_at,             -- as stored
    delivered_at,           -- as stored
    cancelled_at,           -- as stored
    cancel_reason,          -- as stored
    rejected_at,            -- as stored
    returned_at,            -- as stored
    return_reason,          -- as stored
    CASE
        WHEN rejected_at IS NOT NULL OR returned_at IS NOT NULL THEN SHA256($customer_key || customer_id)
    END AS customer_hash    -- who refused or returned it, hashed with the home's key; else null
FROM newer
UNION ALL
SELECT
    order_item_id,
    CAST(NULL AS VARCHAR) AS order_number,
    seller_id,
    CAST(NULL AS VARCHAR) AS sku,
    CAST(NULL AS DECIMAL(14, 2)) AS item_price,
    CAST(NULL AS DECIMAL(14, 2)) AS commission,
    pending_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS ready_to_ship_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS shipped_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS delivered_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS cancelled_at,
    CAST(NULL AS VARCHAR) AS cancel_reason,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS rejected_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS returned_at,
    CAST(NULL AS VARCHAR) AS return_reason,
    CAST(NULL AS VARCHAR) AS customer_hash
FROM ids
