-- What the warehouse holds of the orders that unsettled claims name, one row per claim whose order is
-- there (Rulebook §11). Stored rows are counted, bad ones too: an order is known even if a row of it is
-- set aside.
-- grain: claim_id
SELECT
    c.claim_id,                 -- the claim
    MIN(CASE WHEN i.pending_at >= $earliest_instant THEN i.pending_at END)
        AS order_created_at,    -- when the order's first item was pending
    COUNT(CASE WHEN i.seller_id = c.seller_id THEN 1 END)
        AS seller_items,        -- items of the order that are of the seller who claims
    COUNT(CASE WHEN i.seller_id = c.seller_id AND (c.sku IS NULL OR i.sku = c.sku) THEN 1 END)
        AS claimed_items,       -- those of them that are of the SKU stated, if one is stated
    MAX(w.evidence_closes_at)
        AS evidence_closes_at   -- end of the evidence window of the items claimed
FROM claims.unsettled_claims AS c
INNER JOIN raw.order_items AS i ON c.order_number = i.order_number AND i.pending_at <= $now
LEFT JOIN raw.counterfeit_cases AS k
    ON
        i.order_item_id = k.order_item_id
        AND i.seller_id = c.seller_id
        AND (c.sku IS NULL OR i.sku = c.sku)
        AND k.notified_at >= $earliest_instant
        AND k.notified_at <= $now
LEFT JOIN warehouse.evidence_windows AS w ON CAST(k.notified_at AS DATE) = w.notified_date
GROUP BY c.claim_id
