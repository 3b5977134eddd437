-- How many standing sales regulations of each product count toward its delisting, one row per product with such
-- a regulation (Rulebook §7, §8).
-- ephemeral
-- grain: sku
SELECT
    sku,                    -- the product
    COUNT(*) AS occurrences -- of earlier cycles
FROM ledger.sales_regulations
WHERE is_standing AND occurrence IS NOT NULL
GROUP BY sku
