-- What the rule says of each active seller, one row per seller (Rulebook §5, §14): why there is no limit, or else
-- which.
-- Rates are compared exactly, by their counts, cross-multiplied: 5 of 200 is exactly 2.5%, which a float may
-- miss. The limit is rounded down and never below the minimum.
-- ephemeral
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
    CROSS JOIN terms AS t
    LEFT JOIN policy.order_regulation_bands AS b
        ON
            CAST($cycle AS DATE) >= b.valid_from AND CAST($cycle AS DATE) < b.valid_until
            AND m.cancelled_items + m.shipped_items > 0
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
),

delisted AS (
    SELECT DISTINCT seller_id
    FROM ledger.account_delistings
    WHERE is_standing
)

SELECT
    b.seller_id,                -- the seller
    CASE
        WHEN b.cancelled_items + b.shipped_items = 0 THEN 'no_activity'
        WHEN d.seller_id IS NOT NULL THEN 'account_delisted'
        WHEN b.is_exempt THEN 'exempt'
        WHEN b.daily_order_limit IS NULL THEN 'below_bands'
    END AS code,                -- why there is no limit; null: there is one
    b.band,                     -- row of the rule's table, from 0
    b.daily_order_limit,        -- orders a day
    COALESCE(b.pending_to_shipped_limit, b.pending_to_shipped_multiple * b.daily_order_limit)
        AS pending_to_shipped_limit,    -- orders between pending and shipped
    b.cancelled_items,          -- numerator of the rate
    b.shipped_items,            -- with the cancelled ones, the denominator
    b.shipped_orders,           -- the limit is a share of these
    b.fulfilment_days,          -- fulfilment days in the window
    b.cancellation_rate_pct,    -- rounded, for people to read
    b.in_force_days             -- from its implementation
FROM banded AS b
LEFT JOIN delisted AS d ON b.seller_id = d.seller_id
