-- The stored counterfeit cases of the order items that an answer is about, one row per stored row (Rulebook §13, §14).
-- They stand in for `warehouse.stored_cases`.
-- ephemeral
-- grain: every stored row
SELECT
    case_id,        -- as stored
    order_item_id,  -- as stored
    notified_at,    -- as stored
    proven_at       -- as stored
FROM raw.counterfeit_cases
WHERE order_item_id IN (SELECT order_item_id FROM warehouse.asked_order_items)
