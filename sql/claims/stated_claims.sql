-- Claims as stored, one row per stored row raised by the slot's instant (Rulebook §11, §13). Invisible
-- characters count as blanks, and blank text as not stated. No row is set aside: a row without an id gets one
-- made of its content. A claim that was taken in complete, or decided, stays its seller's: a row with its id, but
-- of another seller, is a claim of its own, named after its seller too, such as `C-7 of S-2`. A decision is read without regard to case
-- and the blanks around it. `faults` says what of a row cannot be read: an unreadable decision is not applied,
-- and a claim with an unreadable instant is not taken in.
-- grain: every stored row
WITH cleaned AS (
    SELECT
        TRIM(REGEXP_REPLACE(c.claim_id, '\p{C}', ' ', 'g')) AS claim_id,
        TRIM(REGEXP_REPLACE(c.category, '\p{C}', ' ', 'g')) AS category,
        TRIM(REGEXP_REPLACE(c.reason, '\p{C}', ' ', 'g')) AS reason,
        TRIM(REGEXP_REPLACE(c.country, '\p{C}', ' ', 'g')) AS country,
        TRIM(REGEXP_REPLACE(c.shop_name, '\p{C}', ' ', 'g')) AS shop_name,
        TRIM(REGEXP_REPLACE(c.seller_id, '\p{C}', ' ', 'g')) AS seller_id,
        TRIM(REGEXP_REPLACE(c.order_number, '\p{C}', ' ', 'g')) AS order_number,
        TRIM(REGEXP_REPLACE(c.sku, '\p{C}', ' ', 'g')) AS sku,
        TRIM(REGEXP_REPLACE(c.tracking_number, '\p{C}', ' ', 'g')) AS tracking_number,
        TRIM(REGEXP_REPLACE(c.api_endpoint, '\p{C}', ' ', 'g')) AS api_endpoint,
        TRIM(REGEXP_REPLACE(c.statement_period, '\p{C}', ' ', 'g')) AS statement_period,
        TRIM(REGEXP_REPLACE(c.transaction_type, '\p{C}', ' ', 'g')) AS transaction_type,
        TRIM(REGEXP_REPLACE(c.action_reference, '\p{C}', ' ', 'g')) AS action_reference,
        TRIM(REGEXP_REPLACE(c.comment, '\p{C}', ' ', 'g')) AS comment,
        c.amount,
        c.attachments,
        c.raised_at,
        c.decided_at,
        c.decision AS written_decision,
        LOWER(TRIM(REGEXP_REPLACE(c.decision, $invisible, ' ', 'g'))) AS decision,
        COALESCE(c.raised_at < $earliest_instant OR c.raised_at >= $latest_instant, FALSE) AS is_raised_oddly,
        COALESCE(c.decided_at < $earliest_instant OR c.decided_at >= $latest_instant, FALSE) AS is_decided_oddly
    FROM raw.claims AS c
    WHERE c.raised_at IS NULL OR c.raised_at <= $now OR c.raised_at >= $latest_instant
),

stored AS (
    SELECT
        STRUCT_PACK(
            claim_id := NULLIF(c.claim_id, ''),
            category := NULLIF(c.category, ''),
            reason := NULLIF(c.reason, ''),
            country := NULLIF(c.country, ''),
            shop_name := NULLIF(c.shop_name, ''),
            seller_id := NULLIF(c.seller_id, ''),
            order_number := NULLIF(c.order_number, ''),
            sku := NULLIF(c.sku, ''),
            tracking_number := NULLIF(c.tracking_number, ''),
            api_endpoint := NULLIF(c.api_endpoint, ''),
            statement_period := NULLIF(c.statement_period, ''),
            transaction_type := NULLIF(c.transaction_type, ''),
            amount := c.amount,
            action_reference := UPPER(NULLIF(c.action_reference, '')),
            comment := NULLIF(c.comment, ''),
            attachments := c.attachments,
            raised_at := c.raised_at
        ) AS stated,
        c.decided_at,
        c.written_decision,
        c.is_raised_oddly,
        c.is_decided_oddly,
        -- Null: there is none yet; it is blank, or of a later instant.
        CASE
            WHEN c.decision <> '' AND (c.decided_at IS NULL OR c.decided_at <= $now OR c.is_decided_oddly)
                THEN c.decision
        END AS decision
    FROM cleaned AS c
    LEFT JOIN warehouse.foreign_sellers AS f ON c.seller_id = f.seller_id
    WHERE f.seller_id IS NULL
),

hashed AS (
    SELECT
        *,
        MD5(CAST(TO_JSON(stated) AS VARCHAR)) AS content_hash,
        CONCAT_WS(
            '; ',
            CASE WHEN is_raised_oddly THEN 'raised_at is outside the years 1970 to 2200' END,
            CASE WHEN is_decided_oddly THEN 'decided_at is outside the years 1970 to 2200' END,
            CASE WHEN decision NOT IN ('upheld', 'rejected') THEN 'decision is neither upheld nor rejected' END,
            CASE WHEN decision IS NOT NULL AND decided_at IS NULL THEN 'decided_at is null' END,
            CASE
                WHEN decision IS NOT NULL AND decided_at < stated.raised_at AND NOT (is_raised_oddly OR is_decided_oddly)
                    THEN 'decided_at is before raised_at'
            END
        ) AS faults,
        CONCAT_WS(
            ', ',
            CASE WHEN stated.raised_at IS NOT NULL THEN CONCAT('raised_at ', CAST(stated.raised_at AS VARCHAR)) END,
            CASE WHEN decided_at IS NOT NULL THEN CONCAT('decided_at ', CAST(decided_at AS VARCHAR)) END,
            CASE WHEN written_decision IS NOT NULL THEN CONCAT('decision "', written_decision, '"') END
        ) AS written
    FROM stored
),

identified AS (
    SELECT
        *,
        COALESCE(stated.claim_id, CONCAT('without-id-', SUBSTR(content_hash, 1, 12))) AS stated_id
    FROM hashed
)

SELECT
    CASE
        WHEN k.state <> 'incomplete' AND i.stated.seller_id <> COALESCE(k.seller_id, '')
            THEN CONCAT(i.stated_id, ' of ', i.stated.seller_id)
        ELSE i.stated_id
    END AS claim_id,                  -- id of the claim
    i.stated.category,                -- as stated
    i.stated.reason,                  -- as stated
    i.stated.country,                 -- as stated
    i.stated.shop_name,               -- as stated: hostile text
    i.stated.seller_id,               -- who claims
    i.stated.order_number,            -- as stated
    i.stated.sku,                     -- as stated
    i.stated.tracking_number,         -- as stated
    i.stated.api_endpoint,            -- as stated
    i.stated.statement_period,        -- as stated
    i.stated.transaction_type,        -- as stated
    i.stated.amount,                  -- naira, as stated
    i.stated.action_reference,        -- as stated
    i.stated.comment,                 -- as stated: hostile text
    i.stated.attachments,             -- names of what was attached
    CASE WHEN NOT i.is_raised_oddly THEN i.stated.raised_at END AS raised_at,   -- when it was raised
    i.content_hash,                   -- hash of what is stated: another one when it is stated anew
    NOT (i.is_raised_oddly OR i.is_decided_oddly) AS is_taken_in,   -- whether its instants can be read
    CASE WHEN i.faults = '' THEN i.decision END AS decision,    -- null: none by then that can be read
    CASE WHEN i.faults = '' AND i.decision IS NOT NULL THEN i.decided_at END AS decided_at,  -- when it was decided
    i.faults,                         -- what of the row is undecipherable, separated by semicolons; empty: nothing
    i.written                         -- instants and decision as written: hostile text
FROM identified AS i
LEFT JOIN ledger.claim_states AS k ON i.stated_id = k.claim_id
