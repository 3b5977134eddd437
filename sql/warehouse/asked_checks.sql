-- The stored drop-off checks of the order items that an answer is about, one row per stored row (Rulebook §13, §14),
-- and what makes such a check bad: other rows with its id. They stand in for `warehouse.stored_checks`.
-- ephemeral
-- grain: every stored row
WITH of_items AS (
    SELECT qc_id
    FROM raw.dropoff_qc
    WHERE order_item_id IN (SELECT order_item_id FROM warehouse.asked_order_items)
)

SELECT
    qc_id,          -- as stored
    order_item_id,  -- as stored
    checked_at,     -- as stored
    result,         -- as stored
    failure_reason  -- as stored
FROM raw.dropoff_qc
WHERE
    order_item_id IN (SELECT order_item_id FROM warehouse.asked_order_items)
    OR qc_id IN (SELECT qc_id FROM of_items)
