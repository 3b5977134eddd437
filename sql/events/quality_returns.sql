-- Items returned for quality, excused ones too, one row per item (Rulebook §6, §11).
-- grain: order_item_id
SELECT
    i.order_item_id,                                                -- the item
    i.order_number,                                                 -- its order
    i.seller_id,                                                    -- its seller
    i.sku,                                                          -- its product
    i.customer_hash,                                                -- who returned it, hashed
    i.returned_at AS event_at,                                      -- when it was marked as returned
    CAST(DATE_TRUNC('week', i.returned_at) AS DATE) AS event_week,  -- the Monday of that week
    CAST(i.returned_at AS DATE) AS event_date,                      -- the local date
    i.return_reason AS reason,                                      -- wrong, defective or used
    x.claim_id AS excused_by                                        -- the claim that excuses it; null: it counts
FROM warehouse.order_items AS i
INNER JOIN policy.return_reasons AS r
    ON
        i.return_reason = r.reason
        AND r.is_quality
        AND CAST(i.returned_at AS DATE) >= r.valid_from
        AND CAST(i.returned_at AS DATE) < r.valid_until
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'return'
