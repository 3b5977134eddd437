-- What the rule says of each item that was not ready by its deadline, one row per item (Rulebook §6, §14): why it
-- makes no charge, or else which cycle does.
-- An item with an out-of-stock charge, of this cycle or an earlier one, standing or not, gets no late one.
-- ephemeral
-- grain: order_item_id
WITH priced AS (
    SELECT
        e.*,
        p.commission_multiple,
        p.cap,
        CAST(LEAST(p.commission_multiple * CAST(e.commission AS DECIMAL(28, 2)), p.cap) AS DECIMAL(14, 2)) AS amount,
        COALESCE(
            e.event_at < s.onboarded_at + CAST(p.exempt_first_days AS INTEGER) * INTERVAL '24' HOUR,
            FALSE
        ) AS is_of_new_seller,
        already.order_item_id IS NOT NULL AS is_charged,
        GREATEST(e.event_week, w.observed_week) AS charging_cycle,
        w.from_date,
        w.first_cycle
    FROM events.late_fulfilments AS e
    CROSS JOIN events.charged_weeks AS w
    INNER JOIN policy.commission_charges AS p
        ON
            p.rule = 'late_fulfilment_charge'
            AND e.event_date >= p.valid_from
            AND e.event_date < p.valid_until
    INNER JOIN warehouse.sellers AS s ON e.seller_id = s.seller_id
    LEFT JOIN ledger.charges AS already
        ON already.rule = 'late_fulfilment_charge' AND e.order_item_id = already.order_item_id
)

SELECT
    p.order_item_id,                -- the item
    CASE
        WHEN p.is_charged THEN 'acted'
        WHEN p.excused_by IS NOT NULL THEN 'excused'
        WHEN p.is_of_new_seller THEN 'new_seller'
        WHEN p.event_week < p.first_cycle THEN 'before_first_cycle'
        WHEN o.order_item_id IS NOT NULL OR r.order_item_id IS NOT NULL THEN 'in_family'
        WHEN p.amount <= 0 THEN 'no_amount'
        WHEN p.event_week < p.from_date THEN 'too_late'
    END AS code,                    -- why there is no charge; null: there is one
    p.charging_cycle,               -- the cycle that charges it, if one does
    p.excused_by,                   -- the claim that excuses it
    p.order_number,                 -- its order
    p.seller_id,                    -- its seller
    p.sku,                          -- its product
    p.event_at,                     -- its deadline
    p.amount,                       -- naira
    p.reason,                       -- late
    p.commission,                   -- naira
    p.commission_multiple,          -- times the commission
    p.cap,                          -- naira, at most
    p.pending_at,                   -- when the clock started
    p.ready_from                    -- when it became ready; null: not by the slot's instant
FROM priced AS p
LEFT JOIN ledger.charges AS o
    ON o.rule = 'out_of_stock_charge' AND p.order_item_id = o.order_item_id
LEFT JOIN rulings.out_of_stock_charges AS r
    ON p.order_item_id = r.order_item_id AND r.code IS NULL AND r.charging_cycle <= p.charging_cycle
