-- What has become of each open late action by the day's late cancellation, one row per action (Rulebook §9).
-- `overdue`: the item is cancelled now. `not_due`: its deadline has moved, because a holiday was declared or a
-- time was corrected; the action waits. `missing`: its row is not stored or is set aside, which says nothing
-- about the seller (Rulebook §2, evidence); the action waits too. `updated`, `cancelled` and `evidence_gone`: the
-- action is withdrawn for that reason; the evidence is also gone when the item turns out to be another seller's,
-- who was not told.
-- grain: action_id
WITH stored AS (
    SELECT DISTINCT i.order_item_id
    FROM warehouse.recent_order_items AS i
    LEFT JOIN warehouse.bad_order_items AS b ON i.order_item_id = b.row_id
    WHERE b.row_id IS NULL
)

SELECT
    c.action_id,        -- the action
    CASE
        WHEN stored.order_item_id IS NULL THEN 'missing'
        WHEN i.order_item_id IS NULL OR i.seller_id <> c.seller_id THEN 'evidence_gone'
        WHEN i.cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN o.order_item_id IS NOT NULL THEN 'overdue'
        WHEN i.shipped_from IS NOT NULL THEN 'updated'
        WHEN c.entered_state <> CASE WHEN i.ready_from IS NULL THEN 'pending' ELSE 'ready_to_ship' END
            THEN 'updated'
        ELSE 'not_due'
    END AS outcome      -- overdue, not_due, missing, updated, cancelled or evidence_gone
FROM ledger.open_late_cancellations AS c
LEFT JOIN stored ON c.order_item_id = stored.order_item_id
LEFT JOIN warehouse.order_items AS i ON c.order_item_id = i.order_item_id
LEFT JOIN late_orders.overdue_items AS o
    ON c.order_item_id = o.order_item_id AND c.entered_state = o.entered_state
