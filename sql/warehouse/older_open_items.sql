-- Items that have been open for longer than the late orders look back, counted for operators, one row per
-- seller (Rulebook §9). Such an item is more likely a fault of the records than of the seller.
-- grain: seller_id
SELECT
    i.seller_id,                            -- the seller
    COUNT(*) AS open_items,                 -- neither cancelled nor shipped
    MIN(i.pending_at) AS oldest_pending_at  -- since when the oldest of them is pending
FROM raw.order_items AS i
INNER JOIN warehouse.sellers AS s ON i.seller_id = s.seller_id
INNER JOIN policy.late_orders AS p
    ON CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
LEFT JOIN warehouse.bad_order_items AS b ON i.order_item_id = b.row_id
WHERE
    i.order_item_id IS NOT NULL
    AND b.row_id IS NULL
    AND CAST(
        CASE WHEN i.ready_to_ship_at <= $now THEN i.ready_to_ship_at ELSE i.pending_at END AS DATE
    ) < CAST($week_end AS DATE) - CAST(p.late_lookback_days AS INTEGER)
    AND COALESCE(i.cancelled_at > $now, TRUE)
    AND COALESCE(LEAST(i.shipped_at, i.delivered_at, i.rejected_at) > $now, TRUE)
GROUP BY i.seller_id
