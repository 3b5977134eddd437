-- How often each product was refused by customers in the days that end with the observed week, one
-- row per product with a rejection that no claim excuses (Rulebook §7, rejection ground; §11).
-- grain: sku
WITH terms AS (
    SELECT w.starts_at AS window_start
    FROM policy.sales_regulation AS p
    INNER JOIN policy.calendar AS w ON w.day = CAST($cycle AS DATE) + 7 - CAST(p.rejection_window_days AS INTEGER)
    WHERE CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
)

SELECT
    i.sku,                                                                              -- the product
    i.seller_id,                                                                        -- its seller
    COUNT(CASE WHEN i.rejected_at IS NOT NULL THEN 1 END) AS rejected_items,            -- in the window
    COUNT(CASE WHEN i.delivered_at IS NOT NULL THEN 1 END) AS delivered_items,          -- in the window
    COUNT(DISTINCT CASE WHEN i.rejected_at IS NOT NULL THEN i.customer_hash END)
        AS rejecting_customers,                                                         -- distinct, in the window
    COUNT(CASE WHEN i.rejected_at >= $week_start THEN 1 END)
        AS rejected_in_observed_week                                                    -- in the observed week itself
FROM warehouse.order_items AS i
CROSS JOIN terms AS t
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'rejection'
WHERE
    (i.rejected_at >= t.window_start AND i.rejected_at < $week_end AND x.order_item_id IS NULL)
    OR (i.delivered_at >= t.window_start AND i.delivered_at < $week_end)
GROUP BY i.sku, i.seller_id
HAVING COUNT(CASE WHEN i.rejected_at IS NOT NULL THEN 1 END) > 0
