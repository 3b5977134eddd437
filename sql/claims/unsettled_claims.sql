-- Claims that this slot must act on, one row per claim (Rulebook §11): not taken in yet; stated anew, by another
-- seller or while incomplete; or with a decision that is not applied yet. A claim that was upheld stays upheld: a
-- later rejection is not applied.
-- grain: claim_id
WITH compared AS (
    SELECT
        r.*,
        t.claim_id IS NULL AND (
            k.claim_id IS NULL
            OR (k.state = 'incomplete' AND (r.seller_id IS NOT NULL OR k.seller_id IS NULL))
        ) AS needs_intake,
        CASE WHEN COALESCE(k.is_upheld, FALSE) THEN NULL ELSE d.upheld_at END AS upheld_at,
        CASE
            WHEN COALESCE(k.is_upheld OR k.is_rejected, FALSE) THEN NULL
            ELSE d.rejected_at
        END AS rejected_at
    FROM claims.raised_claims AS r
    LEFT JOIN ledger.claim_states AS k ON r.claim_id = k.claim_id
    LEFT JOIN ledger.claim_intakes AS t ON r.claim_id = t.claim_id AND r.content_hash = t.content_hash
    LEFT JOIN claims.decided_claims AS d
        ON r.claim_id = d.claim_id AND r.seller_id IS NOT DISTINCT FROM d.seller_id
)

SELECT
    claim_id,               -- id of the claim
    category,               -- as stated
    reason,                 -- as stated
    country,                -- as stated
    shop_name,              -- as stated: hostile text
    seller_id,              -- who claims
    is_known_seller,        -- whether the warehouse knows who claims
    order_number,           -- as stated
    sku,                    -- as stated
    tracking_number,        -- as stated
    api_endpoint,           -- as stated
    statement_period,       -- as stated
    transaction_type,       -- as stated
    amount,                 -- naira, as stated
    action_reference,       -- as stated
    comment,                -- as stated: hostile text
    attachments,            -- names of what was attached
    raised_at,              -- when it was raised
    content_hash,           -- hash of what is stated: another one when it is stated anew
    needs_intake,           -- whether it is to be taken in
    upheld_at,              -- when it was upheld, if that is not applied yet
    rejected_at             -- when it was rejected, if that is not recorded yet
FROM compared
WHERE needs_intake OR upheld_at IS NOT NULL OR rejected_at IS NOT NULL
