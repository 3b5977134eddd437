-- Items that have been open for longer than the late orders look back, counted for operators, one row per
-- seller (Rulebook §9). Such an item is more likely a fault of the records than of the seller. Counted are the items
-- of the working set: an item that has stood still for longer than any rule looks back was counted while it was newer.
-- grain: seller_id
SELECT
    i.seller_id,                            -- the seller
    COUNT(*) AS open_items,                 -- neither cancelled nor shipped
    MIN(i.pending_at) AS oldest_pending_at  -- since when the oldest of them is pending
FROM warehouse.order_items AS i
INNER JOIN policy.late_orders AS p
    ON CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
WHERE
    CAST(COALESCE(i.ready_to_ship_at, i.pending_at) AS DATE)
    < CAST($week_end AS DATE) - CAST(p.late_lookback_days AS INTEGER)
    AND i.cancelled_at IS NULL
    AND i.shipped_from IS NULL
GROUP BY i.seller_id
