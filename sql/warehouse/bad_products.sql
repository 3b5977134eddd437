-- Products set aside: one row per stored row that breaks the raw contract, with why (Rulebook §13).
-- Products of other countries' sellers are not considered.
-- grain: every stored row
WITH repeated AS (
    SELECT sku
    FROM warehouse.stored_products
    WHERE sku IS NOT NULL
    GROUP BY sku
    HAVING COUNT(*) > 1
),

judged AS (
    SELECT
        p.*,
        CONCAT_WS(
            '; ',
            CASE
                WHEN p.sku IS NULL THEN 'sku is null'
                WHEN NOT REGEXP_MATCHES(p.sku, $visible) THEN 'sku is empty'
                WHEN CONTAINS(p.sku, CHR(0)) THEN 'sku holds a NUL character'
                WHEN LENGTH(p.sku) > $longest_id THEN 'sku is too long'
            END,
            CASE WHEN r.sku IS NOT NULL THEN 'sku occurs more than once' END,
            CASE WHEN s.seller_id IS NULL THEN 'seller is unknown or set aside' END,
            CASE WHEN t.product_type IS NULL THEN 'product_type is not a listed one' END
        ) AS faults
    FROM warehouse.stored_products AS p
    LEFT JOIN repeated AS r ON p.sku = r.sku
    LEFT JOIN warehouse.sellers AS s ON p.seller_id = s.seller_id
    LEFT JOIN warehouse.foreign_sellers AS f ON p.seller_id = f.seller_id
    LEFT JOIN (SELECT DISTINCT product_type FROM policy.product_types) AS t ON p.product_type = t.product_type
    WHERE f.seller_id IS NULL
)

SELECT
    sku AS row_id,              -- the stored sku; null where that is the fault
    seller_id,                  -- the seller the row names
    faults,                     -- every reason, separated by semicolons
    CAST(TO_JSON(STRUCT_PACK(
        sku := sku,
        seller_id := seller_id,
        product_name := product_name,
        category := category,
        product_type := product_type
    )) AS VARCHAR) AS stored_row            -- the row as stored, as JSON
FROM judged
WHERE faults <> ''
