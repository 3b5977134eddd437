-- Items proven counterfeit that this week's review counts, one row per item (Rulebook §8): those with a
-- case proven in the observed week and, as far back as this ledger's first cycle, those that no review has
-- counted yet because their case came late. A case counts in the week of its proof, its evidence window
-- open or not; so that it does not count again when it is charged, the ledger keeps what was counted.
-- grain: order_item_id
SELECT
    e.seller_id,        -- the item's seller
    e.order_item_id     -- the item
FROM events.counterfeit_findings AS e
LEFT JOIN ledger.reviewed_counterfeits AS r
    ON e.seller_id = r.seller_id AND e.order_item_id = r.order_item_id
WHERE
    e.event_at < $week_end
    AND e.event_week >= $first_cycle
    AND (e.event_at >= $week_start OR r.order_item_id IS NULL)
GROUP BY e.seller_id, e.order_item_id
