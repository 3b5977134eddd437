-- Charges for items returned for quality, one row per item (Rulebook §6). No exemptions.
-- grain: order_item_id
SELECT
    e.order_item_id,        -- the item
    e.order_number,         -- its order
    e.seller_id,            -- its seller
    e.sku,                  -- its product
    e.event_at,             -- when it was marked as returned
    p.amount,               -- naira
    e.reason                -- wrong, defective or used
FROM events.quality_returns AS e
INNER JOIN events.charged_weeks AS w ON e.event_week >= w.from_date AND e.event_week <= w.observed_week
INNER JOIN policy.quality_charges AS p
    ON
        p.rule = 'returns_charge'
        AND e.reason = p.reason
        AND e.event_date >= p.valid_from
        AND e.event_date < p.valid_until
LEFT JOIN ledger.charges AS already
    ON already.rule = p.rule AND e.order_item_id = already.order_item_id
WHERE already.order_item_id IS NULL AND p.amount > 0
