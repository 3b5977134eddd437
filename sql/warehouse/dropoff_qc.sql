-- Quality checks at drop-off known at the slot's instant, one row per check (Rulebook §13).
-- grain: qc_id
SELECT
    q.qc_id,            -- id of the check
    q.order_item_id,    -- the item checked
    q.checked_at,       -- when it was checked
    q.result,           -- passed or failed
    q.failure_reason    -- why it failed: one of the policy's failure reasons
FROM warehouse.stored_checks AS q
INNER JOIN warehouse.order_items AS i ON q.order_item_id = i.order_item_id
LEFT JOIN warehouse.bad_dropoff_qc AS b ON q.qc_id = b.row_id
WHERE q.qc_id IS NOT NULL AND b.row_id IS NULL AND q.checked_at <= $now
