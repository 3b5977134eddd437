-- Products delisted after repeated sales regulations, one row per product (Rulebook §8).
-- grain: sku
WITH rests_on AS (
    SELECT
        sku,
        CAST(cycle AS VARCHAR) AS cycle
    FROM ledger.sales_regulations
    WHERE is_standing AND occurrence IS NOT NULL
    UNION ALL
    SELECT
        sku,
        CAST(CAST($cycle AS DATE) AS VARCHAR) AS cycle
    FROM decisions.sales_regulations
    WHERE occurrence IS NOT NULL
),

listed AS (
    SELECT
        sku,
        ARRAY_TO_STRING(LIST_SORT(ARRAY_AGG(cycle)), ',') AS occurrence_cycles
    FROM rests_on
    GROUP BY sku
)

SELECT
    r.seller_id,                                        -- the product's seller
    r.sku,                                              -- the product
    r.event_at,                                         -- the observed week's end
    r.occurrence AS occurrences,                        -- standing ones, this cycle's included
    l.occurrence_cycles,                                -- their weeks, by the Mondays, in order
    p.occurrence AS delisted_from_occurrence            -- the occurrence that brings a delisting
FROM decisions.sales_regulations AS r
INNER JOIN listed AS l ON r.sku = l.sku
INNER JOIN policy.product_delisting AS p
    ON
        CAST($cycle AS DATE) >= p.valid_from
        AND CAST($cycle AS DATE) < p.valid_until
        AND r.occurrence >= p.occurrence
