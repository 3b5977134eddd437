-- Daily order limits for sellers with a high cancellation rate, one row per seller (Rulebook §5).
-- grain: seller_id
SELECT
    b.seller_id,                                                        -- the seller
    b.band,                                                             -- row of the rule's table, from 0
    b.daily_order_limit,                                                -- orders a day
    b.pending_to_shipped_limit,                                         -- orders between pending and shipped
    $week_end AS event_at,                                              -- the observed week's end
    b.cancelled_items,                                                  -- numerator of the rate
    b.shipped_items,                                                    -- with the cancelled ones, the denominator
    b.shipped_orders,                                                   -- the limit is a share of these
    b.fulfilment_days,                                                  -- fulfilment days in the window
    b.cancellation_rate_pct,                                            -- rounded, for people to read
    CAST(t.in_force_days AS INTEGER) AS in_force_days                   -- from its implementation
FROM metrics.seller_bands AS b
INNER JOIN policy.order_regulation AS t
    ON CAST($cycle AS DATE) >= t.valid_from AND CAST($cycle AS DATE) < t.valid_until
LEFT JOIN ledger.account_delistings AS a ON b.seller_id = a.seller_id AND a.is_standing
WHERE b.daily_order_limit IS NOT NULL AND NOT b.is_exempt AND a.seller_id IS NULL
