-- How many of the observed week's order items are bad: one row (Rulebook §13, bad_row_limit).
-- A row belongs to the week if any of its times lies in it; rows of other countries do not count.
-- grain: one row
WITH week_rows AS (
    SELECT COUNT(*) AS rows_in_week
    FROM warehouse.stored_items AS i
    LEFT JOIN warehouse.foreign_sellers AS f ON i.seller_id = f.seller_id
    WHERE
        f.seller_id IS NULL
        AND (
            (i.pending_at >= $week_start AND i.pending_at < $week_end)
            OR (i.ready_to_ship_at >= $week_start AND i.ready_to_ship_at < $week_end)
            OR (i.shipped_at >= $week_start AND i.shipped_at < $week_end)
            OR (i.delivered_at >= $week_start AND i.delivered_at < $week_end)
            OR (i.cancelled_at >= $week_start AND i.cancelled_at < $week_end)
            OR (i.rejected_at >= $week_start AND i.rejected_at < $week_end)
            OR (i.returned_at >= $week_start AND i.returned_at < $week_end)
        )
),

bad_rows AS (
    SELECT COUNT(*) AS bad_rows_in_week
    FROM warehouse.bad_order_items
    WHERE is_in_observed_week
)

SELECT
    week_rows.rows_in_week,         -- stored rows with any time in the observed week
    bad_rows.bad_rows_in_week       -- those of them that are set aside
FROM week_rows
CROSS JOIN bad_rows
