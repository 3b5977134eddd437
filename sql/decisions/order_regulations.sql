-- Daily order limits for sellers with a high cancellation rate, one row per seller (Rulebook §5).
-- Rates are compared exactly, by their counts, cross-multiplied: 5 of 200 is exactly 2.5%, which a float may
-- miss. The limit is rounded down and never below the minimum.
-- grain: seller_id
WITH terms AS (
    SELECT *
    FROM policy.order_regulation
    WHERE CAST($cycle AS DATE) >= valid_from AND CAST($cycle AS DATE) < valid_until
),

banded AS (
    SELECT
        m.*,
        t.in_force_days,
        b.band,
        b.pending_to_shipped_multiple,
        b.pending_to_shipped_limit,
        COALESCE(
            b.daily_order_limit,
            GREATEST(
                t.daily_order_minimum,
                CAST(10000 * b.daily_share_pct AS BIGINT) * m.shipped_orders
                // (1000000 * GREATEST(m.fulfilment_days, 1))
            )
        ) AS daily_order_limit
    FROM metrics.seller_week AS m
    CROSS JOIN terms AS t
    INNER JOIN policy.order_regulation_bands AS b
        ON CAST($cycle AS DATE) >= b.valid_from AND CAST($cycle AS DATE) < b.valid_until
    WHERE
        m.cancelled_items + m.shipped_items > 0
        AND NOT m.is_exempt
        AND (b.daily_order_limit IS NOT NULL OR b.daily_share_pct IS NOT NULL)
        AND (
            100 * m.cancelled_items > b.from_pct * (m.cancelled_items + m.shipped_items)
            OR (
                b.includes_from
                AND 100 * m.cancelled_items = b.from_pct * (m.cancelled_items + m.shipped_items)
            )
        )
        AND (
            b.to_pct IS NULL
            OR 100 * m.cancelled_items < b.to_pct * (m.cancelled_items + m.shipped_items)
            OR (
                b.includes_to
                AND 100 * m.cancelled_items = b.to_pct * (m.cancelled_items + m.shipped_items)
            )
        )
)

SELECT
    b.seller_id,                                                        -- the seller
    CAST(b.band AS INTEGER) AS band,                                    -- row of the rule's table, from 0
    CAST(b.daily_order_limit AS INTEGER) AS daily_order_limit,          -- orders a day
    CAST(
        COALESCE(b.pending_to_shipped_limit, b.pending_to_shipped_multiple * b.daily_order_limit)
        AS INTEGER
    ) AS pending_to_shipped_limit,                                      -- orders between pending and shipped
    $week_end AS event_at,                                              -- the observed week's end
    b.cancelled_items,                                                  -- numerator of the rate
    b.shipped_items,                                                    -- with the cancelled ones, the denominator
    b.shipped_orders,                                                   -- the limit is a share of these
    b.fulfilment_days,                                                  -- fulfilment days in the window
    b.cancellation_rate_pct,                                            -- rounded, for people to read
    CAST(b.in_force_days AS INTEGER) AS in_force_days                   -- from its implementation
FROM banded AS b
LEFT JOIN ledger.account_delistings AS a ON b.seller_id = a.seller_id AND a.is_standing
WHERE a.seller_id IS NULL
