-- Charges for items not ready to ship by their deadline, one row per item (Rulebook §6).
-- An item with an out-of-stock charge, of this cycle or an earlier one, standing or not, gets no late one.
-- grain: order_item_id
WITH due AS (
    SELECT
        e.*,
        p.commission_multiple,
        p.cap,
        CAST(LEAST(p.commission_multiple * CAST(e.commission AS DECIMAL(28, 2)), p.cap) AS DECIMAL(14, 2)) AS amount
    FROM events.late_fulfilments AS e
    INNER JOIN events.charged_weeks AS w ON e.event_week >= w.from_date AND e.event_week <= w.observed_week
    INNER JOIN policy.commission_charges AS p
        ON
            p.rule = 'late_fulfilment_charge'
            AND e.event_date >= p.valid_from
            AND e.event_date < p.valid_until
    INNER JOIN warehouse.sellers AS s ON e.seller_id = s.seller_id
    LEFT JOIN ledger.charges AS already
        ON
            already.rule IN ('late_fulfilment_charge', 'out_of_stock_charge')
            AND e.order_item_id = already.order_item_id
    LEFT JOIN decisions.out_of_stock_charges AS o ON e.order_item_id = o.order_item_id
    WHERE
        already.order_item_id IS NULL
        AND o.order_item_id IS NULL
        AND (
            s.onboarded_at IS NULL
            OR e.event_at >= s.onboarded_at + CAST(p.exempt_first_days AS INTEGER) * INTERVAL '24' HOUR
        )
)

SELECT
    order_item_id,                  -- the item
    order_number,                   -- its order
    seller_id,                      -- its seller
    sku,                            -- its product
    event_at,                       -- its deadline
    amount,                         -- naira
    reason,                         -- late
    commission,                     -- naira
    commission_multiple,            -- times the commission
    cap,                            -- naira, at most
    pending_at,                     -- when the clock started
    event_at AS deadline_at,        -- when its 24 hours were full
    ready_from                      -- when it became ready; null: not by the slot's instant
FROM due
WHERE amount > 0
