-- Charges not yet implemented whose event the warehouse no longer holds, one row per action
-- (Rulebook §2, the frozen proposal). The event must be there with the reason that was charged: a
-- reason that was corrected, even to another chargeable one, is not what the seller was told.
WITH held AS (
    SELECT 'out_of_stock_charge' AS rule, order_item_id, reason
    FROM events.out_of_stock_cancellations
    UNION ALL
    SELECT 'late_fulfilment_charge' AS rule, order_item_id, reason
    FROM events.late_fulfilments
    UNION ALL
    SELECT 'returns_charge' AS rule, order_item_id, reason
    FROM events.quality_returns
    UNION ALL
    SELECT 'dropoff_qc_charge' AS rule, order_item_id, reason
    FROM events.dropoff_qc_failures
    UNION ALL
    SELECT 'counterfeit_charge' AS rule, order_item_id, reason
    FROM events.counterfeit_findings
)

SELECT
    c.action_id         -- the charge to withdraw
FROM ledger.open_charges AS c
LEFT JOIN held AS h
    ON c.rule = h.rule AND c.order_item_id = h.order_item_id AND c.reason = h.reason
WHERE h.order_item_id IS NULL
