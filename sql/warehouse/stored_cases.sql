-- The stored counterfeit cases that are judged and may enter a rule, one row per stored row (Rulebook §6, §13): those
-- proven since this ledger's first cycle, for no older one is charged, those that sellers were notified of since
-- $horizon, those that an open charge rests on, and those whose times cannot tell. An open case of long ago is judged
-- once it is proven.
-- ephemeral
-- grain: every stored row
SELECT
    case_id,        -- as stored
    order_item_id,  -- as stored
    notified_at,    -- as stored
    proven_at       -- as stored
FROM raw.counterfeit_cases
WHERE
    CAST(proven_at AS DATE) >= CAST($first_cycle AS DATE)
    OR notified_at >= $horizon
    OR COALESCE(LEAST(notified_at, proven_at) < $earliest_instant, TRUE)
    OR order_item_id IN (SELECT order_item_id FROM ledger.open_charges)
    OR case_id IN (SELECT case_id FROM ledger.open_charges)
