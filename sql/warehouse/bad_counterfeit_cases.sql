-- Counterfeit cases set aside: one row per stored row that breaks the raw contract, with why (Rulebook §13).
-- grain: every stored row
WITH repeated AS (
    SELECT case_id
    FROM raw.counterfeit_cases
    WHERE case_id IS NOT NULL
    GROUP BY case_id
    HAVING COUNT(*) > 1
),

judged AS (
    SELECT
        c.*,
        i.seller_id,
        CONCAT_WS(
            '; ',
            CASE
                WHEN c.case_id IS NULL THEN 'case_id is null'
                WHEN NOT REGEXP_MATCHES(c.case_id, $visible) THEN 'case_id is empty'
                WHEN CONTAINS(c.case_id, CHR(0)) THEN 'case_id holds a NUL character'
                WHEN LENGTH(c.case_id) > $longest_id THEN 'case_id is too long'
            END,
            CASE WHEN r.case_id IS NOT NULL THEN 'case_id occurs more than once' END,
            CASE WHEN i.order_item_id IS NULL OR i.is_set_aside THEN 'order item is unknown or set aside' END,
            CASE
                WHEN c.notified_at < $earliest_instant OR c.notified_at >= $latest_instant
                    THEN 'notified_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN c.proven_at < $earliest_instant OR c.proven_at >= $latest_instant
                    THEN 'proven_at is outside the years 1970 to 2200'
            END
        ) AS faults
    FROM warehouse.stored_cases AS c
    LEFT JOIN repeated AS r ON c.case_id = r.case_id
    LEFT JOIN warehouse.named_items AS i ON c.order_item_id = i.order_item_id
    WHERE NOT COALESCE(i.is_abroad, FALSE)
)

SELECT
    case_id AS row_id,          -- the stored case_id; null where that is the fault
    seller_id,                  -- the seller of the item, if known
    faults,                     -- every reason, separated by semicolons
    CAST(TO_JSON(STRUCT_PACK(
        case_id := case_id,
        order_item_id := order_item_id,
        notified_at := notified_at,
        proven_at := proven_at
    )) AS VARCHAR) AS stored_row            -- the row as stored, as JSON
FROM judged
WHERE faults <> ''
