-- Decisions on accounts made by the slot's instant, one row per decision (Rulebook §8, §11, §13): those of the
-- order warehouse that can be read, and those recorded in the ledger, which count the same. One recorded in the
-- ledger and copied into the warehouse is one decision.
-- grain: decision_id
WITH decisions AS (
    SELECT
        d.decision_id,
        d.seller_id,
        CASE WHEN LOWER(d.decision) LIKE '%keep%' THEN 'keep' ELSE 'delist' END AS decision,
        d.decided_at
    FROM raw.account_decisions AS d
    LEFT JOIN warehouse.bad_account_decisions AS b ON d.decision_id = b.row_id
    LEFT JOIN ledger.recorded_account_decisions AS r ON d.decision_id = r.decision_id
    WHERE d.decision_id IS NOT NULL AND b.row_id IS NULL AND r.decision_id IS NULL
    UNION ALL
    SELECT
        decision_id,
        seller_id,
        decision,
        decided_at
    FROM ledger.recorded_account_decisions
)

SELECT
    d.decision_id,      -- id of the decision
    d.seller_id,        -- the seller decided on
    d.decision,         -- delist or keep
    d.decided_at        -- when a person decided
FROM decisions AS d
INNER JOIN warehouse.sellers AS s ON d.seller_id = s.seller_id
WHERE d.decided_at <= $now
