-- Sales regulations of bad products, one row per product (Rulebook §7).
-- grain: sku
SELECT
    seller_id,                                              -- the product's seller
    sku,                                                    -- the product
    grounds,                                                -- rejection_rate, return_rate or both
    occurrence,                                             -- the ordinal; null: does not count
    $week_end AS event_at,                                  -- the observed week's end
    product_type,                                           -- GM or Fashion
    rejected_items,                                         -- numerator of the rejection rate
    rejection_base_items,                                   -- its denominator
    rejecting_customers,                                    -- distinct customers who rejected
    rejection_over_pct,                                     -- the threshold
    rejected_in_observed_week,                              -- rejected in the observed week itself
    returned_items,                                         -- numerator of the return rate
    return_base_items,                                      -- its denominator
    returning_customers,                                    -- distinct customers who returned
    return_over_pct,                                        -- the threshold
    CAST(in_force_days AS INTEGER) AS in_force_days         -- from its implementation
FROM rulings.sales_regulations
WHERE code IS NULL
