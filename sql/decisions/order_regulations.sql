-- Daily order limits for sellers with a high cancellation rate, one row per seller (Rulebook §5).
-- grain: seller_id
SELECT
    seller_id,                                                          -- the seller
    CAST(band AS INTEGER) AS band,                                      -- row of the rule's table, from 0
    CAST(daily_order_limit AS INTEGER) AS daily_order_limit,            -- orders a day
    CAST(pending_to_shipped_limit AS INTEGER)
        AS pending_to_shipped_limit,                                    -- orders between pending and shipped
    $week_end AS event_at,                                              -- the observed week's end
    cancelled_items,                                                    -- numerator of the rate
    shipped_items,                                                      -- with the cancelled ones, the denominator
    shipped_orders,                                                     -- the limit is a share of these
    fulfilment_days,                                                    -- fulfilment days in the window
    cancellation_rate_pct,                                              -- rounded, for people to read
    CAST(in_force_days AS INTEGER) AS in_force_days                     -- from its implementation
FROM rulings.order_regulations
WHERE code IS NULL
