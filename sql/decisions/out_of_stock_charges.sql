-- Charges for items cancelled as out of stock, one row per item (Rulebook §6).
-- Out of stock and late are one family: together they never exceed the out-of-stock amount. If a late charge of
-- an earlier cycle stands, this charge is the difference; where there is no difference, there is no charge.
-- grain: order_item_id
WITH due AS (
    SELECT
        e.*,
        p.commission_multiple,
        p.cap,
        LEAST(p.commission_multiple * CAST(e.commission AS DECIMAL(28, 2)), p.cap) AS full_amount,
        COALESCE(l.amount, 0) AS late_charge_deducted
    FROM events.out_of_stock_cancellations AS e
    INNER JOIN events.charged_weeks AS w ON e.event_week >= w.from_date AND e.event_week <= w.observed_week
    INNER JOIN policy.commission_charges AS p
        ON
            p.rule = 'out_of_stock_charge'
            AND e.event_date >= p.valid_from
            AND e.event_date < p.valid_until
    INNER JOIN warehouse.sellers AS s ON e.seller_id = s.seller_id
    LEFT JOIN ledger.charges AS already
        ON already.rule = 'out_of_stock_charge' AND e.order_item_id = already.order_item_id
    LEFT JOIN ledger.charges AS l
        ON l.rule = 'late_fulfilment_charge' AND e.order_item_id = l.order_item_id AND l.is_standing
    WHERE
        already.order_item_id IS NULL
        AND (
            s.onboarded_at IS NULL
            OR e.event_at >= s.onboarded_at + CAST(p.exempt_first_days AS INTEGER) * INTERVAL '24' HOUR
        )
)

SELECT
    order_item_id,                                                          -- the item
    order_number,                                                           -- its order
    seller_id,                                                              -- its seller
    sku,                                                                    -- its product
    event_at,                                                               -- when it was cancelled
    CAST(full_amount - late_charge_deducted AS DECIMAL(14, 2)) AS amount,   -- naira
    reason,                                                                 -- the reason recorded
    commission,                                                             -- naira
    commission_multiple,                                                    -- times the commission
    cap,                                                                    -- naira, at most
    late_charge_deducted                                                    -- naira, charged for lateness before
FROM due
WHERE CAST(full_amount - late_charge_deducted AS DECIMAL(14, 2)) > 0
