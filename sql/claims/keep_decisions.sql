-- Sellers whose account delisting stands although the latest decision on the account is to keep it, one row per
-- seller (Rulebook §8). The delisting is withdrawn or reversed at once.
-- grain: seller_id
SELECT DISTINCT
    d.seller_id,        -- the seller
    d.decision_id,      -- the decision to keep
    d.decided_at        -- when a person decided
FROM warehouse.latest_account_decisions AS d
INNER JOIN ledger.account_delistings AS a ON d.seller_id = a.seller_id AND a.is_standing
WHERE d.decision = 'keep'
