-- Counterfeit cases known at the slot's instant, one row per case (Rulebook §13).
-- A case neither notified nor proven yet does not exist yet.
-- grain: case_id
SELECT
    c.case_id,                                                                  -- id of the case
    c.order_item_id,                                                            -- the item in question
    CASE WHEN c.notified_at <= $now THEN c.notified_at END AS notified_at,      -- when the seller was told
    CASE WHEN c.proven_at <= $now THEN c.proven_at END AS proven_at             -- null while open
FROM warehouse.stored_cases AS c
INNER JOIN warehouse.order_items AS i ON c.order_item_id = i.order_item_id
LEFT JOIN warehouse.bad_counterfeit_cases AS b ON c.case_id = b.row_id
WHERE
    c.case_id IS NOT NULL
    AND b.row_id IS NULL
    AND (c.notified_at <= $now OR c.proven_at <= $now)
