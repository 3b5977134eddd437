-- The latest decision on each account by the slot's instant, one row per seller (Rulebook §8). Of two at the
-- same instant the one with the greater id counts.
-- grain: seller_id
WITH ranked AS (
    SELECT
        d.*,
        ROW_NUMBER() OVER (PARTITION BY d.seller_id ORDER BY d.decided_at DESC, d.decision_id DESC) AS nth
    FROM warehouse.account_decisions AS d
)

SELECT
    seller_id,      -- the seller decided on
    decision_id,    -- id of the decision
    decision,       -- delist or keep
    decided_at      -- when a person decided
FROM ranked
WHERE nth = 1
