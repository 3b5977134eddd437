-- When the warehouse next has something new for the claims step, one row: the next instant after the slot's at which
-- a claim is raised or decided, or an account decided on (Rulebook §11, §13).
-- grain: one row
WITH moments AS (
    SELECT raised_at AS moment FROM raw.claims
    UNION ALL
    SELECT decided_at AS moment FROM raw.claims
    UNION ALL
    SELECT decided_at AS moment FROM raw.account_decisions
)

SELECT MIN(moment) AS next_moment   -- null: the warehouse has nothing of a later instant
FROM moments
WHERE moment > $now AND moment < $latest_instant
