-- The items that a day's late orders may be about, one row per item (Rulebook §9): open at the slot's
-- instant in a state that they entered since $since, or with a late action that is open. Only times since
-- $since are read, so the cost does not grow with the warehouse's history.
-- grain: order_item_id?
WITH recent AS (
    SELECT order_item_id, cancelled_at, shipped_at, delivered_at, rejected_at
    FROM raw.order_items
    WHERE pending_at >= $since AND pending_at <= $now
    UNION ALL
    SELECT order_item_id, cancelled_at, shipped_at, delivered_at, rejected_at
    FROM raw.order_items
    WHERE pending_at < $since AND ready_to_ship_at >= $since AND ready_to_ship_at <= $now
)

SELECT order_item_id    -- the item
FROM recent
WHERE
    COALESCE(cancelled_at > $now, TRUE)
    AND COALESCE(LEAST(shipped_at, delivered_at, rejected_at) > $now, TRUE)
UNION
SELECT order_item_id
FROM ledger.open_late_cancellations
