-- Items cancelled because they were out of stock, excused ones too, one row per item
-- (Rulebook §6, §11).
-- grain: order_item_id
SELECT
    i.order_item_id,                                                -- the item
    i.order_number,                                                 -- its order
    i.seller_id,                                                    -- its seller
    i.sku,                                                          -- its product
    i.cancelled_at AS event_at,                                     -- when it was cancelled
    CAST(DATE_TRUNC('week', i.cancelled_at) AS DATE) AS event_week, -- the Monday of that week
    CAST(i.cancelled_at AS DATE) AS event_date,                     -- the local date
    i.cancel_reason AS reason,                                      -- the reason recorded
    i.commission,                                                   -- naira
    x.claim_id AS excused_by                                        -- the claim that excuses it; null: it counts
FROM warehouse.order_items AS i
INNER JOIN policy.cancel_reasons AS r
    ON
        i.cancel_reason = r.reason
        AND r.is_out_of_stock
        AND CAST(i.cancelled_at AS DATE) >= r.valid_from
        AND CAST(i.cancelled_at AS DATE) < r.valid_until
LEFT JOIN warehouse.excused_events AS x ON i.order_item_id = x.order_item_id AND x.event = 'stock'
