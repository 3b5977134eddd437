-- Decisions on accounts taken by the slot's instant, one row per decision (Rulebook §8, §13).
-- grain: decision_id
SELECT
    d.decision_id,      -- id of the decision
    d.seller_id,        -- the seller decided on
    CASE WHEN LOWER(d.decision) LIKE '%keep%' THEN 'keep' ELSE 'delist' END
        AS decision,    -- delist or keep, whatever its case and blanks
    d.decided_at        -- when a person decided
FROM raw.account_decisions AS d
INNER JOIN warehouse.sellers AS s ON d.seller_id = s.seller_id
LEFT JOIN warehouse.bad_account_decisions AS b ON d.decision_id = b.row_id
WHERE d.decision_id IS NOT NULL AND b.row_id IS NULL AND d.decided_at <= $now
