-- What the rule says of each product with a rejection or a return in its windows, one row per product (Rulebook §7,
-- §14): why it is not regulated, or else on which grounds.
-- Rates must exceed the thresholds; they are compared exactly, by their counts, cross-multiplied.
-- A regulation is an occurrence only when it rests on something new: a return ground, or a rejection inside the
-- observed week itself. Else one bad week, which stays in the window of 30 days, would be counted four times.
-- ephemeral
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
        t.minimum_customers,
        j.rejected_items,
        j.rejected_items + j.delivered_items AS rejection_base_items,
        j.rejecting_customers,
        COALESCE(j.rejected_in_observed_week, 0) AS rejected_in_observed_week,
        r.returned_items,
        GREATEST(r.returned_items, r.delivered_items) AS return_base_items,
        r.returning_customers,
        COALESCE(
            100 * j.rejected_items > h.rejection_over_pct * (j.rejected_items + j.delivered_items),
            FALSE
        ) AS is_over_by_rejections,
        COALESCE(j.rejecting_customers >= t.minimum_customers, FALSE) AS has_rejecting_customers,
        COALESCE(
            100 * r.returned_items > h.return_over_pct * GREATEST(r.returned_items, r.delivered_items),
            FALSE
        ) AS is_over_by_returns,
        COALESCE(r.returning_customers >= t.minimum_customers, FALSE) AS has_returning_customers
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
    g.seller_id,                    -- the product's seller
    g.sku,                          -- the product
    CASE
        WHEN d.sku IS NOT NULL THEN 'delisted'
        WHEN
            (g.is_over_by_rejections AND g.has_rejecting_customers)
            OR (g.is_over_by_returns AND g.has_returning_customers)
            THEN NULL
        WHEN g.is_over_by_rejections OR g.is_over_by_returns THEN 'too_few_customers'
        ELSE 'not_over'
    END AS code,                    -- why it is not regulated; null: it is
    CONCAT_WS(
        ',',
        CASE WHEN g.is_over_by_rejections AND g.has_rejecting_customers THEN 'rejection_rate' END,
        CASE WHEN g.is_over_by_returns AND g.has_returning_customers THEN 'return_rate' END
    ) AS grounds,                   -- rejection_rate, return_rate or both; empty: none
    CASE
        WHEN (g.is_over_by_returns AND g.has_returning_customers) OR g.rejected_in_observed_week > 0
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
    g.in_force_days                 -- from its implementation
FROM grounds AS g
LEFT JOIN standing_occurrences AS o ON g.sku = o.sku
LEFT JOIN rulings.delisted_products AS d ON g.sku = d.sku
