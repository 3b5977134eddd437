-- Why each charge rule did or did not strike each item that is asked for, one row per item and rule (Rulebook §14).
-- A code is the first of the rulebook's table that applies. What the rules say of an event is `rulings`'; here stands
-- what comes before: the ledger's actions, items that are not there or set aside, and items without an event.
-- grain: order_item_id, rule
WITH known AS (
    SELECT
        order_item_id,
        CAST(NULL AS VARCHAR) AS faults
    FROM warehouse.order_items
    UNION ALL
    SELECT
        b.row_id AS order_item_id,
        MAX(b.faults) AS faults
    FROM warehouse.bad_order_items AS b
    WHERE
        b.row_id IN (
            SELECT order_item_id
            FROM warehouse.stored_items
            WHERE COALESCE(pending_at <= $now OR pending_at >= $latest_instant, TRUE)
        )
    GROUP BY b.row_id
),

asked AS (
    SELECT order_item_id FROM known
    UNION
    SELECT CAST($item AS VARCHAR) AS order_item_id
    WHERE CAST($item AS VARCHAR) IS NOT NULL
),

-- Of several cases on one item that which comes furthest in the table answers.
cases AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY order_item_id
            ORDER BY
                CASE code
                    WHEN 'excused' THEN 6
                    WHEN 'before_first_cycle' THEN 5
                    WHEN 'not_notified' THEN 4
                    WHEN 'evidence_open' THEN 3
                    WHEN 'held' THEN 2
                    WHEN 'no_amount' THEN 1
                    ELSE 0
                END,
                event_at,
                case_id
        ) AS nth
    FROM rulings.counterfeit_charges
),

ruled AS (
    SELECT
        'out_of_stock_charge' AS rule,
        order_item_id,
        code,
        charging_cycle,
        event_at,
        amount,
        CASE WHEN code = 'excused' THEN excused_by END AS claim_id,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS evidence_closes_at
    FROM rulings.out_of_stock_charges
    UNION ALL
    SELECT
        'late_fulfilment_charge' AS rule,
        order_item_id,
        code,
        charging_cycle,
        event_at,
        amount,
        CASE WHEN code = 'excused' THEN excused_by END AS claim_id,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS evidence_closes_at
    FROM rulings.late_fulfilment_charges
    UNION ALL
    SELECT
        'returns_charge' AS rule,
        order_item_id,
        code,
        charging_cycle,
        event_at,
        amount,
        CASE WHEN code = 'excused' THEN excused_by END AS claim_id,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS evidence_closes_at
    FROM rulings.returns_charges
    UNION ALL
    SELECT
        'dropoff_qc_charge' AS rule,
        order_item_id,
        code,
        charging_cycle,
        event_at,
        amount,
        CASE WHEN code = 'excused' THEN excused_by END AS claim_id,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS evidence_closes_at
    FROM rulings.dropoff_qc_charges
    UNION ALL
    SELECT
        'counterfeit_charge' AS rule,
        order_item_id,
        code,
        charging_cycle,
        event_at,
        amount,
        CASE WHEN code = 'excused' THEN excused_by WHEN code = 'held' THEN held_by END AS claim_id,
        evidence_closes_at
    FROM cases
    WHERE nth = 1
),

rules AS (
    SELECT 'out_of_stock_charge' AS rule
    UNION ALL
    SELECT 'late_fulfilment_charge' AS rule
    UNION ALL
    SELECT 'returns_charge' AS rule
    UNION ALL
    SELECT 'dropoff_qc_charge' AS rule
    UNION ALL
    SELECT 'counterfeit_charge' AS rule
),

coded AS (
    SELECT
        a.order_item_id,
        u.rule,
        CASE
            WHEN c.order_item_id IS NOT NULL THEN 'acted'
            WHEN k.order_item_id IS NULL THEN 'unknown'
            WHEN k.faults IS NOT NULL THEN 'set_aside'
            WHEN r.order_item_id IS NOT NULL THEN COALESCE(r.code, 'awaits_cycle')
            WHEN u.rule <> 'late_fulfilment_charge' THEN 'no_event'
            WHEN i.cancelled_at < d.deadline_at THEN 'cancelled_in_time'
            WHEN i.ready_from <= d.deadline_at THEN 'in_time'
            WHEN d.deadline_at > $now THEN 'not_due'
            -- The clock's hours are full on a day before, or after, the years whose holidays are listed.
            WHEN w.first_day > CAST(i.pending_at AS DATE) THEN 'before_first_cycle'
            WHEN i.cancelled_at IS NOT NULL THEN 'cancelled_in_time'
            WHEN i.ready_from IS NOT NULL THEN 'in_time'
            ELSE 'not_due'
        END AS code,
        c.reference,
        c.cycle AS acted_cycle,
        k.faults,
        r.charging_cycle,
        r.claim_id,
        r.event_at,
        r.amount,
        r.evidence_closes_at,
        d.deadline_at,
        i.cancelled_at,
        i.ready_from
    FROM asked AS a
    CROSS JOIN rules AS u
    CROSS JOIN (SELECT MIN(day) AS first_day FROM policy.calendar) AS w
    LEFT JOIN ledger.charges AS c ON u.rule = c.rule AND a.order_item_id = c.order_item_id
    LEFT JOIN known AS k ON a.order_item_id = k.order_item_id
    LEFT JOIN ruled AS r ON u.rule = r.rule AND a.order_item_id = r.order_item_id
    LEFT JOIN warehouse.order_items AS i ON a.order_item_id = i.order_item_id
    LEFT JOIN warehouse.fulfilment_deadlines AS d
        ON a.order_item_id = d.order_item_id AND d.entered_state = 'pending'
)

SELECT
    order_item_id,          -- the item, known or asked for
    rule,                   -- the charge rule
    code,                   -- why, or why not
    reference,              -- of the action, if there is one
    CASE code WHEN 'acted' THEN acted_cycle WHEN 'awaits_cycle' THEN charging_cycle END
        AS cycle,           -- the action's cycle, or the one that will decide
    claim_id,               -- the claim that excuses the event, or holds the charge
    faults,                 -- why the item is set aside
    event_at,               -- when the event fell
    amount,                 -- naira, as it would be charged
    evidence_closes_at,     -- end of the seller's evidence window
    deadline_at,            -- when the item had to be ready to ship
    cancelled_at,           -- when it was cancelled
    ready_from              -- ready to ship from
FROM coded
