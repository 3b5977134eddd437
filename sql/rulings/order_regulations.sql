-- What the rule says of each active seller, one row per seller (Rulebook §5, §14): why there is no limit, or else
-- which.
-- ephemeral
-- grain: seller_id
WITH delisted AS (
    SELECT DISTINCT seller_id
    FROM ledger.account_delistings
    WHERE is_standing
)

SELECT
    m.seller_id,                    -- the seller
    CASE
        WHEN m.cancelled_items + m.shipped_items = 0 THEN 'no_activity'
        WHEN d.seller_id IS NOT NULL THEN 'account_delisted'
        WHEN m.is_exempt THEN 'exempt'
        WHEN b.daily_order_limit IS NULL THEN 'below_bands'
    END AS code,                    -- why there is no limit; null: there is one
    b.band,                         -- row of the rule's table, from 0; null: no activity
    b.daily_order_limit,            -- orders a day
    b.pending_to_shipped_limit,     -- orders between pending and shipped
    m.cancelled_items,              -- numerator of the rate
    m.shipped_items,                -- with the cancelled ones, the denominator
    m.shipped_orders,               -- the limit is a share of these
    m.fulfilment_days,              -- fulfilment days in the window
    m.cancellation_rate_pct,        -- rounded, for people to read
    t.in_force_days                 -- from its implementation
FROM metrics.seller_week AS m
INNER JOIN policy.order_regulation AS t
    ON CAST($cycle AS DATE) >= t.valid_from AND CAST($cycle AS DATE) < t.valid_until
LEFT JOIN metrics.seller_bands AS b ON m.seller_id = b.seller_id
LEFT JOIN delisted AS d ON m.seller_id = d.seller_id
