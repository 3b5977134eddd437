-- Sales regulations of bad products, one row per product (Rulebook §7).
-- Rates must exceed the thresholds; they are compared exactly, by their counts, cross-multiplied.
-- A regulation is an occurrence only when it rests on something new: a return ground, or a rejection inside the
-- observed week itself. Else one bad week, which stays in the window of 30 days, would be counted four times.
-- grain: sku
WITH terms AS (
    SELECT *
    FROM policy.sales_regulation
    WHERE CAST($cycle AS DATE) >= valid_from AND CAST($cycle AS DATE) < valid_until
),

thresholds AS (
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

grounds AS (
    SELECT
        h.*,
        t.in_force_days,
        j.rejected_items,
        j.rejected_items + j.delivered_items AS rejection_base_items,
        j.rejecting_customers,
        COALESCE(j.rejected_in_observed_week, 0) AS rejected_in_observed_week,
        r.returned_items,
        GREATEST(r.returned_items, r.delivered_items) AS return_base_items,
        r.returning_customers,
        COALESCE(
            100 * j.rejected_items > h.rejection_over_pct * (j.rejected_items + j.delivered_items)
            AND j.rejecting_customers >= t.minimum_customers,
            FALSE
        ) AS has_rejection_ground,
        COALESCE(
            100 * r.returned_items > h.return_over_pct * GREATEST(r.returned_items, r.delivered_items)
            AND r.returning_customers >= t.minimum_customers,
            FALSE
        ) AS has_return_ground
    FROM thresholds AS h
    CROSS JOIN terms AS t
    LEFT JOIN metrics.product_rejections AS j ON h.sku = j.sku
    LEFT JOIN metrics.product_returns AS r ON h.sku = r.sku
    WHERE j.sku IS NOT NULL OR r.sku IS NOT NULL
),

standing_occurrences AS (
    SELECT
        sku,
        COUNT(*) AS occurrences
    FROM ledger.sales_regulations
    WHERE is_standing AND occurrence IS NOT NULL
    GROUP BY sku
)

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
    CAST(g.in_force_days AS INTEGER) AS in_force_days       -- from its implementation
FROM grounds AS g
LEFT JOIN standing_occurrences AS o ON g.sku = o.sku
LEFT JOIN ledger.product_delistings AS d ON g.sku = d.sku AND d.is_standing
LEFT JOIN ledger.account_delistings AS a ON g.seller_id = a.seller_id AND a.is_standing
WHERE
    (g.has_rejection_ground OR g.has_return_ground)
    AND d.sku IS NULL
    AND a.seller_id IS NULL
