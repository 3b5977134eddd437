-- The charges that the week's events would bring if its cycle were decided now, one row per seller and rule of
-- charge (Rulebook §15, §6). A charge for an event of an earlier week is that week's, even if it is not made yet.
-- grain: seller_id, rule
WITH decided AS (
    SELECT 'out_of_stock_charge' AS rule, seller_id, event_at, amount FROM decisions.out_of_stock_charges
    UNION ALL
    SELECT 'late_fulfilment_charge' AS rule, seller_id, event_at, amount FROM decisions.late_fulfilment_charges
    UNION ALL
    SELECT 'returns_charge' AS rule, seller_id, event_at, amount FROM decisions.returns_charges
    UNION ALL
    SELECT 'dropoff_qc_charge' AS rule, seller_id, event_at, amount FROM decisions.dropoff_qc_charges
    UNION ALL
    SELECT 'counterfeit_charge' AS rule, seller_id, event_at, amount FROM decisions.counterfeit_charges
)

SELECT
    seller_id,                                      -- the seller
    rule,                                           -- as the rulebook names it
    COUNT(*) AS charges,                            -- how many items would be charged
    CAST(SUM(amount) AS DECIMAL(18, 2)) AS amount   -- naira
FROM decided
WHERE event_at >= $week_start
GROUP BY seller_id, rule
