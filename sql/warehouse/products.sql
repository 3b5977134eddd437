-- The products of the country's sellers, one row per SKU (Rulebook §13).
-- grain: sku
SELECT
    p.sku,              -- id of the product: one SKU of one seller
    p.seller_id,        -- whose product it is
    p.product_name,     -- as the seller wrote it: hostile text
    p.category,         -- the catalogue's category
    p.product_type      -- GM or Fashion
FROM warehouse.stored_products AS p
INNER JOIN warehouse.sellers AS s ON p.seller_id = s.seller_id
LEFT JOIN warehouse.bad_products AS b ON p.sku = b.row_id
WHERE p.sku IS NOT NULL AND b.row_id IS NULL
