-- Charges for items that failed their quality check at drop-off, one row per item (Rulebook §6).
-- Only an item's first failed check counts. No exemptions.
-- grain: order_item_id
SELECT
    e.order_item_id,        -- the item
    e.order_number,         -- its order
    e.seller_id,            -- its seller
    e.sku,                  -- its product
    e.event_at,             -- when the check failed
    p.amount,               -- naira
    e.reason,               -- wrong, defective or used
    e.qc_id                 -- the check
FROM events.dropoff_qc_failures AS e
INNER JOIN events.charged_weeks AS w ON e.event_week >= w.from_date AND e.event_week <= w.observed_week
INNER JOIN policy.quality_charges AS p
    ON
        p.rule = 'dropoff_qc_charge'
        AND e.reason = p.reason
        AND e.event_date >= p.valid_from
        AND e.event_date < p.valid_until
LEFT JOIN ledger.charges AS already
    ON already.rule = p.rule AND e.order_item_id = already.order_item_id
WHERE already.order_item_id IS NULL AND p.amount > 0
