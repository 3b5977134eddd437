-- What the rule says of each proven counterfeit case, one row per case (Rulebook §6, §14): why it makes no charge,
-- or else from which cycle on it may.
-- A case qualifies once the seller's evidence window has closed; a case whose seller was never notified is
-- never charged; nor is a case while it is on hold (`claims.held_counterfeit_cases`).
-- The event may be of any age, back to this ledger's first cycle.
-- ephemeral
-- grain: case_id
WITH held AS (
    SELECT
        case_id,
        MIN(claim_id) AS claim_id
    FROM claims.held_counterfeit_cases
    GROUP BY case_id
)

SELECT
    e.case_id,              -- the case
    e.order_item_id,        -- the item
    CASE
        WHEN already.order_item_id IS NOT NULL THEN 'acted'
        WHEN e.excused_by IS NOT NULL THEN 'excused'
        WHEN e.event_week < w.first_cycle THEN 'before_first_cycle'
        WHEN e.notified_at IS NULL THEN 'not_notified'
        WHEN COALESCE(e.evidence_closes_at > $now, TRUE) THEN 'evidence_open'
        WHEN h.case_id IS NOT NULL THEN 'held'
        WHEN p.amount <= 0 THEN 'no_amount'
    END AS code,            -- why there is no charge; null: there is one, if no other case of the item comes first
    GREATEST(e.event_week, w.observed_week)
        AS charging_cycle,  -- the cycle that charges it, if one does
    e.excused_by,           -- the claim that excuses it
    h.claim_id AS held_by,  -- the claim to decide
    e.order_number,         -- its order
    e.seller_id,            -- its seller
    e.sku,                  -- its product
    e.event_at,             -- when it was proven
    p.amount,               -- naira
    e.reason,               -- counterfeit
    e.notified_at,          -- when the seller was told
    e.evidence_closes_at    -- end of the evidence window
FROM events.counterfeit_findings AS e
CROSS JOIN events.charged_weeks AS w
INNER JOIN policy.counterfeit_charge AS p
    ON e.event_date >= p.valid_from AND e.event_date < p.valid_until
LEFT JOIN held AS h ON e.case_id = h.case_id
LEFT JOIN ledger.charges AS already
    ON already.rule = 'counterfeit_charge' AND e.order_item_id = already.order_item_id
