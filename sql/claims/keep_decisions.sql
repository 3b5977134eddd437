-- Sellers whom the latest decision on their account keeps although a delisting of theirs stands, one
-- row per seller (Rulebook §8): it is withdrawn or reversed at once.
-- grain: seller_id
WITH latest AS (
    SELECT
        d.*,
        ROW_NUMBER() OVER (PARTITION BY d.seller_id ORDER BY d.decided_at DESC, d.decision_id DESC) AS nth
    FROM warehouse.account_decisions AS d
)

SELECT DISTINCT
    d.seller_id,        -- the seller
    d.decision_id,      -- the decision to keep
    d.decided_at        -- when a person decided
FROM latest AS d
INNER JOIN ledger.account_delistings AS a ON d.seller_id = a.seller_id AND a.is_standing
WHERE d.nth = 1 AND d.decision = 'keep'
