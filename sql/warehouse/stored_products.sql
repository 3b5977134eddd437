-- The stored products that are judged, one row per stored row (Rulebook §13): all of them, for they are few beside the
-- order items.
-- ephemeral
-- grain: every stored row
SELECT
    sku,            -- as stored
    seller_id,      -- as stored
    product_name,   -- as stored
    category,       -- as stored
    product_type    -- as stored
FROM raw.products
