-- The stored order items that are judged and may enter a rule, one row per stored row (Rulebook §13): those with
-- a time since $horizon, those without pending_at, and of the older ones those that a judged check, a judged case or
-- an open charge names. In a warehouse stored in the order of time every read skips what it does not need: one range of
-- one time at a time, where an OR of several times would read the whole history. What is older but moved since, or is
-- named, is first looked for in few columns. Its pending_at then leads to the whole rows, for which all other row
-- groups can be skipped; other rows of the same instant are sorted out last.
-- A customer is kept only where a rule counts customers: who refused or returned an item. They are kept as a
-- keyed hash, which tells customers apart and does not say who they are.
-- ephemeral
-- grain: every stored row
WITH moved AS (
    SELECT order_item_id, pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND ready_to_ship_at >= $horizon
    UNION ALL
    SELECT order_item_id, pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND shipped_at >= $horizon
    UNION ALL
    SELECT order_item_id, pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND delivered_at >= $horizon
    UNION ALL
    SELECT order_item_id, pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND cancelled_at >= $horizon
    UNION ALL
    SELECT order_item_id, pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND rejected_at >= $horizon
    UNION ALL
    SELECT order_item_id, pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND returned_at >= $horizon
),

-- An older copy of an item that has one since then makes it bad, whatever the age of the case that names it.
named AS (
    SELECT order_item_id FROM warehouse.stored_checks
    UNION
    SELECT order_item_id FROM warehouse.stored_cases
    UNION
    SELECT order_item_id FROM ledger.open_charges
    UNION
    SELECT order_item_id FROM raw.counterfeit_cases
    WHERE
        order_item_id IN (
            SELECT order_item_id FROM raw.order_items
            WHERE pending_at >= $horizon
            UNION ALL
            SELECT order_item_id FROM moved
        )
),

older AS (
    SELECT pending_at FROM moved
    UNION ALL
    SELECT pending_at FROM raw.order_items
    WHERE pending_at < $horizon AND order_item_id IN (SELECT order_item_id FROM named)
),

judged AS (
    SELECT *
    FROM raw.order_items
    WHERE pending_at >= $horizon
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE pending_at IS NULL
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE
        pending_at < $horizon
        AND pending_at IN (SELECT pending_at FROM older)
        AND (
            ready_to_ship_at >= $horizon
            OR shipped_at >= $horizon
            OR delivered_at >= $horizon
            OR cancelled_at >= $horizon
            OR rejected_at >= $horizon
            OR returned_at >= $horizon
            OR order_item_id IN (SELECT order_item_id FROM named)
        )
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
FROM judged
