-- Open charges whose evidence is stored and not set aside, one row per charge (Rulebook §2, evidence;
-- §13): the row of its item and, for a failed check or a counterfeit, the row of the check or the case
-- that the charge names. A charge frozen before charges named their check rests on any check of its item. Rows
-- are judged as stored, not as of the slot: whether the event is still true, `enforcement.evidence` says.
-- grain: action_id
WITH found AS (
    SELECT
        'dropoff_qc_charge' AS rule,
        q.qc_id AS row_id,
        q.order_item_id
    FROM warehouse.stored_checks AS q
    LEFT JOIN warehouse.bad_dropoff_qc AS b ON q.qc_id = b.row_id
    WHERE q.qc_id IS NOT NULL AND b.row_id IS NULL
    UNION ALL
    SELECT
        'counterfeit_charge' AS rule,
        k.case_id AS row_id,
        k.order_item_id
    FROM warehouse.stored_cases AS k
    LEFT JOIN warehouse.bad_counterfeit_cases AS b ON k.case_id = b.row_id
    WHERE k.case_id IS NOT NULL AND b.row_id IS NULL
),

rests_on_more AS (
    SELECT
        c.action_id,
        COALESCE(c.qc_id, c.case_id) AS row_id,
        c.rule,
        c.order_item_id
    FROM ledger.open_charges AS c
    WHERE c.rule IN ('dropoff_qc_charge', 'counterfeit_charge')
),

found_more AS (
    SELECT m.action_id
    FROM rests_on_more AS m
    INNER JOIN found AS f ON m.rule = f.rule AND m.row_id = f.row_id
    UNION
    SELECT m.action_id
    FROM rests_on_more AS m
    INNER JOIN found AS f ON m.rule = f.rule AND m.order_item_id = f.order_item_id
    WHERE m.row_id IS NULL
)

SELECT DISTINCT c.action_id     -- the charge
FROM ledger.open_charges AS c
INNER JOIN warehouse.stored_items AS i ON c.order_item_id = i.order_item_id
LEFT JOIN warehouse.bad_order_items AS b ON c.order_item_id = b.row_id
LEFT JOIN rests_on_more AS m ON c.action_id = m.action_id
LEFT JOIN found_more AS f ON c.action_id = f.action_id
WHERE b.row_id IS NULL AND (m.action_id IS NULL OR f.action_id IS NOT NULL)
