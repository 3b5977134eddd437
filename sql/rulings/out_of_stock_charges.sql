-- What the rule says of each cancellation for want of stock, one row per item (Rulebook §6, §14): why it makes no
-- charge, or else which cycle does.
-- Out of stock and late are one family: together they never exceed the out-of-stock amount. If a late charge of
-- an earlier cycle stands, this charge is the difference; where there is no difference, there is no charge.
-- ephemeral
-- grain: order_item_id
WITH priced AS (
    SELECT
        e.*,
        p.commission_multiple,
        p.cap,
        CAST(
            LEAST(p.commission_multiple * CAST(e.commission AS DECIMAL(28, 2)), p.cap) - COALESCE(l.amount, 0)
            AS DECIMAL(14, 2)
        ) AS amount,
        COALESCE(l.amount, 0) AS late_charge_deducted,
        COALESCE(
            e.event_at < s.onboarded_at + CAST(p.exempt_first_days AS INTEGER) * INTERVAL '24' HOUR,
            FALSE
        ) AS is_of_new_seller,
        already.order_item_id IS NOT NULL AS is_charged,
        GREATEST(e.event_week, w.observed_week) AS charging_cycle,
        w.from_date,
        w.first_cycle
    FROM events.out_of_stock_cancellations AS e
    CROSS JOIN events.charged_weeks AS w
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
)

SELECT
    order_item_id,          -- the item
    CASE
        WHEN is_charged THEN 'acted'
        WHEN excused_by IS NOT NULL THEN 'excused'
        WHEN is_of_new_seller THEN 'new_seller'
        WHEN event_week < first_cycle THEN 'before_first_cycle'
        WHEN amount <= 0 AND late_charge_deducted > 0 THEN 'in_family'
        WHEN amount <= 0 THEN 'no_amount'
        WHEN event_week < from_date THEN 'too_late'
    END AS code,            -- why there is no charge; null: there is one
    charging_cycle,         -- the cycle that charges it, if one does
    excused_by,             -- the claim that excuses it
    order_number,           -- its order
    seller_id,              -- its seller
    sku,                    -- its product
    event_at,               -- when it was cancelled
    amount,                 -- naira
    reason,                 -- the reason recorded
    commission,             -- naira
    commission_multiple,    -- times the commission
    cap,                    -- naira, at most
    late_charge_deducted    -- naira, charged for lateness before
FROM priced
