-- The stored rows that a day's late orders are looked for in, one row per stored copy (Rulebook §9).
-- Read are only times since $since, so the cost does not grow with the warehouse's history; kept are
-- items that were open at the slot's instant or that bear an open late action, with every copy of
-- them in that time, for a repeated id makes all of them bad. (A copy from before $since is the weekly
-- alert's to find: looking for it here would read the whole history.)
WITH recent AS (
    SELECT *
    FROM raw.order_items
    WHERE pending_at >= $since AND pending_at <= $now
    UNION ALL
    SELECT *
    FROM raw.order_items
    WHERE pending_at < $since AND ready_to_ship_at >= $since AND ready_to_ship_at <= $now
    UNION ALL
    -- No item, but a copy of one that makes it bad.
    SELECT *
    FROM raw.order_items
    WHERE pending_at IS NULL OR pending_at > $now
),

wanted AS (
    SELECT order_item_id
    FROM recent
    WHERE
        pending_at <= $now
        AND COALESCE(cancelled_at > $now, TRUE)
        AND COALESCE(LEAST(shipped_at, delivered_at, rejected_at) > $now, TRUE)
    UNION
    SELECT order_item_id
    FROM ledger.open_late_cancellations
)

SELECT
    r.order_item_id,        -- as stored
    r.order_number,         -- as stored
    r.seller_id,            -- as stored
    r.sku,                  -- as stored
    r.customer_id,          -- as stored
    r.item_price,           -- as stored, naira
    r.commission,           -- as stored, naira
    r.tracking_number,      -- as stored
    r.pending_at,           -- as stored
    r.ready_to_ship_at,     -- as stored
    r.shipped_at,           -- as stored
    r.delivered_at,         -- as stored
    r.cancelled_at,         -- as stored
    r.cancel_reason,        -- as stored
    r.rejected_at,          -- as stored
    r.returned_at,          -- as stored
    r.return_reason         -- as stored
FROM recent AS r
INNER JOIN wanted AS w ON r.order_item_id = w.order_item_id
