-- counterfeit_cases: delivered items suspected of being counterfeit.
-- Grain: one case, at most one an item. The two newest cases were notified on the span's last
-- Friday, so that the time for evidence is still running; one of them is proven already.
INSERT INTO raw.counterfeit_cases BY NAME
WITH suspected AS (
    SELECT
        i.order_item_id,
        (epoch(i.delivered_at) - getvariable('start_epoch'))::BIGINT
            + between_days(u(i.order_item_id, 'found'), $found_from_days, $found_to_days)
            AS notified,
        u(i.order_item_id, 'proven') < $counterfeit_proven AS is_proven,
        u(i.order_item_id, 'unnotified') < $counterfeit_unnotified AS is_unnotified,
        floor(u(i.order_item_id, 'proof') * $counterfeit_proven_days * 86400)::BIGINT AS taken
    FROM raw.order_items AS i
    JOIN made_sellers AS s USING (seller_id)
    WHERE i.delivered_at IS NOT NULL
        AND i.order_item_id IS NOT NULL
        AND u(i.order_item_id, 'counterfeit') < s.counterfeit + $counterfeit_by_chance
),
newest AS (
    SELECT
        order_item_id,
        row_number() OVER (ORDER BY u(order_item_id, 'newest case'), order_item_id) AS place
    FROM raw.order_items
    WHERE epoch(delivered_at) - getvariable('start_epoch')
            BETWEEN $last_friday - 864000 AND $last_friday - 86400
        AND order_item_id NOT IN (SELECT order_item_id FROM suspected)
    QUALIFY place <= 2
),
cases AS (
    SELECT
        order_item_id,
        CASE WHEN NOT is_unnotified THEN notified END AS notified,
        CASE WHEN is_proven OR is_unnotified THEN notified + taken END AS proven
    FROM suspected
    WHERE notified < $span_seconds
    UNION ALL
    SELECT order_item_id, $last_friday, CASE WHEN place = 1 THEN $last_friday + 18000 END
    FROM newest
)
SELECT
    'F' || order_item_id[2:] AS case_id,
    order_item_id,
    seen(notified) AS notified_at,
    seen(proven) AS proven_at
FROM cases
WHERE seen(notified) IS NOT NULL OR seen(proven) IS NOT NULL
