-- Both rates of each product with an event in their windows, and how near its delisting is, one row per product
-- (Rulebook §15, §7, §8).
-- grain: sku
SELECT
    r.seller_id,                                                -- the product's seller
    r.sku,                                                      -- the product
    r.product_type,                                             -- GM or Fashion
    r.rejected_items,                                           -- numerator of the rejection rate
    r.rejection_base_items,                                     -- its denominator
    CASE
        WHEN r.rejection_base_items > 0
            THEN CAST(CAST(100 * r.rejected_items AS DECIMAL(14, 4)) / r.rejection_base_items AS DECIMAL(9, 4))
    END AS rejection_rate_pct,                                  -- rounded, for people to read
    r.rejection_over_pct,                                       -- the threshold to exceed
    r.rejecting_customers,                                      -- distinct customers who rejected
    r.has_rejection_ground,                                     -- whether it would be regulated for it
    r.returned_items,                                           -- numerator of the return rate
    r.return_base_items,                                        -- its denominator
    CASE
        WHEN r.return_base_items > 0
            THEN CAST(CAST(100 * r.returned_items AS DECIMAL(14, 4)) / r.return_base_items AS DECIMAL(9, 4))
    END AS return_rate_pct,                                     -- rounded, for people to read
    r.return_over_pct,                                          -- the threshold to exceed
    r.returning_customers,                                      -- distinct customers who returned
    r.has_return_ground,                                        -- whether it would be regulated for it
    r.minimum_customers,                                        -- that each ground needs
    CAST(COALESCE(o.occurrences, 0) AS INTEGER) AS occurrences, -- that stand
    CAST(p.occurrence AS INTEGER) AS delisted_from_occurrence,  -- the one that brings the delisting
    d.sku IS NOT NULL AS is_delisted                            -- the product
FROM metrics.product_rates AS r
INNER JOIN policy.product_delisting AS p
    ON CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
LEFT JOIN metrics.standing_occurrences AS o ON r.sku = o.sku
LEFT JOIN ledger.product_delistings AS d ON r.sku = d.sku AND d.is_standing
