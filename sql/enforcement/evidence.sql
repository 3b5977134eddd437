-- What has become of the evidence of each open charge, one row per charge (Rulebook §2, evidence).
-- Shown: the event is still there, with the seller and the reason that were charged. A charge for a check or a
-- case is shown only by the one that it names; a charge frozen before charges named their check is shown by any
-- failed check of its item. Missing: a row that the event rests on is not stored or is set aside, which says
-- nothing about the seller. Contradicted: all else, also a reason that was corrected to another chargeable one,
-- for the seller was not told of that one.
-- grain: action_id
WITH events_now AS (
    SELECT
        'out_of_stock_charge' AS rule,
        order_item_id AS row_id,
        order_item_id,
        seller_id,
        reason
    FROM events.out_of_stock_cancellations
    WHERE excused_by IS NULL
    UNION ALL
    SELECT
        'late_fulfilment_charge' AS rule,
        order_item_id AS row_id,
        order_item_id,
        seller_id,
        reason
    FROM events.late_fulfilments
    WHERE excused_by IS NULL
    UNION ALL
    SELECT
        'returns_charge' AS rule,
        order_item_id AS row_id,
        order_item_id,
        seller_id,
        reason
    FROM events.quality_returns
    WHERE excused_by IS NULL
    UNION ALL
    SELECT
        'dropoff_qc_charge' AS rule,
        q.qc_id AS row_id,
        i.order_item_id,
        i.seller_id,
        q.failure_reason AS reason
    FROM warehouse.dropoff_qc AS q
    INNER JOIN warehouse.order_items AS i ON q.order_item_id = i.order_item_id
    LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'dropoff_qc'
    WHERE q.result = 'failed' AND x.order_item_id IS NULL
    UNION ALL
    SELECT
        'counterfeit_charge' AS rule,
        k.case_id AS row_id,
        i.order_item_id,
        i.seller_id,
        'counterfeit' AS reason
    FROM warehouse.counterfeit_cases AS k
    INNER JOIN warehouse.order_items AS i ON k.order_item_id = i.order_item_id
    LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'counterfeit'
    WHERE k.proven_at IS NOT NULL AND k.notified_at IS NOT NULL AND x.order_item_id IS NULL
),

shown AS (
    SELECT DISTINCT c.action_id
    FROM ledger.open_charges AS c
    INNER JOIN events_now AS e
        ON
            c.rule = e.rule
            AND c.order_item_id = e.order_item_id
            AND c.seller_id = e.seller_id
            AND c.reason = e.reason
            AND COALESCE(c.qc_id, c.case_id, e.row_id) = e.row_id
)

SELECT
    c.action_id,        -- the charge
    CASE
        WHEN stored.action_id IS NULL THEN 'missing'
        WHEN shown.action_id IS NULL THEN 'contradicted'
        ELSE 'shown'
    END AS outcome      -- shown, contradicted or missing
FROM ledger.open_charges AS c
LEFT JOIN warehouse.stored_evidence AS stored ON c.action_id = stored.action_id
LEFT JOIN shown ON c.action_id = shown.action_id
