-- How many items of each product were delivered in the windows of its rejections and its returns, one row per
-- product with such a delivery (Rulebook §7).
-- ephemeral
-- grain: sku
SELECT
    i.sku,                                          -- the product
    COUNT(CASE WHEN i.delivered_at >= w.rejections_from AND i.delivered_at < $week_end THEN 1 END)
        AS delivered_beside_rejections,             -- in the window of rejections
    COUNT(CASE WHEN i.delivered_at >= w.returns_from AND i.delivered_at < w.returns_until THEN 1 END)
        AS delivered_beside_returns                 -- in the week of returns
FROM warehouse.order_items AS i
CROSS JOIN metrics.product_windows AS w
WHERE
    (i.delivered_at >= w.rejections_from AND i.delivered_at < $week_end)
    OR (i.delivered_at >= w.returns_from AND i.delivered_at < w.returns_until)
GROUP BY i.sku
