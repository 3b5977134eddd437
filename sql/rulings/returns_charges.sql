-- What the rule says of each return for quality, one row per item (Rulebook §6, §14): why it makes no charge, or
-- else which cycle does. No exemptions.
-- ephemeral
-- grain: order_item_id
SELECT
    e.order_item_id,        -- the item
    CASE
        WHEN already.order_item_id IS NOT NULL THEN 'acted'
        WHEN e.excused_by IS NOT NULL THEN 'excused'
        WHEN e.event_week < w.first_cycle THEN 'before_first_cycle'
        WHEN p.amount <= 0 THEN 'no_amount'
        WHEN e.event_week < w.from_date THEN 'too_late'
    END AS code,            -- why there is no charge; null: there is one
    GREATEST(e.event_week, w.observed_week)
        AS charging_cycle,  -- the cycle that charges it, if one does
    e.excused_by,           -- the claim that excuses it
    e.order_number,         -- its order
    e.seller_id,            -- its seller
    e.sku,                  -- its product
    e.event_at,             -- when it was marked as returned
    p.amount,               -- naira
    e.reason                -- wrong, defective or used
FROM events.quality_returns AS e
CROSS JOIN events.charged_weeks AS w
INNER JOIN policy.quality_charges AS p
    ON
        p.rule = 'returns_charge'
        AND e.reason = p.reason
        AND e.event_date >= p.valid_from
        AND e.event_date < p.valid_until
LEFT JOIN ledger.charges AS already
    ON already.rule = p.rule AND e.order_item_id = already.order_item_id
