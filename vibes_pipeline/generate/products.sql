-- products: what the roster's sellers sell. Grain: one SKU. A torn row, never sold, has no type.
INSERT INTO raw.products BY NAME
SELECT sku, seller_id, product_name, category, product_type
FROM made_products
UNION ALL
SELECT 'SKU-TORN', seller_id, 'Sample', category, NULL
FROM made_products
WHERE $has_torn_rows AND product_index = 0
