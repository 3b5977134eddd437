-- Cancellations of items not updated from Pending to Ready to Ship in time, one row per item
-- (Rulebook §9). An item bears the rule once, ever. An item whose earlier alert was not accepted, or led to no
-- cancellation, keeps its action and is alerted again. An item that either rule has cancelled is not cancelled
-- again, whatever the warehouse shows.
-- grain: order_item_id
SELECT
    o.seller_id,                                    -- the item's seller
    o.sku,                                          -- its product
    o.order_number,                                 -- its order
    o.order_item_id,                                -- the item
    o.deadline_at AS event_at,                      -- its deadline
    o.entered_state,                                -- pending or ready_to_ship
    o.entered_at,                                   -- when it entered the state
    o.deadline_at,                                  -- when its hours were full
    already.order_item_id IS NOT NULL AS is_kept    -- whether the ledger has the action already
FROM late_orders.overdue_items AS o
LEFT JOIN ledger.late_cancellations AS already
    ON o.order_item_id = already.order_item_id AND already.rule = 'late_pending_cancellation'
LEFT JOIN ledger.late_cancellations AS cancelled
    ON o.order_item_id = cancelled.order_item_id AND cancelled.is_implemented
WHERE
    o.entered_state = 'pending'
    AND cancelled.order_item_id IS NULL
    AND (
        (already.is_open AND already.seller_id = o.seller_id)
        OR (already.order_item_id IS NULL AND o.is_looked_back_to)
    )
