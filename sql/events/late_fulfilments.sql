-- Items not ready to ship by their deadline, excused ones too, one row per item (Rulebook §6, §11).
-- Ready exactly at the deadline is in time. Cancelled before the deadline is not late; cancelled at
-- or after it, by anyone, is. The event falls at the deadline, not when the item became ready.
-- grain: order_item_id
SELECT
    i.order_item_id,                                                    -- the item
    i.order_number,                                                     -- its order
    i.seller_id,                                                        -- its seller
    i.sku,                                                              -- its product
    d.deadline_at AS event_at,                                          -- the deadline
    CAST(DATE_TRUNC('week', d.deadline_at) AS DATE) AS event_week,      -- the Monday of that week
    CAST(d.deadline_at AS DATE) AS event_date,                          -- the local date
    'late' AS reason,                                                   -- the one reason there is
    i.commission,                                                       -- naira
    i.pending_at,                                                       -- when the clock started
    i.ready_from,                                                       -- when it became ready; null: not at all
    x.claim_id AS excused_by                                            -- the claim that excuses it; null: it counts
FROM warehouse.order_items AS i
INNER JOIN warehouse.fulfilment_deadlines AS d ON i.order_item_id = d.order_item_id AND d.entered_state = 'pending'
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'lateness'
WHERE
    d.deadline_at <= $now
    AND (i.ready_from IS NULL OR i.ready_from > d.deadline_at)
    AND (i.cancelled_at IS NULL OR i.cancelled_at >= d.deadline_at)
