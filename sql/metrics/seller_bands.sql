-- The band of each seller's cancellation rate with the limits that it brings, one row per seller with a rate
-- (Rulebook §5); whether a limit is set, the decision says.
-- Rates are compared exactly, by their counts, cross-multiplied: 5 of 200 is exactly 2.5%, which a float may
-- miss. The limit is rounded down and never below the minimum.
-- ephemeral
-- grain: seller_id
WITH banded AS (
    SELECT
        m.*,
        b.band,
        b.pending_to_shipped_multiple,
        b.pending_to_shipped_limit,
        CASE
            WHEN b.daily_order_limit IS NOT NULL THEN b.daily_order_limit
            WHEN b.daily_share_pct IS NOT NULL
                THEN GREATEST(
                    t.daily_order_minimum,
                    CAST(10000 * b.daily_share_pct AS BIGINT) * m.shipped_orders
                    // (1000000 * GREATEST(m.fulfilment_days, 1))
                )
        END AS daily_order_limit
    FROM metrics.seller_week AS m
    INNER JOIN policy.order_regulation AS t
        ON CAST($cycle AS DATE) >= t.valid_from AND CAST($cycle AS DATE) < t.valid_until
    INNER JOIN policy.order_regulation_bands AS b
        ON CAST($cycle AS DATE) >= b.valid_from AND CAST($cycle AS DATE) < b.valid_until
    WHERE
        m.cancelled_items + m.shipped_items > 0
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
    seller_id,                                                          -- the seller
    CAST(band AS INTEGER) AS band,                                      -- row of the rule's table, from 0
    CAST(daily_order_limit AS INTEGER) AS daily_order_limit,            -- orders a day; null: no limit
    CAST(
        COALESCE(pending_to_shipped_limit, pending_to_shipped_multiple * daily_order_limit)
        AS INTEGER
    ) AS pending_to_shipped_limit,                                      -- orders between pending and shipped
    cancelled_items,                                                    -- numerator of the rate
    shipped_items,                                                      -- with the cancelled ones, the denominator
    shipped_orders,                                                     -- the limit is a share of these
    fulfilment_days,                                                    -- fulfilment days in the window
    cancellation_rate_pct,                                              -- rounded, for people to read
    is_exempt                                                           -- from order regulation
FROM banded
