-- Charges for items proven counterfeit, one row per item (Rulebook §6).
-- Only once the seller's evidence window has closed; a case whose seller was never notified is never
-- charged; nor is one while a complete counterfeit claim, raised within the window, is undecided. However
-- old the event: as far back as this ledger's first cycle.
SELECT
    e.order_item_id,            -- the item
    e.order_number,             -- its order
    e.seller_id,                -- its seller
    e.sku,                      -- its product
    e.event_at,                 -- when it was proven
    p.amount,                   -- naira
    e.reason,                   -- counterfeit
    e.case_id,                  -- the case
    e.notified_at,              -- when the seller was told
    e.evidence_closes_at        -- end of the evidence window
FROM events.counterfeit_findings AS e
INNER JOIN policy.counterfeit_charge AS p
    ON e.event_date >= p.valid_from AND e.event_date < p.valid_until
LEFT JOIN ledger.charges AS already
    ON already.rule = 'counterfeit_charge' AND e.order_item_id = already.order_item_id
WHERE
    NOT EXISTS (
        SELECT 1
        FROM ledger.undecided_counterfeit_claims AS c
        WHERE
            e.seller_id = c.seller_id
            AND e.order_number = c.order_number
            AND e.sku = c.sku
            AND c.raised_at < e.evidence_closes_at
    )
    AND e.event_at < $week_end
    AND e.event_week >= $first_cycle
    AND e.evidence_closes_at <= $now
    AND already.order_item_id IS NULL
    AND p.amount > 0
