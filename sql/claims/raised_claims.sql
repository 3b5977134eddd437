-- Claims raised by the slot's instant, one row per claim as it was last stated (Rulebook §11, §13); of its rows
-- those without a seller count last. Claims with an instant that cannot be read are left out.
-- grain: claim_id
WITH ranked AS (
    SELECT
        c.*,
        ROW_NUMBER() OVER (
            PARTITION BY c.claim_id
            ORDER BY c.seller_id IS NULL, c.raised_at DESC NULLS LAST, c.content_hash
        ) AS nth
    FROM claims.stated_claims AS c
    WHERE c.is_taken_in
)

SELECT
    r.claim_id,                                     -- id of the claim
    r.category,                                     -- as stated
    r.reason,                                       -- as stated
    r.country,                                      -- as stated
    r.shop_name,                                    -- as stated: hostile text
    r.seller_id,                                    -- who claims
    s.seller_id IS NOT NULL AS is_known_seller,     -- whether the warehouse knows who claims
    r.order_number,                                 -- as stated
    r.sku,                                          -- as stated
    r.tracking_number,                              -- as stated
    r.api_endpoint,                                 -- as stated
    r.statement_period,                             -- as stated
    r.transaction_type,                             -- as stated
    r.amount,                                       -- naira, as stated
    r.action_reference,                             -- as stated
    r.comment,                                      -- as stated: hostile text
    r.attachments,                                  -- names of what was attached
    r.raised_at,                                    -- when it was raised
    r.content_hash                                  -- hash of what is stated: another one when it is stated anew
FROM ranked AS r
LEFT JOIN warehouse.sellers AS s ON r.seller_id = s.seller_id
WHERE r.nth = 1
