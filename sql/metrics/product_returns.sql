-- How often each product was returned for quality in the week before the observed week, one row per
-- product with such a return (Rulebook §7, return ground). That week, because products are regulated
-- "two weeks later based on their return rate".
-- grain: sku
WITH terms AS (
    SELECT
        first_day.starts_at AS window_start,
        next_week.starts_at AS window_end
    FROM policy.sales_regulation AS p
    INNER JOIN policy.calendar AS first_day
        ON first_day.day = CAST($cycle AS DATE) - 7 * CAST(p.return_lag_weeks AS INTEGER)
    INNER JOIN policy.calendar AS next_week ON next_week.day = first_day.day + 7
    WHERE CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
),

returned AS (
    SELECT
        e.sku,
        e.seller_id,
        COUNT(*) AS returned_items,
        COUNT(DISTINCT e.customer_hash) AS returning_customers
    FROM events.quality_returns AS e
    CROSS JOIN terms AS t
    WHERE e.event_at >= t.window_start AND e.event_at < t.window_end AND e.excused_by IS NULL
    GROUP BY e.sku, e.seller_id
),

delivered AS (
    SELECT
        i.sku,
        COUNT(*) AS delivered_items
    FROM warehouse.order_items AS i
    CROSS JOIN terms AS t
    WHERE i.delivered_at >= t.window_start AND i.delivered_at < t.window_end
    GROUP BY i.sku
)

SELECT
    r.sku,                                                  -- the product
    r.seller_id,                                            -- its seller
    r.returned_items,                                       -- returned for quality in that week
    COALESCE(d.delivered_items, 0) AS delivered_items,      -- delivered in that week
    r.returning_customers                                   -- distinct, in that week
FROM returned AS r
LEFT JOIN delivered AS d ON r.sku = d.sku
