-- Products that are delisted, by themselves or with their seller's account, one row per product (Rulebook §7, §8): they
-- get no further regulation.
-- ephemeral
-- grain: sku
SELECT DISTINCT p.sku       -- the product
FROM warehouse.products AS p
LEFT JOIN ledger.product_delistings AS d ON p.sku = d.sku AND d.is_standing
LEFT JOIN ledger.account_delistings AS a ON p.seller_id = a.seller_id AND a.is_standing
WHERE d.sku IS NOT NULL OR a.seller_id IS NOT NULL
