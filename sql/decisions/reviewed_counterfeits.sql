-- Items proven counterfeit that this week's review counts, one row per item (Rulebook §8): those with a case
-- proven in the observed week and, back to this ledger's first cycle, those with an earlier case that arrived
-- too late for any review to count it. A case counts in the week of its proof, whether its evidence window is
-- open or closed. The ledger keeps which items were counted, so that none counts again when it is charged.
-- grain: order_item_id
SELECT
    e.seller_id,        -- the item's seller
    e.order_item_id     -- the item
FROM events.counterfeit_findings AS e
LEFT JOIN ledger.reviewed_counterfeits AS r
    ON e.seller_id = r.seller_id AND e.order_item_id = r.order_item_id
WHERE
    e.excused_by IS NULL
    AND e.event_at < $week_end
    AND e.event_week >= $first_cycle
    AND (e.event_at >= $week_start OR r.order_item_id IS NULL)
GROUP BY e.seller_id, e.order_item_id
