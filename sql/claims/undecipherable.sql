-- Values in claims and account decisions that cannot be read, one row per value (Rulebook §11, §13): a claim's
-- instants and decision, or an account decision that is set aside. They are not applied, and operators see them
-- at once, until they are corrected.
-- grain: every stored row
SELECT
    'claims' AS table_name, -- the raw table that holds it
    claim_id AS row_id,     -- the claim, or the decision on an account; null where that is the fault
    seller_id,              -- the seller, as stated
    faults,                 -- every reason, separated by semicolons
    written,                -- instants and decision as written: hostile text
    MD5(CONCAT_WS('|', 'claims', claim_id, seller_id, written))
        AS content_hash     -- hash that tells one value from another
FROM claims.stated_claims
WHERE faults <> ''
UNION
SELECT
    'account_decisions' AS table_name,
    row_id,
    seller_id,
    faults,
    written,
    MD5(CONCAT_WS('|', 'account_decisions', row_id, seller_id, written)) AS content_hash
FROM warehouse.bad_account_decisions
WHERE decided_at IS NULL OR decided_at <= $now
