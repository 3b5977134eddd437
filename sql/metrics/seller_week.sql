-- Each active seller's fulfilment record over the window that ends with the observed week, one row
-- per seller (Rulebook §4). Cancellations count by item and only for an accountable reason: not the
-- customer's own, nor one that a claim excuses. Exempt sellers are shown, marked exempt.
-- grain: seller_id
WITH terms AS (
    SELECT
        w.starts_at AS window_start,
        w.day AS first_day
    FROM policy.order_regulation AS p
    INNER JOIN policy.calendar AS w ON w.day = CAST($cycle AS DATE) + 7 - 7 * CAST(p.window_weeks AS INTEGER)
    WHERE CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
),

days AS (
    SELECT COUNT(*) AS fulfilment_days
    FROM policy.calendar AS c
    CROSS JOIN terms AS t
    WHERE c.is_fulfilment_day AND c.day >= t.first_day AND c.starts_at < $week_end
),

items AS (
    SELECT
        i.seller_id,
        i.order_number,
        COALESCE(i.shipped_from >= t.window_start AND i.shipped_from < $week_end, FALSE) AS is_shipped,
        COALESCE(
            r.is_accountable AND x.order_item_id IS NULL
            AND i.cancelled_at >= t.window_start AND i.cancelled_at < $week_end,
            FALSE
        ) AS is_cancelled
    FROM warehouse.order_items AS i
    CROSS JOIN terms AS t
    LEFT JOIN policy.cancel_reasons AS r
        ON
            i.cancel_reason = r.reason
            AND CAST(i.cancelled_at AS DATE) >= r.valid_from
            AND CAST(i.cancelled_at AS DATE) < r.valid_until
    LEFT JOIN warehouse.excused_events AS x
        ON
            i.order_item_id = x.order_item_id
            AND x.event = CASE WHEN r.is_out_of_stock THEN 'stock' WHEN r.is_late THEN 'lateness' END
    WHERE
        (i.pending_at >= t.window_start AND i.pending_at < $week_end)
        OR (i.ready_from >= t.window_start AND i.ready_from < $week_end)
        OR (i.shipped_from >= t.window_start AND i.shipped_from < $week_end)
        OR (i.delivered_at >= t.window_start AND i.delivered_at < $week_end)
        OR (i.cancelled_at >= t.window_start AND i.cancelled_at < $week_end)
        OR (i.rejected_at >= t.window_start AND i.rejected_at < $week_end)
        OR (i.returned_at >= t.window_start AND i.returned_at < $week_end)
),

counted AS (
    SELECT
        seller_id,
        COUNT(CASE WHEN is_shipped THEN 1 END) AS shipped_items,
        COUNT(DISTINCT CASE WHEN is_shipped THEN order_number END) AS shipped_orders,
        COUNT(CASE WHEN is_cancelled THEN 1 END) AS cancelled_items
    FROM items
    GROUP BY seller_id
)

SELECT
    c.seller_id,                                                                -- the seller
    c.shipped_items,                                                            -- items shipped in the window
    c.shipped_orders,                                                           -- their distinct orders
    c.cancelled_items,                                                          -- cancelled for an accountable reason
    CASE
        WHEN c.cancelled_items + c.shipped_items > 0
            THEN CAST(
                CAST(100 * c.cancelled_items AS DECIMAL(14, 4)) / (c.cancelled_items + c.shipped_items)
                AS DECIMAL(9, 4)
            )
    END AS cancellation_rate_pct,                                               -- for people; rules compare the counts
    d.fulfilment_days,                                                          -- fulfilment days in the window
    e.seller_id IS NOT NULL AS is_exempt                                        -- from order regulation
FROM counted AS c
CROSS JOIN days AS d
LEFT JOIN metrics.exempt_sellers AS e ON c.seller_id = e.seller_id
