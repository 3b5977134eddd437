-- What people wrote of claims and accounts that cannot be read, one row per value (Rulebook §11, §13): a
-- claim's instants and decision, or a decision on an account that is set aside. Not applied, but shown at
-- once, until it is corrected.
-- grain: every stored row
SELECT
    'claims' AS table_name, -- the raw table that holds it
    claim_id AS row_id,     -- the claim, or the decision on an account; null where that is the fault
    seller_id,              -- whose, as stated
    faults,                 -- every reason, separated by semicolons
    written,                -- instants and decision as written: hostile text
    MD5(CONCAT_WS('|', 'claims', claim_id, seller_id, written)) AS content_hash -- tells one value from another
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
WHERE NOT is_to_come
