-- Items that are overdue, or will be by $cancels_at unless they are updated, one row per item (Rulebook §15, §9).
-- An item that was cancelled as late is not open any more, whatever the warehouse shows of it.
-- grain: order_item_id
SELECT
    o.seller_id,                            -- the item's seller
    o.order_item_id,                        -- the item
    o.order_number,                         -- its order
    o.sku,                                  -- its product
    o.deadline_at,                          -- when its hours are full
    o.entered_state AS stage,               -- pending or ready_to_ship: what it must leave
    o.deadline_at <= $now AS is_overdue     -- or due by $cancels_at
FROM late_orders.overdue_items AS o
LEFT JOIN ledger.late_cancellations AS c ON o.order_item_id = c.order_item_id AND c.is_implemented
WHERE c.order_item_id IS NULL
