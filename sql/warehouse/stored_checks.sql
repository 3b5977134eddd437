-- The stored drop-off checks that are judged and may enter a rule, one row per stored row (Rulebook §13): those
-- since $horizon, those without a time, all others of the items checked since then, for an item's first failed
-- check counts, and those that an open charge rests on. No row is in two parts.
-- ephemeral
-- grain: every stored row
WITH recent AS (
    SELECT *
    FROM raw.dropoff_qc
    WHERE checked_at >= $horizon
    UNION ALL
    SELECT *
    FROM raw.dropoff_qc
    WHERE checked_at IS NULL
),

older AS (
    SELECT *
    FROM raw.dropoff_qc
    WHERE
        checked_at < $horizon
        AND (
            order_item_id IN (SELECT order_item_id FROM recent)
            OR order_item_id IN (SELECT order_item_id FROM ledger.open_charges)
            OR qc_id IN (SELECT qc_id FROM ledger.open_charges)
        )
)

SELECT
    qc_id,          -- as stored
    order_item_id,  -- as stored
    checked_at,     -- as stored
    result,         -- as stored
    failure_reason  -- as stored
FROM recent
UNION ALL
SELECT qc_id, order_item_id, checked_at, result, failure_reason
FROM older
