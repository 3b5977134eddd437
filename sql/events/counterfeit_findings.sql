-- Items proven counterfeit, unless a claim excuses it, one row per item, with the end of the seller's
-- evidence window (Rulebook §6, §11): the end of the second working day after the day of the notification. Where an item
-- has several cases, the first proven among those its seller was notified of counts.
WITH ranked AS (
    SELECT
        c.*,
        ROW_NUMBER() OVER (
            PARTITION BY c.order_item_id
            ORDER BY CASE WHEN c.notified_at IS NULL THEN 1 ELSE 0 END, c.proven_at, c.case_id
        ) AS nth
    FROM warehouse.counterfeit_cases AS c
    WHERE c.proven_at IS NOT NULL
),

evidence_windows AS (
    SELECT
        c.case_id,
        MIN(closing.ends_at) AS evidence_closes_at
    FROM ranked AS c
    INNER JOIN policy.counterfeit_charge AS p
        ON CAST(c.proven_at AS DATE) >= p.valid_from AND CAST(c.proven_at AS DATE) < p.valid_until
    INNER JOIN policy.calendar AS notified ON notified.day = CAST(c.notified_at AS DATE)
    INNER JOIN policy.calendar AS closing
        ON closing.working_days = notified.working_days + p.evidence_working_days
    GROUP BY c.case_id
)

SELECT
    i.order_item_id,                                                -- the item
    i.order_number,                                                 -- its order
    i.seller_id,                                                    -- its seller
    i.sku,                                                          -- its product
    c.proven_at AS event_at,                                        -- when it was proven
    CAST(DATE_TRUNC('week', c.proven_at) AS DATE) AS event_week,    -- the Monday of that week
    CAST(c.proven_at AS DATE) AS event_date,                        -- the local date
    'counterfeit' AS reason,                                        -- the one reason there is
    c.case_id,                                                      -- the case
    c.notified_at,                                                  -- when the seller was told; null: never charged
    e.evidence_closes_at                                            -- end of the evidence window
FROM ranked AS c
INNER JOIN warehouse.order_items AS i ON c.order_item_id = i.order_item_id
LEFT JOIN evidence_windows AS e ON c.case_id = e.case_id
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'counterfeit'
WHERE c.nth = 1 AND x.order_item_id IS NULL
