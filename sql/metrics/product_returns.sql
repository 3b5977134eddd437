-- How often each product was returned for quality in the week before the observed week, one row per
-- product with such a return (Rulebook §7, return ground).
-- grain: sku
WITH returned AS (
    SELECT
        e.sku,
        e.seller_id,
        COUNT(*) AS returned_items,
        COUNT(DISTINCT e.customer_hash) AS returning_customers
    FROM events.quality_returns AS e
    CROSS JOIN metrics.product_windows AS w
    WHERE e.event_at >= w.returns_from AND e.event_at < w.returns_until AND e.excused_by IS NULL
    GROUP BY e.sku, e.seller_id
)

SELECT
    r.sku,                                                      -- the product
    r.seller_id,                                                -- its seller
    r.returned_items,                                           -- returned for quality in that week
    COALESCE(d.delivered_beside_returns, 0) AS delivered_items, -- delivered in that week
    r.returning_customers                                       -- distinct, in that week
FROM returned AS r
LEFT JOIN metrics.product_deliveries AS d ON r.sku = d.sku
