-- Cases in which an item was proven counterfeit, excused ones too, one row per case, with
-- the end of the seller's evidence window (Rulebook §6, §11). An item may have several cases, each judged on its
-- own. A case without a window is never charged, but shown to operators: its seller was never notified, or was
-- notified on a day outside the years whose holidays the policy lists.
-- grain: case_id
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
    c.notified_at,                                                  -- when the seller was told; null: never
    w.evidence_closes_at,                                           -- end of the evidence window; null: never charged
    x.claim_id AS excused_by                                        -- the claim that excuses it; null: it counts
FROM warehouse.counterfeit_cases AS c
INNER JOIN warehouse.order_items AS i ON c.order_item_id = i.order_item_id
LEFT JOIN warehouse.evidence_windows AS w ON CAST(c.notified_at AS DATE) = w.notified_date
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'counterfeit'
WHERE c.proven_at IS NOT NULL
