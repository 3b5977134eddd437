-- How often each product was returned for quality in the week before the observed week, one row per
-- product with such a return (Rulebook §7, return ground). That week, because products are regulated
-- "two weeks later based on their return rate".
WITH terms AS (
    SELECT w.starts_at AS window_start
    FROM policy.calendar AS w
    WHERE w.day = CAST($cycle AS DATE) - 7
),

returned AS (
    SELECT
        e.sku,
        e.seller_id,
        COUNT(*) AS returned_items,
        COUNT(DISTINCT e.customer_id) AS returning_customers
    FROM events.quality_returns AS e
    CROSS JOIN terms AS t
    WHERE e.event_at >= t.window_start AND e.event_at < $week_start
    GROUP BY e.sku, e.seller_id
),

delivered AS (
    SELECT
        i.sku,
        COUNT(*) AS delivered_items
    FROM warehouse.order_items AS i
    CROSS JOIN terms AS t
    WHERE i.delivered_at >= t.window_start AND i.delivered_at < $week_start
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
