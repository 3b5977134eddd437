-- Products delisted after repeated sales regulations, one row per product (Rulebook §8).
-- grain: sku
SELECT
    r.seller_id,                                        -- the product's seller
    r.sku,                                              -- the product
    r.event_at,                                         -- the observed week's end
    r.occurrence AS occurrences,                        -- standing ones, this cycle's included
    p.occurrence AS delisted_from_occurrence            -- the occurrence that brings a delisting
FROM decisions.sales_regulations AS r
INNER JOIN policy.product_delisting AS p
    ON
        CAST($cycle AS DATE) >= p.valid_from
        AND CAST($cycle AS DATE) < p.valid_until
        AND r.occurrence >= p.occurrence
