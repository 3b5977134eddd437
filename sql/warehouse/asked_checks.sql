-- The stored drop-off checks of the order items that an answer is about, one row per stored row (Rulebook §13, §14),
-- and what makes such a check bad: other rows with its id. They stand in for `warehouse.stored_checks`. Each part is
-- a read of its own, by one id: an OR of them would compare every row. No row is in two parts.
-- ephemeral
-- grain: every stored row
WITH of_items AS (
    SELECT *
    FROM raw.dropoff_qc
    WHERE order_item_id IN (SELECT order_item_id FROM warehouse.asked_order_items)
),

others AS (
    SELECT *
    FROM raw.dropoff_qc
    WHERE qc_id IN (SELECT qc_id FROM of_items)
)

SELECT
    qc_id,          -- as stored
    order_item_id,  -- as stored
    checked_at,     -- as stored
    result,         -- as stored
    failure_reason  -- as stored
FROM of_items
UNION ALL
SELECT o.qc_id, o.order_item_id, o.checked_at, o.result, o.failure_reason
FROM others AS o
LEFT JOIN (SELECT DISTINCT order_item_id FROM warehouse.asked_order_items) AS a ON o.order_item_id = a.order_item_id
WHERE a.order_item_id IS NULL
