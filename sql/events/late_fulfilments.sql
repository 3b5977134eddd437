-- Items not ready to ship by their deadline, excused ones too, one row per item (Rulebook §6, §11).
-- Ready exactly at the deadline is in time. Cancelled before the deadline is not late; cancelled at
-- or after it, by anyone, is. The event falls at the deadline, not when the item became ready.
-- An item that is not ready, or not cancelled, is compared by the slot's instant. The instant is joined as a row, so
-- that DuckDB 2.0 filters after its join with the days and not in it, where it may fail with an internal error.
-- grain: order_item_id
SELECT
    d.order_item_id,                                                    -- the item
    d.order_number,                                                     -- its order
    d.seller_id,                                                        -- its seller
    d.sku,                                                              -- its product
    d.deadline_at AS event_at,                                          -- the deadline
    CAST(DATE_TRUNC('week', d.deadline_at) AS DATE) AS event_week,      -- the Monday of that week
    CAST(d.deadline_at AS DATE) AS event_date,                          -- the local date
    'late' AS reason,                                                   -- the one reason there is
    d.commission,                                                       -- naira
    d.pending_at,                                                       -- when the clock started
    d.ready_from,                                                       -- when it became ready; null: not at all
    x.claim_id AS excused_by                                            -- the claim that excuses it; null: it counts
FROM warehouse.fulfilment_deadlines AS d
CROSS JOIN (SELECT $now AS instant) AS n
LEFT JOIN warehouse.excused_events AS x ON d.order_item_id = x.order_item_id AND x.event = 'lateness'
WHERE
    d.entered_state = 'pending'
    AND d.deadline_at <= n.instant
    AND COALESCE(d.ready_from > d.deadline_at, n.instant >= d.deadline_at)
    AND COALESCE(d.cancelled_at >= d.deadline_at, n.instant >= d.deadline_at)
