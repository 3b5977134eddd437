-- Sellers set aside: one row per stored row that breaks the raw contract, with why (Rulebook §13).
-- Judged as stored, before the as-of view. A seller without a country code belongs to no policy's country, so
-- the row is bad. Of sellers of other countries only the id is judged.
-- grain: every stored row
WITH repeated AS (
    SELECT seller_id
    FROM raw.sellers
    WHERE seller_id IS NOT NULL
    GROUP BY seller_id
    HAVING COUNT(*) > 1
),

judged AS (
    SELECT
        s.*,
        CONCAT_WS(
            '; ',
            CASE
                WHEN s.seller_id IS NULL THEN 'seller_id is null'
                WHEN NOT REGEXP_MATCHES(s.seller_id, $visible) THEN 'seller_id is empty'
                WHEN CONTAINS(s.seller_id, CHR(0)) THEN 'seller_id holds a NUL character'
                WHEN LENGTH(s.seller_id) > $longest_id THEN 'seller_id is too long'
            END,
            CASE WHEN r.seller_id IS NOT NULL THEN 'seller_id occurs more than once' END,
            CASE
                WHEN s.country IS NULL THEN 'country is null'
                WHEN NOT REGEXP_MATCHES(s.country, $visible) THEN 'country is empty'
                WHEN LENGTH(s.country) <> 2 OR NOT REGEXP_MATCHES(s.country, '^[A-Z][A-Z]$')
                    THEN 'country is not two capital letters'
            END,
            CASE
                WHEN
                    s.country = $country
                    AND (s.onboarded_at < $earliest_instant OR s.onboarded_at >= $latest_instant)
                    THEN 'onboarded_at is outside the years 1970 to 2200'
            END
        ) AS faults
    FROM raw.sellers AS s
    LEFT JOIN repeated AS r ON s.seller_id = r.seller_id
)

SELECT
    seller_id AS row_id,        -- the stored seller_id; null where that is the fault
    seller_id,                  -- the seller the row belongs to
    faults,                     -- every reason, separated by semicolons
    CAST(TO_JSON(STRUCT_PACK(
        seller_id := seller_id,
        country := country,
        is_jumia_express := is_jumia_express,
        onboarded_at := onboarded_at
    )) AS VARCHAR) AS stored_row            -- the row as stored, as JSON, names and addresses left out
FROM judged
WHERE faults <> ''
