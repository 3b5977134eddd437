-- Items that will be overdue at the day's late cancellation unless they are updated, one row per item
-- (Rulebook §9): neither cancelled nor shipped, and in their present state past its deadline by
-- $cancels_at. An item is overdue from its deadline on, so a deadline exactly then counts. Excused lateness
-- does not count (Rulebook §11).
-- grain: order_item_id
SELECT
    i.order_item_id,                                        -- the item
    i.order_number,                                         -- its order
    i.seller_id,                                            -- its seller
    i.sku,                                                  -- its product
    d.entered_state,                                        -- pending or ready_to_ship
    d.entered_at,                                           -- when it entered the state
    d.deadline_at,                                          -- when its hours were full
    CAST(d.deadline_at AS DATE)
    >= CAST($day AS DATE) - CAST(p.late_lookback_days AS INTEGER)
    AND CAST(d.deadline_at AS DATE) >= $first_late_day
        AS is_looked_back_to                                -- else it is only counted, for operators
FROM warehouse.order_items AS i
INNER JOIN warehouse.fulfilment_deadlines AS d
    ON
        i.order_item_id = d.order_item_id
        AND d.entered_state = CASE WHEN i.ready_from IS NULL THEN 'pending' ELSE 'ready_to_ship' END
INNER JOIN policy.late_orders AS p
    ON CAST($day AS DATE) >= p.valid_from AND CAST($day AS DATE) < p.valid_until
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'lateness'
WHERE
    x.order_item_id IS NULL
    AND i.cancelled_at IS NULL
    AND i.shipped_from IS NULL
    AND d.deadline_at <= $cancels_at
