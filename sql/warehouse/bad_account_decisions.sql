-- Account decisions set aside: one row per stored row that breaks the raw contract, with why (Rulebook §13).
-- The word is read without regard to case and the blanks around it (§11).
-- grain: every stored row
WITH repeated AS (
    SELECT decision_id
    FROM raw.account_decisions
    WHERE decision_id IS NOT NULL
    GROUP BY decision_id
    HAVING COUNT(*) > 1
),

read AS (
    SELECT
        *,
        LOWER(TRIM(REGEXP_REPLACE(decision, $invisible, ' ', 'g'))) AS word
    FROM raw.account_decisions
),

judged AS (
    SELECT
        d.*,
        CONCAT_WS(
            '; ',
            CASE
                WHEN d.decision_id IS NULL THEN 'decision_id is null'
                WHEN NOT REGEXP_MATCHES(d.decision_id, $visible) THEN 'decision_id is empty'
                WHEN CONTAINS(d.decision_id, CHR(0)) THEN 'decision_id holds a NUL character'
                WHEN LENGTH(d.decision_id) > $longest_id THEN 'decision_id is too long'
            END,
            CASE WHEN r.decision_id IS NOT NULL THEN 'decision_id occurs more than once' END,
            CASE WHEN s.seller_id IS NULL THEN 'seller is unknown or set aside' END,
            CASE
                WHEN d.word IS NULL OR d.word NOT IN ('delist', 'keep')
                    THEN 'decision is not a listed one'
            END,
            CASE WHEN d.decided_at IS NULL THEN 'decided_at is null' END,
            CASE
                WHEN d.decided_at < $earliest_instant OR d.decided_at >= $latest_instant
                    THEN 'decided_at is outside the years 1970 to 2200'
            END
        ) AS faults
    FROM read AS d
    LEFT JOIN repeated AS r ON d.decision_id = r.decision_id
    LEFT JOIN warehouse.sellers AS s ON d.seller_id = s.seller_id
    LEFT JOIN warehouse.foreign_sellers AS f ON d.seller_id = f.seller_id
    WHERE f.seller_id IS NULL
)

SELECT
    decision_id AS row_id,      -- the stored decision_id; null where that is the fault
    seller_id,                  -- the seller decided on
    faults,                     -- every reason, separated by semicolons
    CAST(TO_JSON(STRUCT_PACK(
        decision_id := decision_id,
        seller_id := seller_id,
        decision := decision,
        decided_at := decided_at
    )) AS VARCHAR) AS stored_row,           -- the row as stored, as JSON, the deciding person left out
    CONCAT_WS(
        ', ',
        CASE WHEN decided_at IS NOT NULL THEN CONCAT('decided_at ', CAST(decided_at AS VARCHAR)) END,
        CASE WHEN decision IS NOT NULL THEN CONCAT('decision "', decision, '"') END
    ) AS written,                           -- instant and decision as written: hostile text
    CASE WHEN decided_at >= $earliest_instant AND decided_at < $latest_instant THEN decided_at END
        AS decided_at                       -- when it was decided; null where that cannot be read
FROM judged
WHERE faults <> ''
