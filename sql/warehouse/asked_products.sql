-- The stored products that an answer is about, one row per stored row (Rulebook §13, §14): those of the items that it
-- is about, and those that the parameters ask for. They stand in for `warehouse.stored_products`, of which most
-- answers need a few. Every row of a SKU is among them, for a SKU that occurs more than once is set aside.
-- ephemeral
-- grain: every stored row
WITH asked AS (
    SELECT sku
    FROM warehouse.asked_order_items
    UNION
    SELECT sku
    FROM raw.products
    WHERE
        CAST($item AS VARCHAR) IS NULL
        AND NOT CAST($of_charges AS BOOLEAN)
        AND (CAST($seller AS VARCHAR) IS NULL OR seller_id = CAST($seller AS VARCHAR))
        AND (CAST($product AS VARCHAR) IS NULL OR sku = CAST($product AS VARCHAR))
)

SELECT
    sku,            -- as stored
    seller_id,      -- as stored
    product_name,   -- as stored
    category,       -- as stored
    product_type    -- as stored
FROM raw.products
WHERE sku IN (SELECT sku FROM asked)
