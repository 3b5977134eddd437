-- Sales regulations of bad products, one row per product (Rulebook §7).
-- A regulation is an occurrence only when it rests on something new: a return ground, or a rejection inside the
-- observed week itself. Else one bad week, which stays in the window of 30 days, would be counted four times.
-- grain: sku
SELECT
    g.seller_id,                                            -- the product's seller
    g.sku,                                                  -- the product
    CONCAT_WS(
        ',',
        CASE WHEN g.has_rejection_ground THEN 'rejection_rate' END,
        CASE WHEN g.has_return_ground THEN 'return_rate' END
    ) AS grounds,                                           -- rejection_rate, return_rate or both
    CASE
        WHEN g.has_return_ground OR g.rejected_in_observed_week > 0
            THEN CAST(1 + COALESCE(o.occurrences, 0) AS INTEGER)
    END AS occurrence,                                      -- the ordinal; null: does not count
    $week_end AS event_at,                                  -- the observed week's end
    g.product_type,                                         -- GM or Fashion
    g.rejected_items,                                       -- numerator of the rejection rate
    g.rejection_base_items,                                 -- its denominator
    g.rejecting_customers,                                  -- distinct customers who rejected
    g.rejection_over_pct,                                   -- the threshold
    g.rejected_in_observed_week,                            -- rejected in the observed week itself
    g.returned_items,                                       -- numerator of the return rate
    g.return_base_items,                                    -- its denominator
    g.returning_customers,                                  -- distinct customers who returned
    g.return_over_pct,                                      -- the threshold
    CAST(t.in_force_days AS INTEGER) AS in_force_days       -- from its implementation
FROM metrics.product_rates AS g
INNER JOIN policy.sales_regulation AS t
    ON CAST($cycle AS DATE) >= t.valid_from AND CAST($cycle AS DATE) < t.valid_until
LEFT JOIN metrics.standing_occurrences AS o ON g.sku = o.sku
LEFT JOIN ledger.product_delistings AS d ON g.sku = d.sku AND d.is_standing
LEFT JOIN ledger.account_delistings AS a ON g.seller_id = a.seller_id AND a.is_standing
WHERE
    (g.has_rejection_ground OR g.has_return_ground)
    AND d.sku IS NULL
    AND a.seller_id IS NULL
