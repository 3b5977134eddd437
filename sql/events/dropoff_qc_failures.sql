-- The first failed quality check of each item at drop-off, excused ones too, one row per item
-- (Rulebook §6, §11).
-- grain: order_item_id
WITH ranked AS (
    SELECT
        q.*,
        ROW_NUMBER() OVER (PARTITION BY q.order_item_id ORDER BY q.checked_at, q.qc_id) AS nth
    FROM warehouse.dropoff_qc AS q
    WHERE q.result = 'failed'
)

SELECT
    i.order_item_id,                                                -- the item
    i.order_number,                                                 -- its order
    i.seller_id,                                                    -- its seller
    i.sku,                                                          -- its product
    q.checked_at AS event_at,                                       -- when the check failed
    CAST(DATE_TRUNC('week', q.checked_at) AS DATE) AS event_week,   -- the Monday of that week
    CAST(q.checked_at AS DATE) AS event_date,                       -- the local date
    q.failure_reason AS reason,                                     -- wrong, defective or used
    q.qc_id,                                                        -- the check
    x.claim_id AS excused_by                                        -- the claim that excuses it; null: it counts
FROM ranked AS q
INNER JOIN warehouse.order_items AS i ON q.order_item_id = i.order_item_id
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'dropoff_qc'
WHERE q.nth = 1
