-- What people decided of claims by the slot's instant, one row per claim with a decision (Rulebook
-- §11). A decision without a time of its own counts from when the claim was raised.
SELECT
    claim_id,                                                                   -- the claim
    MIN(CASE WHEN decision = 'upheld' THEN COALESCE(decided_at, raised_at, $now) END)
        AS upheld_at,                                                           -- when it was upheld first
    MIN(CASE WHEN decision = 'rejected' THEN COALESCE(decided_at, raised_at, $now) END)
        AS rejected_at                                                          -- when it was rejected first
FROM claims.stated_claims
WHERE decision IS NOT NULL
GROUP BY claim_id
