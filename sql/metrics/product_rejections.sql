-- How often each product was refused by customers in the days that end with the observed week, one
-- row per product with a rejection that no claim excuses (Rulebook §7, rejection ground; §11).
-- grain: sku
WITH rejected AS (
    SELECT
        i.sku,
        i.seller_id,
        COUNT(*) AS rejected_items,
        COUNT(DISTINCT i.customer_hash) AS rejecting_customers,
        COUNT(CASE WHEN i.rejected_at >= $week_start THEN 1 END) AS rejected_in_observed_week
    FROM warehouse.order_items AS i
    CROSS JOIN metrics.product_windows AS w
    LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'rejection'
    WHERE i.rejected_at >= w.rejections_from AND i.rejected_at < $week_end AND x.order_item_id IS NULL
    GROUP BY i.sku, i.seller_id
)

SELECT
    r.sku,                                                          -- the product
    r.seller_id,                                                    -- its seller
    r.rejected_items,                                               -- in the window
    COALESCE(d.delivered_beside_rejections, 0) AS delivered_items,  -- in the window
    r.rejecting_customers,                                          -- distinct, in the window
    r.rejected_in_observed_week                                     -- in the observed week itself
FROM rejected AS r
LEFT JOIN metrics.product_deliveries AS d ON r.sku = d.sku
