-- What people decided of claims by the slot's instant, one row per claim and seller with a decision
-- (Rulebook §11). A decision of the order warehouse and one recorded in the ledger count the same. Two sellers may
-- state the same claim id: a decision on the claim of one does not decide that of the other.
-- grain: claim_id, seller_id?
WITH decisions AS (
    SELECT claim_id, seller_id, decision, decided_at
    FROM claims.stated_claims
    WHERE decision IS NOT NULL
    UNION ALL
    SELECT claim_id, seller_id, decision, decided_at
    FROM ledger.recorded_claim_decisions
    WHERE decided_at <= $now
)

SELECT
    claim_id,                                                               -- the claim
    seller_id,                                                              -- who claims, as stated
    MIN(CASE WHEN decision = 'upheld' THEN decided_at END) AS upheld_at,    -- when it was upheld first
    MIN(CASE WHEN decision = 'rejected' THEN decided_at END) AS rejected_at -- when it was rejected first
FROM decisions
GROUP BY claim_id, seller_id
