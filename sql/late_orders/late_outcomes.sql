-- What has become of each open late action by the day's late cancellation, one row per action
-- (Rulebook §9): overdue still, updated, cancelled by anyone, or gone from the warehouse.
SELECT
    c.action_id,        -- the action
    CASE
        WHEN i.order_item_id IS NULL THEN 'evidence_gone'
        WHEN i.cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN o.order_item_id IS NULL THEN 'updated'
        ELSE 'overdue'
    END AS outcome      -- overdue is what is cancelled now; all else is withdrawn for that reason
FROM ledger.open_late_cancellations AS c
LEFT JOIN warehouse.order_items AS i ON c.order_item_id = i.order_item_id
LEFT JOIN late_orders.overdue_items AS o
    ON c.order_item_id = o.order_item_id AND c.entered_state = o.entered_state
