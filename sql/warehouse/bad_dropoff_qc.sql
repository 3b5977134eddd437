-- Drop-off checks set aside: one row per stored row that breaks the raw contract, with why (Rulebook §13).
-- grain: every stored row
WITH repeated AS (
    SELECT qc_id
    FROM warehouse.stored_checks
    WHERE qc_id IS NOT NULL
    GROUP BY qc_id
    HAVING COUNT(*) > 1
),

judged AS (
    SELECT
        q.*,
        i.seller_id,
        CONCAT_WS(
            '; ',
            CASE
                WHEN q.qc_id IS NULL THEN 'qc_id is null'
                WHEN NOT REGEXP_MATCHES(q.qc_id, $visible) THEN 'qc_id is empty'
                WHEN CONTAINS(q.qc_id, CHR(0)) THEN 'qc_id holds a NUL character'
                WHEN LENGTH(q.qc_id) > $longest_id THEN 'qc_id is too long'
            END,
            CASE WHEN r.qc_id IS NOT NULL THEN 'qc_id occurs more than once' END,
            CASE WHEN i.order_item_id IS NULL OR i.is_set_aside THEN 'order item is unknown or set aside' END,
            CASE WHEN q.checked_at IS NULL THEN 'checked_at is null' END,
            CASE
                WHEN q.checked_at < $earliest_instant OR q.checked_at >= $latest_instant
                    THEN 'checked_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN q.result IS NULL OR q.result NOT IN ('passed', 'failed')
                    THEN 'result is not a listed one'
            END,
            CASE WHEN q.result = 'failed' AND t.reason IS NULL THEN 'failed without a known reason' END
        ) AS faults
    FROM warehouse.stored_checks AS q
    LEFT JOIN repeated AS r ON q.qc_id = r.qc_id
    LEFT JOIN warehouse.named_items AS i ON q.order_item_id = i.order_item_id
    LEFT JOIN (SELECT DISTINCT reason FROM policy.failure_reasons) AS t ON q.failure_reason = t.reason
    WHERE NOT COALESCE(i.is_abroad, FALSE)
)

SELECT
    qc_id AS row_id,            -- the stored qc_id; null where that is the fault
    seller_id,                  -- the seller of the item checked, if known
    faults,                     -- every reason, separated by semicolons
    CAST(TO_JSON(STRUCT_PACK(
        qc_id := qc_id,
        order_item_id := order_item_id,
        checked_at := checked_at,
        result := result,
        failure_reason := failure_reason
    )) AS VARCHAR) AS stored_row            -- the row as stored, as JSON
FROM judged
WHERE faults <> ''
