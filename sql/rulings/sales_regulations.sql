-- What the rule says of each product with a rejection or a return in its windows, one row per product (Rulebook §7,
-- §14): why it is not regulated, or else on which grounds.
-- A regulation is an occurrence only when it rests on something new: a return ground, or a rejection inside the
-- observed week itself. Else one bad week, which stays in the window of 30 days, would be counted four times.
-- ephemeral
-- grain: sku
SELECT
    g.seller_id,                    -- the product's seller
    g.sku,                          -- the product
    CASE
        WHEN d.sku IS NOT NULL THEN 'delisted'
        WHEN g.has_rejection_ground OR g.has_return_ground THEN NULL
        WHEN g.is_rejection_rate_over OR g.is_return_rate_over THEN 'too_few_customers'
        ELSE 'not_over'
    END AS code,                    -- why it is not regulated; null: it is
    CONCAT_WS(
        ',',
        CASE WHEN g.has_rejection_ground THEN 'rejection_rate' END,
        CASE WHEN g.has_return_ground THEN 'return_rate' END
    ) AS grounds,                   -- rejection_rate, return_rate or both; empty: none
    CASE
        WHEN g.has_return_ground OR g.rejected_in_observed_week > 0
            THEN CAST(1 + COALESCE(o.occurrences, 0) AS INTEGER)
    END AS occurrence,              -- the ordinal; null: does not count
    g.product_type,                 -- GM or Fashion
    g.rejected_items,               -- numerator of the rejection rate
    g.rejection_base_items,         -- its denominator
    g.rejecting_customers,          -- distinct customers who rejected
    g.rejection_over_pct,           -- the threshold
    g.rejected_in_observed_week,    -- rejected in the observed week itself
    g.returned_items,               -- numerator of the return rate
    g.return_base_items,            -- its denominator
    g.returning_customers,          -- distinct customers who returned
    g.return_over_pct,              -- the threshold
    g.minimum_customers,            -- that a ground needs
    t.in_force_days                 -- from its implementation
FROM metrics.product_rates AS g
INNER JOIN policy.sales_regulation AS t
    ON CAST($cycle AS DATE) >= t.valid_from AND CAST($cycle AS DATE) < t.valid_until
LEFT JOIN metrics.standing_occurrences AS o ON g.sku = o.sku
LEFT JOIN rulings.delisted_products AS d ON g.sku = d.sku
