-- The stored order items that a drop-off check or a counterfeit case names, one row per item (Rulebook §13):
-- by them checks and cases are judged. Both are looked up in one read of the order items.
-- grain: order_item_id
WITH named AS (
    SELECT order_item_id FROM warehouse.stored_checks
    UNION
    SELECT order_item_id FROM warehouse.stored_cases
)

SELECT
    i.order_item_id,                            -- the item
    MIN(CASE WHEN f.seller_id IS NULL THEN i.seller_id END)
        AS seller_id,                           -- its seller, if of the policy's country
    COUNT(f.seller_id) = COUNT(*) AS is_abroad, -- whether every stored copy is another country's
    COUNT(b.row_id) > 0 AS is_set_aside         -- whether its rows are bad
FROM warehouse.stored_items AS i
LEFT JOIN warehouse.foreign_sellers AS f ON i.seller_id = f.seller_id
LEFT JOIN (SELECT DISTINCT row_id FROM warehouse.bad_order_items) AS b ON i.order_item_id = b.row_id
WHERE i.order_item_id IN (SELECT order_item_id FROM named)
GROUP BY i.order_item_id
