-- Both rates of each product with a rejection or a quality return in its windows, beside what they must exceed,
-- one row per product (Rulebook §7). Rates must exceed the thresholds; they are compared exactly, by their
-- counts, cross-multiplied. Whether a ground brings a regulation, the decision says.
-- ephemeral
-- grain: sku
WITH thresholds AS (
    SELECT
        p.sku,
        p.seller_id,
        p.product_type,
        COALESCE(o.rejection_over_pct, g.rejection_over_pct) AS rejection_over_pct,
        COALESCE(o.return_over_pct, g.return_over_pct) AS return_over_pct
    FROM warehouse.products AS p
    INNER JOIN policy.sales_regulation_thresholds AS g
        ON
            g.sku IS NULL
            AND p.product_type = g.product_type
            AND CAST($cycle AS DATE) >= g.valid_from
            AND CAST($cycle AS DATE) < g.valid_until
    LEFT JOIN policy.sales_regulation_thresholds AS o
        ON p.sku = o.sku AND CAST($cycle AS DATE) >= o.valid_from AND CAST($cycle AS DATE) < o.valid_until
),

counted AS (
    SELECT
        h.*,
        t.minimum_customers,
        COALESCE(j.rejected_items, 0) AS rejected_items,
        COALESCE(j.rejected_items, 0) + COALESCE(d.delivered_beside_rejections, 0) AS rejection_base_items,
        COALESCE(j.rejecting_customers, 0) AS rejecting_customers,
        COALESCE(j.rejected_in_observed_week, 0) AS rejected_in_observed_week,
        COALESCE(r.returned_items, 0) AS returned_items,
        GREATEST(COALESCE(r.returned_items, 0), COALESCE(d.delivered_beside_returns, 0)) AS return_base_items,
        COALESCE(r.returning_customers, 0) AS returning_customers
    FROM thresholds AS h
    INNER JOIN policy.sales_regulation AS t
        ON CAST($cycle AS DATE) >= t.valid_from AND CAST($cycle AS DATE) < t.valid_until
    LEFT JOIN metrics.product_rejections AS j ON h.sku = j.sku
    LEFT JOIN metrics.product_returns AS r ON h.sku = r.sku
    LEFT JOIN metrics.product_deliveries AS d ON h.sku = d.sku
    WHERE j.sku IS NOT NULL OR r.sku IS NOT NULL
)

SELECT
    sku,                                                            -- the product
    seller_id,                                                      -- its seller
    product_type,                                                   -- GM or Fashion
    minimum_customers,                                              -- that each ground needs
    rejected_items,                                                 -- numerator of the rejection rate
    rejection_base_items,                                           -- its denominator
    rejecting_customers,                                            -- distinct customers who rejected
    rejected_in_observed_week,                                      -- rejected in the observed week itself
    rejection_over_pct,                                             -- the threshold
    100 * rejected_items > rejection_over_pct * rejection_base_items
        AS is_rejection_rate_over,                                  -- the threshold
    100 * rejected_items > rejection_over_pct * rejection_base_items
    AND rejecting_customers >= minimum_customers
        AS has_rejection_ground,                                    -- for a regulation
    returned_items,                                                 -- numerator of the return rate
    return_base_items,                                              -- its denominator
    returning_customers,                                            -- distinct customers who returned
    return_over_pct,                                                -- the threshold
    100 * returned_items > return_over_pct * return_base_items
        AS is_return_rate_over,                                     -- the threshold
    100 * returned_items > return_over_pct * return_base_items
    AND returning_customers >= minimum_customers
        AS has_return_ground                                        -- for a regulation
FROM counted
