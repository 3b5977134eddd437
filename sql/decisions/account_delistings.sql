-- Accounts delisted by a person's decision, one row per seller (Rulebook §8).
-- The latest decision on an account counts. It becomes an action in the first cycle of which two things are true:
-- its alert comes at or after the decision, and this cycle or an earlier one lists the seller for review. Each
-- decision becomes an action only once.
-- grain: seller_id
WITH listed AS (
    SELECT seller_id, quality_returns, dropoff_failures, counterfeits
    FROM decisions.account_reviews
    UNION ALL
    SELECT seller_id, quality_returns, dropoff_failures, counterfeits
    FROM ledger.account_reviews
),

counts AS (
    SELECT
        seller_id,
        SUM(quality_returns) AS quality_returns,
        SUM(dropoff_failures) AS dropoff_failures,
        SUM(counterfeits) AS counterfeits
    FROM listed
    GROUP BY seller_id
)

SELECT
    d.seller_id,                                                        -- the seller
    d.decided_at AS event_at,                                           -- when a person decided
    d.decision_id,                                                      -- the decision
    d.decided_at,                                                       -- when a person decided
    CAST(c.quality_returns AS INTEGER) AS quality_returns,              -- in all reviews so far
    CAST(c.dropoff_failures AS INTEGER) AS dropoff_failures,            -- in all reviews so far
    CAST(c.counterfeits AS INTEGER) AS counterfeits                     -- in all reviews so far
FROM warehouse.latest_account_decisions AS d
INNER JOIN counts AS c ON d.seller_id = c.seller_id
LEFT JOIN ledger.account_delistings AS a
    ON d.seller_id = a.seller_id AND (a.is_standing OR a.decision_id = d.decision_id)
WHERE d.decision = 'delist' AND a.seller_id IS NULL
