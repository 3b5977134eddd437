-- The stored rows of the items that a day's late orders may be about, one row per stored copy (Rulebook
-- §9, §13): every copy since $since, and every copy that is pending only later or was never pending. These two
-- are no items, but they make the other copies bad, as every repeated id is. A copy from before $since is left to
-- the weekly alert: to look for it here would read the whole history. Each part is a read of its own, by one
-- range of time and by id, because an OR of them would read the whole history too. Late orders count no
-- customers, so none is kept.
-- grain: every stored row
WITH copies AS (
    SELECT *
    FROM raw.order_items
    WHERE
        pending_at >= $since AND pending_at <= $now
        AND order_item_id IN (SELECT order_item_id FROM warehouse.open_items)
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE
        pending_at < $since AND ready_to_ship_at >= $since AND ready_to_ship_at <= $now
        AND order_item_id IN (SELECT order_item_id FROM warehouse.open_items)
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE pending_at > $now AND order_item_id IN (SELECT order_item_id FROM warehouse.open_items)
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE pending_at IS NULL AND order_item_id IN (SELECT order_item_id FROM warehouse.open_items)
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
    CAST(NULL AS VARCHAR) AS customer_hash  -- left out
FROM copies
