-- The claims' stored rows, one row per stored row raised by the slot's instant (Rulebook §11, §13). Blank
-- text counts as not stated. No row is set aside: one without an id is named after its content.
WITH stored AS (
    SELECT
        STRUCT_PACK(
            claim_id := NULLIF(TRIM(c.claim_id), ''),
            category := NULLIF(TRIM(c.category), ''),
            reason := NULLIF(TRIM(c.reason), ''),
            country := NULLIF(TRIM(c.country), ''),
            shop_name := NULLIF(TRIM(c.shop_name), ''),
            seller_id := NULLIF(TRIM(c.seller_id), ''),
            order_number := NULLIF(TRIM(c.order_number), ''),
            sku := NULLIF(TRIM(c.sku), ''),
            tracking_number := NULLIF(TRIM(c.tracking_number), ''),
            api_endpoint := NULLIF(TRIM(c.api_endpoint), ''),
            statement_period := NULLIF(TRIM(c.statement_period), ''),
            transaction_type := NULLIF(TRIM(c.transaction_type), ''),
            amount := c.amount,
            action_reference := UPPER(NULLIF(TRIM(c.action_reference), '')),
            comment := NULLIF(TRIM(c.comment), ''),
            attachments := c.attachments,
            raised_at := c.raised_at
        ) AS stated,
        c.decision,
        c.decided_at
    FROM raw.claims AS c
    LEFT JOIN warehouse.foreign_sellers AS f ON c.seller_id = f.seller_id
    WHERE f.seller_id IS NULL AND (c.raised_at IS NULL OR c.raised_at <= $now)
),

hashed AS (
    SELECT
        *,
        MD5(CAST(TO_JSON(stated) AS VARCHAR)) AS content_hash
    FROM stored
)

SELECT
    COALESCE(stated.claim_id, CONCAT('without-id-', SUBSTR(content_hash, 1, 12))) AS claim_id,  -- id of the claim
    stated.category,                -- as stated
    stated.reason,                  -- as stated
    stated.country,                 -- as stated
    stated.shop_name,               -- as stated: hostile text
    stated.seller_id,               -- who claims
    stated.order_number,            -- as stated
    stated.sku,                     -- as stated
    stated.tracking_number,         -- as stated
    stated.api_endpoint,            -- as stated
    stated.statement_period,        -- as stated
    stated.transaction_type,        -- as stated
    stated.amount,                  -- naira, as stated
    stated.action_reference,        -- as stated
    stated.comment,                 -- as stated: hostile text
    stated.attachments,             -- names of what was attached
    stated.raised_at,               -- when it was raised
    content_hash,                   -- tells a claim stated anew from the same one
    CASE WHEN COALESCE(decided_at <= $now, TRUE) AND decision IN ('upheld', 'rejected') THEN decision END
        AS decision,                -- by the slot's instant; null: none, or none of the two words
    CASE WHEN decided_at <= $now THEN decided_at END AS decided_at  -- when it was decided
FROM hashed
