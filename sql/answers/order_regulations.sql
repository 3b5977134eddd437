-- Why a seller got an order regulation in one cycle, or not: one row (Rulebook §14), with the facts that decide it.
-- grain: seller_id
WITH asked AS (
    SELECT CAST($seller AS VARCHAR) AS seller_id
),

bad AS (
    SELECT
        seller_id,
        MAX(faults) AS faults
    FROM warehouse.bad_sellers
    GROUP BY seller_id
)

SELECT
    a.seller_id,                    -- the seller asked for
    CASE
        WHEN c.seller_id IS NOT NULL THEN 'acted'
        WHEN b.seller_id IS NOT NULL THEN 'set_aside'
        WHEN s.seller_id IS NULL THEN 'unknown'
        WHEN r.seller_id IS NULL THEN 'no_activity'
        ELSE COALESCE(r.code, 'awaits_cycle')
    END AS code,                    -- why, or why not
    c.reference,                    -- of the action, if there is one
    b.faults,                       -- why the seller is set aside
    r.band,                         -- row of the rule's table, from 0
    r.daily_order_limit,            -- orders a day
    r.pending_to_shipped_limit,     -- orders between pending and shipped
    r.cancelled_items,              -- numerator of the rate
    r.shipped_items,                -- with the cancelled ones, the denominator
    r.shipped_orders,               -- the limit is a share of these
    r.fulfilment_days,              -- fulfilment days in the window
    r.cancellation_rate_pct         -- rounded, for people to read
FROM asked AS a
LEFT JOIN ledger.cycle_actions AS c ON c.rule = 'order_regulation' AND a.seller_id = c.seller_id
LEFT JOIN bad AS b ON a.seller_id = b.seller_id
LEFT JOIN warehouse.sellers AS s ON a.seller_id = s.seller_id
LEFT JOIN rulings.order_regulations AS r ON a.seller_id = r.seller_id
