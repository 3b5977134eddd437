-- Charges for items proven counterfeit, one row per item (Rulebook §6): of the item's cases the first that
-- qualifies, in the order of their proof, then of their id.
-- A case qualifies once the seller's evidence window has closed; a case whose seller was never notified is
-- never charged; nor is a case while it is on hold (`claims.held_counterfeit_cases`).
-- The event may be of any age, back to this ledger's first cycle.
-- grain: order_item_id
WITH held AS (
    SELECT DISTINCT case_id
    FROM claims.held_counterfeit_cases
),

qualifying AS (
    SELECT
        e.*,
        p.amount,
        ROW_NUMBER() OVER (PARTITION BY e.order_item_id ORDER BY e.event_at, e.case_id) AS nth
    FROM events.counterfeit_findings AS e
    INNER JOIN policy.counterfeit_charge AS p
        ON e.event_date >= p.valid_from AND e.event_date < p.valid_until
    LEFT JOIN held AS h ON e.case_id = h.case_id
    WHERE
        h.case_id IS NULL
        AND e.event_at < $week_end
        AND e.event_week >= $first_cycle
        AND e.evidence_closes_at <= $now
        AND p.amount > 0
)

SELECT
    q.order_item_id,            -- the item
    q.order_number,             -- its order
    q.seller_id,                -- its seller
    q.sku,                      -- its product
    q.event_at,                 -- when it was proven
    q.amount,                   -- naira
    q.reason,                   -- counterfeit
    q.case_id,                  -- the case
    q.notified_at,              -- when the seller was told
    q.evidence_closes_at        -- end of the evidence window
FROM qualifying AS q
LEFT JOIN ledger.charges AS already
    ON already.rule = 'counterfeit_charge' AND q.order_item_id = already.order_item_id
WHERE q.nth = 1 AND already.order_item_id IS NULL
